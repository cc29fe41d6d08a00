import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { formatProblems } from "../config/formatProblems.ts";
import { readSessions, type SessionsResult } from "../config/readSessions.ts";
import type { DriverAbilities, DriverSchemas } from "../config/settings.ts";
import type { SessionConfiguration } from "../core/configuration.ts";
import { hardenProcess } from "./hardening.ts";
import type { SocketKeyerLog } from "./keyed.ts";
import { Ledger } from "./ledger.ts";
import { type KeyerUser, startKeyerServer } from "./server.ts";
import { SocketKeyer } from "./socketKeyer.ts";

export interface KeyerOptions {
  readonly configurationFile: string;
  /** When the configuration does not say so. */
  readonly socket?: string;
  /** Whose karpd may speak beside root; a name or a number. Default: karp, where there is one. */
  readonly user: string | undefined;
  readonly log: SocketKeyerLog;
  readonly driverSchemas: DriverSchemas;
  readonly driverAbilities: Readonly<Record<string, DriverAbilities>>;
  /** Drivers that key through the keyer. */
  readonly keyedDrivers: ReadonlySet<string>;
}

/** Where there is no such user, only root may speak. */
const DEFAULT_USER = "karp";

/** Sockets that appear are keyed within this time; what comes before the key is there is closed then. */
const TICK_MILLISECONDS = 400;

/** The configuration is wrong, or the process could be looked into. */
export class KeyerRefused extends Error {
  override readonly name = "KeyerRefused";
}

/** `karp keyer`: until SIGTERM or SIGINT; SIGHUP, and each reload of karpd, reads the configuration again. Keys stay in place when it ends. */
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
  const user = userOf(options.user ?? DEFAULT_USER);
  if (user === undefined && options.user !== undefined) {
    throw new KeyerRefused(`there is no user ${options.user}: whose karpd may speak to the keyer? (--user)`);
  }
  const server = await startKeyerServer({ socketPath, user, keyer, log, reload: () => reload(options, keyer) });
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

/** @returns why nothing was changed; undefined: it was read */
async function reload(options: KeyerOptions, keyer: SocketKeyer): Promise<string | undefined> {
  const loaded = await load(options);
  if (!loaded.ok) {
    const refused = formatProblems(loaded.problems);
    options.log("error", `nothing was changed:\n${refused}`);
    return refused;
  }
  keyer.reconfigure(keyedOnly(loaded.sessions, options));
  options.log("info", `read again: ${keyer.sessions.length} session(s)`);
  return undefined;
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

/** By /etc/passwd, name:password:uid:gid:…; a number needs no line there. */
function userOf(user: string): KeyerUser | undefined {
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  const fields = lines.map((line) => line.split(":")).find(([name, , uid]) => name === user || uid === user);
  if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  return /^\d+$/.test(user) ? { uid: Number(user), gid: undefined } : undefined;
}
