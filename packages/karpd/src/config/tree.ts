/** A range of the source text in UTF-16 units, `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A YAML document with the place of every part. */
export type Tree = MapTree | ListTree | ScalarTree;

export interface MapTree extends Span {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Entry>;
}

export interface Entry {
  readonly key: Span;
  readonly value: Tree;
}

export interface ListTree extends Span {
  readonly kind: "list";
  readonly items: readonly Tree[];
}

export interface ScalarTree extends Span {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** As it stands in the file. */
  readonly source: string;
}

export type Path = readonly (string | number)[];

/** The part at `path`, or undefined. */
function partAt(tree: Tree, path: Path): Tree | undefined {
  let part: Tree | undefined = tree;
  for (const step of path) part = part === undefined ? undefined : child(part, step);
  return part;
}

/** Where `path` stands: its value, its key, or for what is missing the key of the nearest part around it. */
export function spanOf(tree: Tree, path: Path, aim: "key" | "value"): Span {
  const parent = partAt(tree, path.slice(0, -1));
  const last = path.at(-1);
  if (last === undefined || parent === undefined)
    return path.length === 0 ? firstOf(tree) : spanOf(tree, path.slice(0, -1), "key");
  if (parent.kind === "map") {
    const entry = parent.entries.get(String(last));
    if (entry === undefined) return spanOf(tree, path.slice(0, -1), "key");
    return aim === "key" || isEmpty(entry.value) || entry.value.kind === "map" ? entry.key : entry.value;
  }
  return child(parent, last) ?? spanOf(tree, path.slice(0, -1), "key");
}

/** The plain data of a part, as a schema validator and programs see it. */
export function dataOf(tree: Tree): unknown {
  switch (tree.kind) {
    case "scalar":
      return tree.value;
    case "list":
      return tree.items.map(dataOf);
    case "map":
      // No prototype: a word of the file never meets Object.prototype.
      return Object.assign(
        Object.create(null),
        Object.fromEntries([...tree.entries].map(([key, entry]) => [key, dataOf(entry.value)])),
      );
  }
}

function child(tree: Tree, step: string | number): Tree | undefined {
  if (tree.kind === "map") return tree.entries.get(String(step))?.value;
  return tree.kind === "list" && typeof step === "number" ? tree.items[step] : undefined;
}

function isEmpty(tree: Tree): boolean {
  return tree.kind === "scalar" && tree.source === "";
}

function firstOf(tree: Tree): Span {
  return { start: tree.start, end: tree.start + 1 };
}
