import { execFile } from "node:child_process";
import { errnoOf, printable } from "../text.ts";

/** What a routing daemon's own command-line tool printed, or why it could not be asked. Nothing of it is ever logged. */
export type ToolAnswer =
  | { readonly ok: true; readonly output: string }
  | { readonly ok: false; readonly reason: string };

const TIMEOUT_MILLISECONDS = 10_000;
const LONGEST_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Runs a tool without a shell, with a small environment. Secrets may go by `input`, never by `words`: what fails is told
 * without either.
 */
export function runTool(program: string, words: readonly string[], input?: string): Promise<ToolAnswer> {
  const options = {
    timeout: TIMEOUT_MILLISECONDS,
    killSignal: "SIGKILL" as const,
    maxBuffer: LONGEST_OUTPUT_BYTES,
    encoding: "utf8" as const,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
  };
  return new Promise((resolve) => {
    const child = execFile(program, words, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ ok: true, output: stdout });
      const said = printable((stderr || stdout).trim().split("\n").at(-1) ?? "");
      const why = errnoOf(error) ?? (error.killed === true ? "it did not answer" : said);
      resolve({ ok: false, reason: `${program} ${words[0] ?? ""}: ${why || "it failed"}` });
    });
    child.stdin?.on("error", () => undefined); // it ended without reading
    child.stdin?.end(input ?? "");
  });
}
