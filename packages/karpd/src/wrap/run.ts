import { watchFile } from "node:fs";
import { formatProblems } from "../config/formatProblems.ts";
import { readSessions } from "../config/readSessions.ts";
import type { DriverAbilities, DriverSchemas } from "../config/settings.ts";
import type { SessionConfiguration } from "../core/configuration.ts";
import { KeyerClient } from "../keyer/client.ts";
import { SessionTable, type WrappedSession } from "./sessions.ts";
import { say, wrap } from "./wrap.ts";

export interface WrapCommandOptions {
  readonly configurationFile: string;
  readonly command: readonly string[];
  readonly driverSchemas: DriverSchemas;
  readonly driverAbilities: Readonly<Record<string, DriverAbilities>>;
  /** Drivers that key through the keyer: sessions of others are keyed by the daemon itself. */
  readonly keyedDrivers: ReadonlySet<string>;
  readonly holdMilliseconds: number;
  readonly openFiles?: number;
}

/** The configuration is wrong: with it nobody knows which connections must not go unsigned. */
export class WrapRefused extends Error {
  override readonly name = "WrapRefused";
}

/** A supervisor answers a daemon that stands still: it gives up on a keyer that is silent sooner than karpd does. */
const KEYER_MILLISECONDS = 2000;

/** How often the configuration file is looked at. */
const WATCH_MILLISECONDS = 1000;

/**
 * `karp wrap`. Which destinations are keyed is read from the configuration itself, so that all others are left alone
 * whatever else runs or does not; again whenever the file changes, as the daemon is told of new neighbours while it runs.
 * Rejects with WrapRefused and LaunchError; else it ends as the daemon ends.
 */
export async function runWrap(options: WrapCommandOptions): Promise<never> {
  const { configurationFile, command, holdMilliseconds, openFiles } = options;
  const loaded = await load(options);
  if (!loaded.ok) throw new WrapRefused(formatProblems(loaded.problems));
  let { sessions } = loaded;
  let table = new SessionTable(sessions);
  const reread = async (): Promise<void> => {
    const again = await load(options);
    if (!again.ok) return say(`sessions stay as they are:\n${formatProblems(again.problems)}`);
    // One that is gone stays: the file may be half written, and the keyer knows whether it is still keyed
    const gone = sessions.filter(({ name }) => !again.sessions.some((one) => one.name === name));
    sessions = [...again.sessions, ...gone];
    table = new SessionTable(sessions);
    say(`sessions read again: ${table.size}`);
  };
  watchFile(configurationFile, { interval: WATCH_MILLISECONDS, persistent: false }, () => {
    reread().catch((error: unknown) => say(`sessions stay as they are: ${String(error)}`));
  });
  return await wrap({
    command,
    sessions: () => table,
    openKeyer: ({ keysChanged, returned }) => {
      const { keyerSocket: socketPath } = loaded;
      const client = new KeyerClient({ socketPath, onConnected: returned, timeoutMilliseconds: KEYER_MILLISECONDS });
      client.onKeyed(keysChanged);
      // Its absence is seen when somebody asks
      client.connect().catch(() => undefined);
      return client;
    },
    holdMilliseconds,
    ...(openFiles !== undefined && { openFiles }),
  });
}

async function load({ configurationFile, driverSchemas, driverAbilities, keyedDrivers }: WrapCommandOptions) {
  const loaded = await readSessions(configurationFile, { driverSchemas, driverAbilities });
  if (!loaded.ok) return loaded;
  return { ...loaded, sessions: loaded.sessions.filter(({ driver }) => keyedDrivers.has(driver)).map(wrapped) };
}

function wrapped({ name, remoteAddress, port, mode, driverSettings }: SessionConfiguration): WrappedSession {
  const onKarpDown = driverSettings["on-karp-down"] === "fail" ? "fail" : "wait";
  return { name, remoteAddress, port, mode, onKarpDown };
}
