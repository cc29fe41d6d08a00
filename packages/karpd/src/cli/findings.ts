import type { DriverFinding } from "../ports/routingDriver.ts";

export interface Finding extends DriverFinding {
  /** What it is about: "configuration", "session r2", "kernel". */
  readonly about: string;
  /** What to do about it; the text of others ends in it. */
  readonly todo?: string;
  /** Of a problem in the configuration: its stable name and its place. */
  readonly code?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

const MARK = { ok: "ok     ", warning: "WARNING", error: "ERROR  " } as const;

/** Findings as lines, worst last so that they are what one sees; `ok` unless one is an error. */
export function report(findings: readonly Finding[], json: boolean): { readonly text: string; readonly ok: boolean } {
  const ok = findings.every(({ severity }) => severity !== "error");
  if (json) return { text: JSON.stringify(findings, undefined, 2), ok };
  const order = ["ok", "warning", "error"];
  const sorted = [...findings].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  return { text: sorted.map(line).join("\n"), ok };
}

function line({ severity, about, text, todo }: Finding): string {
  return `${MARK[severity]} ${about}: ${text}${todo === undefined ? "" : ` -> ${todo}`}`;
}
