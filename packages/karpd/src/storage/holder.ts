import { readFileSync, rmSync, writeFileSync } from "node:fs";

/**
 * Who has the store open, for the error message of whoever comes second. Only a note: the lock itself is the operating
 * system's, and a note left behind by a killed process is overwritten by the next.
 */
export function recordHolder(storePath: string): void {
  const note = JSON.stringify({ pid: process.pid, since: new Date().toISOString() });
  try {
    writeFileSync(notePath(storePath), `${note}\n`, { mode: 0o600 });
  } catch {
    // A full disk must not keep karp from starting: the note is a courtesy.
  }
}

export function forgetHolder(storePath: string): void {
  rmSync(notePath(storePath), { force: true });
}

/** "by process 123 since …", or "by another process" when the note does not say. */
export function describeHolder(storePath: string): string {
  try {
    const note: unknown = JSON.parse(readFileSync(notePath(storePath), "utf8"));
    if (typeof note === "object" && note !== null && "pid" in note && "since" in note) {
      return `by process ${Number(note.pid)} since ${String(note.since)}`;
    }
  } catch {
    // no note, or not one of ours
  }
  return "by another process";
}

function notePath(storePath: string): string {
  return `${storePath}.holder`;
}
