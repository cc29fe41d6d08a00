// `karp migrate` as an operator types it.
import type { ExecResult } from "./exec.ts";
import type { Karp } from "./karp.ts";
import type { TwoRouters } from "./twoRouters.ts";
import { waitFor } from "./wait.ts";

export function migrate(karp: Karp, ...words: readonly string[]): Promise<ExecResult> {
  return karp.cli("migrate", karp.session.name, "--config", karp.file, ...words);
}

/** Mode observe: both karps have negotiated a key, and keep it. */
export async function waitBothHold({ karps }: TwoRouters): Promise<void> {
  for (const karp of karps) {
    const holds = async (): Promise<boolean> => (await karp.keys()).some(({ state }) => state === "held");
    await waitFor(`${karp.options.namespace}'s karp to hold a key`, holds, { seconds: 60 });
  }
}
