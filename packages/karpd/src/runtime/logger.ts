import type { IkeLogEvent } from "@karp/ikev2";
import pino, { type Logger } from "pino";
import type { DaemonEvent } from "../core/events.ts";

export type { Logger } from "pino";

const LEVEL = { info: "info", warning: "warn", alarm: "error" } as const;

/** Structured logs, one JSON object a line, to standard error; written at once, so that a crash loses nothing. */
export function createLogger(level: string): Logger {
  const destination = pino.destination({ fd: 2, sync: true });
  // A log that cannot be written (a full disk, a reader that is gone) ends no daemon
  destination.on("error", () => undefined);
  return pino(
    { name: "karp", level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
}

export function logEvent(logger: Logger, event: DaemonEvent): void {
  const { name, at: _at, severity, text, data, ...names } = event;
  logger[LEVEL[severity]]({ event: name, ...names, ...data }, text);
}

export function logIke(logger: Logger, event: IkeLogEvent): void {
  const { name, level, detail, peer, remote } = event;
  logger[level]({ ike: name, peer, remote: remote && `${remote.address}:${remote.port}` }, detail);
}
