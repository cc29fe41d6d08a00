/** One thing that is wrong in a configuration, with its place and the way out. Never holds a secret. */
export interface ConfigProblem {
  readonly severity: "error" | "warning";
  /** Stable, for programs: "unknownWord", "weakPsk" and their kin. */
  readonly code: string;
  readonly file: string;
  /** Both count from 1; column counts UTF-16 units. */
  readonly line: number;
  readonly column: number;
  /** Length of the text that the caret underlines, at least 1. */
  readonly length: number;
  /** Words from the top of the file, for example "sessions.r2.remote". */
  readonly path: string;
  /** What is wrong, a sentence without the full stop. */
  readonly what: string;
  /** What to write or do instead. */
  readonly advice: string;
  /** The line of the file, secrets masked. */
  readonly excerpt: string;
}
