import { systemClock } from "@karp/ikev2/node";
import { formatProblems } from "../config/formatProblems.ts";
import { ConfigurationRefused, type Daemon, startDaemon } from "./daemon.ts";
import type { DriverKinds } from "./driverSet.ts";
import { createLogger } from "./logger.ts";

export interface RunOptions {
  readonly configurationFile: string;
  readonly logLevel: string;
  readonly version: string;
  readonly driverKinds: DriverKinds;
}

/**
 * `karp run`: until SIGTERM or SIGINT, or until whoever started it with a channel (the demo) is gone; SIGHUP reads the
 * configuration again. Keys stay in place when it ends.
 */
export async function runDaemon(options: RunOptions): Promise<void> {
  const logger = createLogger(options.logLevel);
  const daemon = await start({ ...options, logger, clock: systemClock });
  if (daemon === undefined) {
    process.exitCode = 1;
    return;
  }
  const stop = (): void => {
    void daemon.stop().then(() => process.exit(0));
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  if (process.connected) process.once("disconnect", stop);
  process.on("SIGHUP", () => {
    void daemon.reload().then((reply) => logger[reply.ok ? "info" : "error"](reply.text));
  });
}

async function start(options: Parameters<typeof startDaemon>[0]): Promise<Daemon | undefined> {
  try {
    return await startDaemon(options);
  } catch (error) {
    if (!(error instanceof ConfigurationRefused)) throw error;
    console.error(formatProblems(error.problems));
    console.error(
      `karp: nothing was started; keys that are in place stay there. Correct ${options.configurationFile} and start again.`,
    );
    return undefined;
  }
}
