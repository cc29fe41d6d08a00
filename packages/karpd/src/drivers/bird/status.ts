import type { Reply } from "./replies.ts";

/** Makes every moment that BIRD prints on this connection seconds since 1970, whatever bird.conf and the time zone say. */
export const TIME_FORMAT_COMMAND = 'timeformat "%s.%6f"';

/** What `show status` tells. Moments in milliseconds since 1970. */
export interface BirdStatus {
  readonly version: string;
  /** When BIRD was started; absent when it does not say. */
  readonly startedAt?: number;
  /** When it began to read its configuration last. */
  readonly lastReconfigurationAt: number;
  readonly state: "running" | "reconfiguring" | "shuttingDown";
}

/** Undefined when the reply is not that of `show status`. */
export function parseStatus(reply: Reply): BirdStatus | undefined {
  if (reply.code !== 13) return undefined;
  const texts = reply.lines.map(({ text }) => text);
  const version = texts.map(birdVersion).find((found) => found !== undefined);
  const moment = (event: string): string | undefined =>
    texts.map((text) => new RegExp(`^Last ${event} on (\\d+\\.\\d+)$`).exec(text)?.[1]).find(Boolean);
  const [reboot, reconfiguration] = [moment("reboot"), moment("reconfiguration")];
  const last = texts.at(-1) ?? "";
  if (version === undefined || reconfiguration === undefined) return undefined;
  return {
    version,
    ...(reboot !== undefined && { startedAt: Number(reboot) * 1000 }),
    lastReconfigurationAt: Number(reconfiguration) * 1000,
    state: stateOf(last),
  };
}

function stateOf(text: string): BirdStatus["state"] {
  if (/shutdown/i.test(text)) return "shuttingDown";
  return /reconfiguration/i.test(text) ? "reconfiguring" : "running";
}

/** The version in "BIRD 3.4.0" or "BIRD 3.4.0 ready.". */
export function birdVersion(text: string): string | undefined {
  return /^BIRD v?(\d+\.\d+\S*)/.exec(text)?.[1];
}

/** TCP-AO came with 2.17 and was merged into 3.1.0 (BIRD's NEWS, 2025-04-01); 3.0 never had it. */
export const OLDEST_VERSIONS = "2.17 or 3.1";

export function hasTcpAo(version: string): boolean {
  const [major = 0, minor = 0] = version.split(/[^0-9]/, 2).map(Number);
  return major === 2 ? minor >= 17 : major > 3 || (major === 3 && minor >= 1);
}

/** What `configure status` tells: what is going on, and when BIRD will undo the last configure by itself. */
export interface ConfigureStatus {
  readonly isBusy: boolean;
  readonly undoInSeconds?: number;
}

/** Undefined when the reply is not that of `configure status`. */
export function parseConfigureStatus(reply: Reply): ConfigureStatus | undefined {
  if (reply.code !== 0) return undefined;
  const codes = new Set(reply.lines.map(({ code }) => code));
  const undo = reply.lines.find(({ code }) => code === 22)?.text;
  const seconds = /undo in ([\d.]+)/.exec(undo ?? "")?.[1];
  if (undo === undefined && ![3, 4, 5, 6].some((code) => codes.has(code))) return undefined;
  const isBusy = !codes.has(3);
  return { isBusy, ...(undo !== undefined && { undoInSeconds: Number(seconds ?? Number.NaN) }) };
}
