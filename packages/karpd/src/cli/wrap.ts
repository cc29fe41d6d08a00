import { LaunchError } from "../wrap/launch.ts";
import { runWrap, type WrapCommandOptions, WrapRefused } from "../wrap/run.ts";
import { CommandFailure } from "./text.ts";

/** sysexits.h: a unit may tell it from a daemon that failed (RestartPreventExitStatus=78). */
const EX_CONFIG = 78;

/** `karp wrap`: ends as the daemon ends; before that, with a sentence. */
export async function wrapCommand(options: WrapCommandOptions): Promise<void> {
  try {
    await runWrap(options);
  } catch (error) {
    if (error instanceof LaunchError) throw new CommandFailure(error.message, error.exitCode);
    if (error instanceof WrapRefused) throw new CommandFailure(error.message, EX_CONFIG);
    throw error;
  }
}
