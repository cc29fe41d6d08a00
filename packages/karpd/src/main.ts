// The only file that knows all implementations. Each command loads what it needs when it is used.
import { enableCompileCache } from "node:module";
import { actions } from "./actions.ts";
import { createProgram } from "./cli/program.ts";
import { CommandFailure } from "./cli/text.ts";
import { ControlError } from "./control/client.ts";
import { version } from "./version.ts";

/** Errors that their own modules have worded for people. */
const NAMED = ["StoreError", "ListenError", "ControlSocketError", "KeyerSocketError", "KeyerRefused", "ProcessRefused"];

enableCompileCache();
// `karp show events | head`: whoever has read enough is no error
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  await createProgram(version, actions).parseAsync();
} catch (error) {
  // A sentence for people; a stack only for what nobody foresaw.
  const foreseen = error instanceof CommandFailure || error instanceof ControlError || isNamed(error);
  console.error(foreseen ? `karp: ${(error as Error).message}` : error);
  process.exitCode = error instanceof CommandFailure ? error.exitCode : 1;
}

function isNamed(error: unknown): boolean {
  return error instanceof Error && NAMED.includes(error.name);
}
