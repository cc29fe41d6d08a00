import { systemClock } from "@karp/ikev2/node";
import { formatProblems } from "../config/formatProblems.ts";
import { ConfigurationRefused, type Daemon, startDaemon } from "./daemon.ts";
import type { DriverKinds } from "./driverSet.ts";
import { takeHandedOver } from "./handedOver.ts";
import { hardenRuntime } from "./hardening.ts";
import { createLogger, type Logger } from "./logger.ts";

export interface RunOptions {
  readonly configurationFile: string;
  readonly logLevel: string;
  readonly version: string;
  readonly driverKinds: DriverKinds;
}

/** The process could be looked into. */
export class ProcessRefused extends Error {
  override readonly name = "ProcessRefused";
}

/**
 * `karp run`: until SIGTERM or SIGINT, or until whoever started it with a channel (the demo) is gone; SIGHUP reads the
 * configuration again. Keys stay in place when it ends.
 */
export async function runDaemon(options: RunOptions): Promise<void> {
  const logger = createLogger(options.logLevel);
  const abandoned = process.connected
    ? new Promise<void>((resolve) => process.once("disconnect", () => resolve()))
    : undefined;
  // Nobody else writes what karp makes, however it was started: not even the control socket before it has its mode
  process.umask(process.umask() | 0o022);
  const doubts = hardenRuntime((text) => logger.warn(text));
  if (doubts.length > 0) throw new ProcessRefused(`keys must not come into this process: ${doubts.join("; ")}`);
  const { promise: started, resolve: hasStarted } = Promise.withResolvers<Daemon>();
  // A reload that comes while karp starts waits for it, instead of ending it
  process.on("SIGHUP", () => {
    void started
      .then((running) => running.reload())
      .then(
        ({ ok, text }) => logger[ok ? "info" : "error"](text),
        (error: unknown) => logger.error({ err: error }, "the reload failed"),
      );
  });
  const daemon = await start({ ...options, logger, clock: systemClock, handedOver: takeHandedOver() });
  if (daemon === undefined) {
    process.exitCode = 1;
    return;
  }
  hasStarted(daemon);
  endWith(daemon, logger, abandoned);
}

/** SIGTERM, SIGINT, or the end of whoever started it; a second one is one too many, and changes nothing. */
function endWith(daemon: Daemon, logger: Logger, abandoned: Promise<void> | undefined): void {
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    void daemon.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, "karp did not stop cleanly; keys stay in place");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  void abandoned?.then(stop);
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
