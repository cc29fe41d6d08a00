import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import { nearest } from "./didYouMean.ts";
import { hintFor } from "./hints.ts";
import type { Report } from "./report.ts";
import { formats } from "./schema.ts";
import { dataOf, type ListTree, type MapTree, type Path, type ScalarTree, type Tree } from "./tree.ts";

/** The part of JSON Schema that we use. What a driver's schema says beyond it is judged by TypeBox at the end. */
interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
}

/** Checks `tree` against the schema, reports all that is wrong, and returns its data (with what could be read). */
export function checkTree(tree: Tree, schema: TSchema, path: Path, report: Report): unknown {
  return new Checker(report).check(tree, schema as JsonSchema, path);
}

/** For schemas that are not ours: reports what `checkTree` has no words for. */
export function checkRest(data: unknown, schema: TSchema, path: Path, report: Report): void {
  if (report.hasErrorUnder(path) || Value.Check(schema, data)) return;
  for (const error of Value.Errors(schema, data)) {
    const steps = error.instancePath.split("/").slice(1);
    report.add(
      "badValue",
      [...path, ...steps],
      `this does not fit: ${error.message}`,
      "see the driver's words in the guide",
    );
  }
}

class Checker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  check(tree: Tree, schema: JsonSchema, path: Path): unknown {
    const words = wordsOf(schema);
    if (words !== undefined) return this.#oneOf(tree, words, path);
    if (schema.anyOf !== undefined) return this.check(tree, branchFor(tree, schema.anyOf), path);
    switch (schema.type ?? "") {
      case "object":
        return tree.kind === "map"
          ? this.#object(tree, schema, path)
          : this.#wrongKind(tree, "words with values", path);
      case "array":
        return tree.kind === "list" ? this.#array(tree, schema, path) : this.#wrongKind(tree, "a list", path);
      case "string":
        return tree.kind === "scalar" ? this.#string(tree, schema, path) : this.#wrongKind(tree, "one value", path);
      case "integer":
      case "number":
        return tree.kind === "scalar" ? this.#number(tree, schema, path) : this.#wrongKind(tree, "a number", path);
      case "boolean":
        return this.#boolean(tree, path);
      default:
        return dataOf(tree);
    }
  }

  #object(tree: MapTree, schema: JsonSchema, path: Path): unknown {
    const data: Record<string, unknown> = Object.create(null);
    const meant = new Set<string>();
    for (const [word, { value }] of tree.entries) {
      const inner = schemaOfWord(schema, word);
      if (inner !== undefined) data[word] = this.check(value, inner, [...path, word]);
      else if (schema.additionalProperties === true) data[word] = dataOf(value);
      else meant.add(this.#unknownWord(word, schema, path) ?? "");
    }
    for (const word of schema.required ?? []) {
      if (!tree.entries.has(word) && !meant.has(word)) this.#missing(word, schema, path);
    }
    return data;
  }

  /** Returns the word that was probably meant. */
  #unknownWord(word: string, schema: JsonSchema, path: Path): string | undefined {
    const at = [...path, word];
    if (schema.patternProperties !== undefined) {
      const slug = word
        .toLowerCase()
        .replace(/[^a-z0-9._-]+/g, "-")
        .slice(0, 63);
      this.#report.add(
        "badName",
        at,
        `\`${word}\` is no name for this`,
        `write ${slug}: a-z, 0-9, dots, dashes and underscores, up to 63`,
        { aim: "key" },
      );
      return undefined;
    }
    const known = Object.keys(schema.properties ?? {});
    const hint = hintFor(word);
    const meant = hint === undefined ? nearest(word, known) : undefined;
    const advice =
      hint?.advice ??
      (meant === undefined ? `words that may stand here: ${known.join(", ")}` : `did you mean \`${meant}\`?`);
    const what =
      hint?.what ?? `\`${word}\` is not a word that belongs ${path.length === 0 ? "here" : `in \`${path.join(".")}\``}`;
    this.#report.add(hint?.code ?? "unknownWord", at, what, advice, { aim: "key" });
    return meant;
  }

  #missing(word: string, schema: JsonSchema, path: Path): void {
    const where = path.length === 0 ? "the file" : `\`${path.join(".")}\``;
    const description = schema.properties?.[word]?.description ?? "";
    this.#report.add(
      "missingWord",
      path,
      `\`${word}\` is missing in ${where}`,
      `add \`${word}: …\`. ${description}`.trim(),
      { aim: "key" },
    );
  }

  #array(tree: ListTree, schema: JsonSchema, path: Path): unknown {
    if (tree.items.length < (schema.minItems ?? 0)) {
      this.#report.add(
        "emptyList",
        path,
        "the list is empty",
        "write at least one value, or leave the word out for its default",
      );
    }
    const items = tree.items.map((item, index) => this.check(item, schema.items ?? {}, [...path, index]));
    if (schema.uniqueItems === true) {
      items.forEach((item, index) => {
        if (items.indexOf(item) < index)
          this.#report.add(
            "duplicateValue",
            [...path, index],
            `\`${String(item)}\` stands here twice`,
            "keep one of the two",
          );
      });
    }
    return items;
  }

  #string(tree: ScalarTree, schema: JsonSchema, path: Path): unknown {
    if (tree.value === null || tree.value === "") return this.#emptyValue(path, schema);
    // A number or a truth value where text belongs is taken as it stands in the file: vrf: 0100
    const text = typeof tree.value === "string" ? tree.value : tree.source;
    const complaint = schema.format === undefined ? undefined : formats[schema.format]?.(text);
    if (complaint?.ok === false) this.#report.add("badValue", path, complaint.what, complaint.advice);
    if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(text)) {
      this.#report.add(
        "badValue",
        path,
        `\`${text}\` does not fit here`,
        schema.description ?? `it must match ${schema.pattern}`,
      );
    }
    return text;
  }

  #number(tree: ScalarTree, schema: JsonSchema, path: Path): unknown {
    const { value } = tree;
    const [low, high] = [schema.minimum ?? Number.NEGATIVE_INFINITY, schema.maximum ?? Number.POSITIVE_INFINITY];
    const isRight = typeof value === "number" && (schema.type !== "integer" || Number.isInteger(value));
    if (isRight && value >= low && value <= high) return value;
    if (value === null) return this.#emptyValue(path, schema);
    const range = schema.minimum === undefined || schema.maximum === undefined ? "" : ` from ${low} to ${high}`;
    const kind = schema.type === "integer" ? "whole number" : "number";
    this.#report.add("badValue", path, `\`${tree.source}\` is not a ${kind}${range}`, `write a ${kind}${range}`);
    return undefined;
  }

  #boolean(tree: Tree, path: Path): unknown {
    if (tree.kind === "scalar" && typeof tree.value === "boolean") return tree.value;
    const written = tree.kind === "scalar" ? `\`${tree.source}\`` : "this";
    const meant = tree.kind === "scalar" && /^(yes|on)$/i.test(tree.source) ? "true" : "true or false";
    this.#report.add("badValue", path, `${written} is neither true nor false`, `write ${meant}`);
    return undefined;
  }

  #oneOf(tree: Tree, words: readonly string[], path: Path): unknown {
    if (tree.kind !== "scalar") return this.#wrongKind(tree, "one word", path);
    const found = words.find((word) => word === String(tree.value));
    if (found !== undefined) return found;
    if (tree.value === null) return this.#emptyValue(path, {});
    const meant = nearest(tree.source, words);
    const advice =
      meant === undefined
        ? `write one of: ${words.join(", ")}`
        : `did you mean \`${meant}\`? One of: ${words.join(", ")}`;
    this.#report.add("badValue", path, `\`${tree.source}\` is not a value of \`${lastWord(path)}\``, advice);
    return undefined;
  }

  #emptyValue(path: Path, schema: JsonSchema): undefined {
    const advice = schema.description ?? "write a value after the colon, or remove the word";
    this.#report.add("emptyValue", path, `\`${lastWord(path)}\` has no value`, advice, { aim: "key" });
    return undefined;
  }

  #wrongKind(tree: Tree, expected: string, path: Path): undefined {
    const isEmpty = tree.kind === "scalar" && tree.value === null;
    const kinds = { map: "words with values", list: "a list", scalar: "one value" } as const;
    const found = isEmpty ? "nothing" : kinds[tree.kind];
    const where = path.length === 0 ? "the file" : `\`${lastWord(path)}\``;
    const advice = adviceForKind(expected, lastWord(path));
    this.#report.add("wrongKind", path, `${where} holds ${found}, and ${expected} belongs there`, advice, {
      aim: isEmpty ? "key" : "value",
    });
    return undefined;
  }
}

function adviceForKind(expected: string, word: string): string {
  if (expected === "a list") return `write \`${word}: [first, second]\``;
  if (expected === "words with values") return "indent the words below it, one `word: value` a line";
  return `write \`${word}: VALUE\``;
}

function lastWord(path: Path): string {
  return String(path.findLast((step) => typeof step === "string") ?? "");
}

/** The words of an enumeration, however the schema spells it. */
function wordsOf(schema: JsonSchema): readonly string[] | undefined {
  if (schema.enum !== undefined) return schema.enum.map(String);
  if (schema.const !== undefined) return [String(schema.const)];
  const constants = schema.anyOf?.map((branch) => branch.const);
  return constants?.every((constant) => constant !== undefined) ? constants.map(String) : undefined;
}

/** A list is judged as a list, a map as a map, a single value as a single value. */
function branchFor(tree: Tree, branches: readonly JsonSchema[]): JsonSchema {
  const type = tree.kind === "list" ? "array" : tree.kind === "map" ? "object" : undefined;
  const fits = (branch: JsonSchema): boolean =>
    type === undefined ? branch.type !== "array" && branch.type !== "object" : branch.type === type;
  return branches.find(fits) ?? branches[0] ?? {};
}

function schemaOfWord(schema: JsonSchema, word: string): JsonSchema | undefined {
  const own =
    schema.properties !== undefined && Object.hasOwn(schema.properties, word) ? schema.properties[word] : undefined;
  if (own !== undefined) return own;
  for (const [pattern, inner] of Object.entries(schema.patternProperties ?? {})) {
    if (new RegExp(pattern, "u").test(word)) return inner;
  }
  return typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
}
