import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  type ParsedNode,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import type { Report } from "./report.ts";
import type { Entry, ListTree, MapTree, ScalarTree, Span, Tree } from "./tree.ts";

/** Turns the text into a tree; what YAML forbids, and what we leave out of it, goes to the report. Undefined: hopeless. */
export function parseYaml(text: string, report: Report): Tree | undefined {
  const document = parseDocument(text, { uniqueKeys: false, prettyErrors: false, merge: false, logLevel: "error" });
  const [first] = document.errors;
  if (first !== undefined) {
    // What follows a syntax error is mostly its echo: the first one is the one to mend.
    report.errorAt("syntax", spanOfError(first), sentence(first), adviceFor(first));
    return undefined;
  }
  for (const warning of document.warnings) {
    report.errorAt("syntax", spanOfError(warning), sentence(warning), adviceFor(warning));
  }
  const { contents } = document;
  if (contents === null) return { kind: "map", entries: new Map(), start: 0, end: 0 };
  const tree = new Reader(text, report).read(contents);
  // What an alias stands for is not known: the rest would be judged without it.
  return report.errors.some(({ code }) => code === "anchor") ? undefined : tree;
}

class Reader {
  readonly #text: string;
  readonly #report: Report;

  constructor(text: string, report: Report) {
    this.#text = text;
    this.#report = report;
  }

  read(node: ParsedNode | null, fallback: Span = { start: 0, end: 0 }): Tree {
    if (node === null) return this.#empty(fallback);
    const span = spanOfNode(node);
    if (isAlias(node) || node.anchor !== undefined) {
      const what = "anchors (&) and aliases (*) are not part of karp's configuration";
      this.#report.errorAt("anchor", span, what, "write the value out, or put what sessions share under `defaults:`");
    }
    if (isMap(node)) return this.#map(node, span);
    if (isSeq(node)) return this.#list(node.items as readonly ParsedNode[], span);
    if (!isScalar(node)) return this.#empty(span);
    return this.#scalar(node.value, span);
  }

  #map(node: YAMLMap, span: Span): MapTree {
    const entries = new Map<string, Entry>();
    for (const pair of node.items as readonly Pair<ParsedNode, ParsedNode | null>[]) {
      const key = spanOfNode(pair.key);
      const word = this.#word(pair.key, key);
      if (word === undefined) continue;
      const earlier = entries.get(word);
      if (earlier !== undefined) this.#report.duplicate(word, key, earlier.key);
      else entries.set(word, { key, value: this.read(pair.value, { start: key.end, end: key.end }) });
    }
    return { kind: "map", entries, ...span };
  }

  #list(items: readonly ParsedNode[], span: Span): ListTree {
    return { kind: "list", items: items.map((item) => this.read(item, span)), ...span };
  }

  #word(node: ParsedNode, span: Span): string | undefined {
    if (isScalar(node) && node.value !== null) return String(node.value);
    this.#report.errorAt("syntax", span, "this cannot be a word before a colon", "write a plain word, then `: `");
    return undefined;
  }

  #scalar(value: unknown, span: Span): ScalarTree {
    const source = this.#text.slice(span.start, span.end);
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return { kind: "scalar", value, source, ...span };
    }
    return { kind: "scalar", value: value === null ? null : String(value), source, ...span };
  }

  #empty(span: Span): ScalarTree {
    return { kind: "scalar", value: null, source: "", ...span };
  }
}

function spanOfNode(node: ParsedNode): Span {
  return { start: node.range[0], end: node.range[1] };
}

function spanOfError(error: YAMLError): Span {
  return { start: error.pos[0], end: Math.max(error.pos[0] + 1, error.pos[1]) };
}

function sentence(error: YAMLError): string {
  if (error.code === "MULTIPLE_DOCS") return "a second YAML document begins here";
  if (/call stack/.test(error.message)) return "not valid YAML: brackets within brackets, thousands deep";
  const text = error.message.replace(/;.*$/s, "");
  return `not valid YAML: ${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

function adviceFor(error: YAMLError): string {
  return advice.get(error.code) ?? "one `word: value` a line, the same indentation for words of one level";
}

const advice: ReadonlyMap<YAMLError["code"], string> = new Map([
  ["TAB_AS_INDENT", "indent with spaces, two for each level"],
  ["MULTIPLE_DOCS", "keep everything in one document: remove the line `---`"],
  ["MISSING_CHAR", "close the quote or bracket, or write `word: value`"],
  ["BLOCK_AS_IMPLICIT_KEY", 'one `word: value` a line; put a value that holds ": " in quotes'],
  ["BAD_SCALAR_START", "put the value in quotes"],
  ["TAG_RESOLVE_FAILED", "remove the tag (the word after `!`)"],
]);
