import { maskSecrets } from "./maskSecrets.ts";
import type { ConfigProblem } from "./problem.ts";
import { type Path, type Span, spanOf, type Tree } from "./tree.ts";

export interface ReportOptions {
  /** The caret points at the value (default) or at the word before it. */
  readonly aim?: "key" | "value";
  readonly severity?: "error" | "warning";
}

/** Collects problems of one file, with their places. */
export class Report {
  readonly #file: string;
  readonly #text: string;
  readonly #problems: ConfigProblem[] = [];
  readonly #errorPaths: Path[] = [];
  #tree: Tree | undefined;

  constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
  }

  /** Needed before problems are named by path. */
  locateIn(tree: Tree): void {
    this.#tree = tree;
  }

  /** In the order of the file. */
  get problems(): readonly ConfigProblem[] {
    return this.#problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  }

  get errors(): readonly ConfigProblem[] {
    return this.problems.filter((problem) => problem.severity === "error");
  }

  get warnings(): readonly ConfigProblem[] {
    return this.problems.filter((problem) => problem.severity === "warning");
  }

  add(code: string, path: Path, what: string, advice: string, options: ReportOptions = {}): void {
    const span = this.#tree === undefined ? { start: 0, end: 1 } : spanOf(this.#tree, path, options.aim ?? "value");
    this.#push(code, span, path, what, advice, options.severity ?? "error");
  }

  errorAt(code: string, span: Span, what: string, advice: string): void {
    this.#push(code, span, [], what, advice, "error");
  }

  duplicate(word: string, span: Span, earlier: Span): void {
    const { line } = this.#position(earlier.start);
    this.errorAt(
      "duplicateWord",
      span,
      `\`${word}\` stands here for the second time, first in line ${line}`,
      "keep one of the two",
    );
  }

  /** True when something at or below `path` is wrong: what depends on it need not be looked at. */
  hasErrorUnder(path: Path): boolean {
    return this.#errorPaths.some((at) => path.every((step, index) => String(at[index]) === String(step)));
  }

  #push(code: string, span: Span, path: Path, what: string, advice: string, severity: "error" | "warning"): void {
    if (severity === "error") this.#errorPaths.push(path);
    const { line, column, excerpt } = this.#position(span.start);
    // A value over several lines is underlined on its first.
    const length = Math.max(1, Math.min(span.end - span.start, excerpt.length - column + 1));
    const problem = { severity, code, file: this.#file, line, column, length, path: path.join("."), what, advice };
    // Defaults are looked at for each session: once said is enough.
    const isKnown = this.#problems.some(
      (other) => other.line === line && other.column === column && other.what === what,
    );
    if (!isKnown) this.#problems.push({ ...problem, excerpt: maskSecrets(excerpt) });
  }

  #position(offset: number): { readonly line: number; readonly column: number; readonly excerpt: string } {
    const lineStart = this.#text.lastIndexOf("\n", offset - 1) + 1;
    const lineEnd = this.#text.indexOf("\n", lineStart);
    const excerpt = this.#text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd).replace(/\r$/, "");
    const line = this.#text.slice(0, lineStart).split("\n").length;
    return { line, column: offset - lineStart + 1, excerpt };
  }
}
