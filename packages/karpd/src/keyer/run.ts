import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { formatProblems } from "../config/formatProblems.ts";
import { readSessions, type SessionsResult } from "../config/readSessions.ts";
import type { DriverAbilities, DriverSchemas } from "../config/settings.ts";
import type { SessionConfiguration } from "../core/configuration.ts";
import { hardenProcess } from "./hardening.ts";
import { Ledger } from "./ledger.ts";
import { startKeyerServer } from "./server.ts";
import { SocketKeyer, type SocketKeyerLog } from "./socketKeyer.ts";

export interface KeyerOptions {
  readonly configurationFile: string;
  /** When the configuration does not say so. */
  readonly socket?: string;
  /** Whose karpd may speak beside root; a name or a number. */
  readonly user: string;
  readonly log: SocketKeyerLog;
  readonly driverSchemas: DriverSchemas;
  readonly driverAbilities: Readonly<Record<string, DriverAbilities>>;
  /** Drivers that key through the keyer. */
  readonly keyedDrivers: ReadonlySet<string>;
}

/** Sockets that appear are keyed within this time; what comes before the key is there is closed then. */
const TICK_MILLISECONDS = 400;

/** The configuration is wrong, or the process could be looked into. */
export class KeyerRefused extends Error {
  override readonly name = "KeyerRefused";
}

/** `karp keyer`: until SIGTERM or SIGINT; SIGHUP reads the configuration again. Keys stay in place when it ends. */
export async function runKeyer(options: KeyerOptions): Promise<void> {
  const { log } = options;
  const doubts = hardenProcess((text) => log("warning", text));
  if (doubts.length > 0) throw new KeyerRefused(`keys must not come into this process: ${doubts.join("; ")}`);
  process.umask(0o117);
  const loaded = await load(options);
  if (!loaded.ok) throw new KeyerRefused(formatProblems(loaded.problems));
  const socketPath = options.socket ?? loaded.keyerSocket;
  const keyer = new SocketKeyer({
    sessions: keyedOnly(loaded.sessions, options),
    ledger: new Ledger(join(dirname(socketPath), "written.json"), (text) => log("warning", text)),
    indexOf: interfaceIndex,
    log,
  });
  const server = await startKeyerServer({ socketPath, uids: uidsOf(options.user), keyer, log });
  log("info", `the keyer serves ${socketPath}, ${keyer.sessions.length} session(s)`);
  const timer = setInterval(() => tick(keyer, log), TICK_MILLISECONDS);
  tick(keyer, log);
  process.on("SIGHUP", () => void reload(options, keyer));
  const stop = (): void => {
    clearInterval(timer);
    void server.close().finally(() => process.exit(0));
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

function load({ configurationFile, driverSchemas, driverAbilities }: KeyerOptions): Promise<SessionsResult> {
  return readSessions(configurationFile, { driverSchemas, driverAbilities });
}

function keyedOnly(sessions: readonly SessionConfiguration[], { keyedDrivers }: KeyerOptions) {
  return sessions.filter(({ driver }) => keyedDrivers.has(driver));
}

async function reload(options: KeyerOptions, keyer: SocketKeyer): Promise<void> {
  const loaded = await load(options);
  if (!loaded.ok) {
    options.log("error", `nothing was changed:\n${formatProblems(loaded.problems)}`);
    return;
  }
  keyer.reconfigure(keyedOnly(loaded.sessions, options));
  options.log("info", `read again: ${keyer.sessions.length} session(s)`);
}

let lastFault = "";

/** A fault of one look at the sockets is said once, and the next look comes. */
function tick(keyer: SocketKeyer, log: SocketKeyerLog): void {
  try {
    keyer.tick();
    lastFault = "";
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    if (fault !== lastFault) log("error", `the sockets cannot be watched: ${fault}`);
    lastFault = fault;
  }
}

function interfaceIndex(name: string): number | undefined {
  try {
    return Number(readFileSync(join("/sys/class/net", name, "ifindex"), "utf8"));
  } catch {
    return undefined;
  }
}

/** /etc/passwd: name:password:uid:… */
function uidsOf(user: string): ReadonlySet<number> {
  if (/^\d+$/.test(user)) return new Set([Number(user)]);
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${user}:`));
  const uid = line?.split(":")[2];
  return new Set(uid === undefined ? [] : [Number(uid)]);
}
