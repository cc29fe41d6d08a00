import type { TSchema } from "typebox";
import { configurationSchema } from "./schema.ts";
import type { DriverSchemas } from "./settings.ts";

/** Name of a table of the reference, and the table in Markdown: one row a word, in the schema's order. */
export function referenceTables(drivers: DriverSchemas): ReadonlyMap<string, string> {
  const file = configurationSchema(drivers) as unknown as JsonSchema;
  const session = propertiesOf(Object.values(propertyOf(file, "sessions")?.patternProperties ?? {})[0]);
  const shared = new Set(Object.keys(propertiesOf(propertyOf(file, "defaults"))));
  const isBlock = (word: string): boolean => Object.hasOwn(drivers, word) || ["rollover", "ike", "solo"].includes(word);
  const own = Object.entries(session).filter(([word]) => !shared.has(word) && !isBlock(word));
  const common = Object.entries(session).filter(([word]) => shared.has(word) && !isBlock(word));
  const top = Object.entries(propertiesOf(file)).filter(([, schema]) => schema.type !== "object");
  return new Map([
    ["file", tableOf(top, requiredOf(file))],
    ["credentials", tableOf(Object.entries(propertiesOf(propertyOf(file, "credentials"))), [])],
    ["session", tableOf(own, ["local", "remote", "peer"])],
    ["shared", tableOf(common, [])],
    ["rollover", tableOf(Object.entries(propertiesOf(propertyOf(file, "rollover"))), [])],
    ["solo", tableOf(Object.entries(propertiesOf(session["solo"])), [])],
    ["ike", tableOf(Object.entries(propertiesOf(session["ike"])), [])],
    ...Object.entries(drivers).map(([name, schema]) => [`driver ${name}`, driverTable(schema)] as const),
  ]);
}

/**
 * JSON Schema of the file, for editors. Formats that begin with `karp-` are ours: what they mean is checked by karp alone.
 * Where YAML would read a number and we take the text (KeyIDs, ports), both types are allowed.
 */
export function configurationJsonSchema(drivers: DriverSchemas): string {
  const schema = { $schema: "https://json-schema.org/draft/2020-12/schema", ...configurationSchema(drivers) };
  return `${JSON.stringify(schema, forEditors, 2)}\n`;
}

function forEditors(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const { default: otherwise, ...rest } = value as JsonSchema;
  if (rest.format === "karp-key-ids" || rest.format === "karp-listen") return { ...rest, type: ["string", "integer"] };
  // A default in words is for the guide.
  return rest.type !== "array" && rest.anyOf === undefined && otherwise !== undefined ? value : rest;
}

interface JsonSchema {
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly default?: unknown;
}

function driverTable(schema: TSchema): string {
  const json = schema as JsonSchema;
  return tableOf(Object.entries(propertiesOf(json)), requiredOf(json));
}

function tableOf(words: readonly (readonly [string, JsonSchema])[], required: readonly string[]): string {
  const rows = words.map(([word, schema]) => {
    const otherwise = required.includes(word) ? "required" : defaultOf(schema);
    return `| \`${word}\` | ${kindOf(schema)} | ${otherwise} | ${escapeCell(schema.description ?? "")} |`;
  });
  return ["| word | value | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

const kinds: Readonly<Record<string, string>> = {
  "karp-duration": "duration",
  "karp-window": "window",
  "karp-address": "address",
  "karp-listen": "address and port",
  "karp-percentage": "percentage",
  "karp-key-ids": "KeyID or range",
  "karp-fingerprint": "fingerprint",
  "karp-identity": "identity",
  "karp-peer": "identity, or `none`",
  "karp-file": "file",
};

function kindOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(", ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(kindOf).join(", or ");
  if (schema.type === "array") return schema.items === undefined ? "list" : `list of ${kindOf(schema.items)}`;
  const plain: Readonly<Record<string, string>> = { string: "text", integer: "number", boolean: "`true`, `false`" };
  return kinds[schema.format ?? ""] ?? plain[schema.type ?? ""] ?? "words";
}

function defaultOf(schema: JsonSchema): string {
  return schema.default === undefined ? "" : escapeCell(String(schema.default));
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function propertyOf(schema: JsonSchema, word: string): JsonSchema | undefined {
  return schema.properties?.[word];
}

function propertiesOf(schema: JsonSchema | undefined): Readonly<Record<string, JsonSchema>> {
  return schema?.properties ?? {};
}

function requiredOf(schema: JsonSchema): readonly string[] {
  return schema.required ?? [];
}
