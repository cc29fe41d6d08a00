import { existsSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { ControlClient } from "../control/client.ts";

/** Runs a command of the control interface and says what became of it. */
export async function control(path: string, body: unknown, options: ControlOptions): Promise<string> {
  return inWords((await new ControlClient(options.socket).post(path, body)) as Reply, options.json);
}

/** `karp diff`: what a reload would change. */
export async function pendingChanges(options: ControlOptions): Promise<string> {
  return inWords((await new ControlClient(options.socket).get("/v1/changes")) as Reply, options.json);
}

interface ControlOptions {
  readonly socket: string;
  readonly json: boolean;
}

interface Reply {
  readonly text: string;
  readonly changes?: readonly string[];
}

function inWords(reply: Reply, json: boolean): string {
  if (json) return JSON.stringify(reply, undefined, 2);
  return [reply.text, ...(reply.changes ?? []).map((change) => `  ${change}`)].join("\n");
}

/** Writes `text` to a new file; an existing one is never touched. */
export async function writeNewFile(path: string, text: string, mode: number): Promise<boolean> {
  if (existsSync(path)) return false;
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "wx", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return true;
}
