import { setTimeout as delay } from "node:timers/promises";
import { formatProblems } from "../config/formatProblems.ts";
import { loadConfiguration } from "../config/loadConfiguration.ts";
import type { LoadOptions } from "../config/settings.ts";
import { type Migration, migrate, migrationPlan, RolledBack } from "../migrate/migrate.ts";
import { type Handover, HandoverFailure } from "../ports/handover.ts";
import { manage, type Site, type Told, unmanage } from "../unmanage/unmanage.ts";
import type { LifeOptions, MigrateOptions } from "./life.ts";
import { CommandFailure } from "./text.ts";

export interface LifeSetting extends Pick<LoadOptions, "driverSchemas" | "driverAbilities"> {
  /** @param keyerSocket where the keyer serves, for drivers that need it */
  readonly handoverOf: (driver: string, keyerSocket: string) => Handover | undefined;
}

/** `karp unmanage` and `karp manage`. */
export async function handOver(
  what: "unmanage" | "manage",
  session: string,
  options: LifeOptions,
  setting: LifeSetting,
): Promise<{ readonly text: string; readonly ok: boolean }> {
  const site = await siteOf(session, options, setting);
  const told: Told = what === "unmanage" ? await unmanage(site, Date.now()) : await manage(site);
  return { ok: told.ok, text: options.json ? JSON.stringify(told, undefined, 2) : told.lines.join("\n") };
}

/** `karp migrate`. */
export async function migrateSession(
  session: string,
  options: MigrateOptions,
  setting: LifeSetting,
): Promise<{ readonly text: string; readonly ok: boolean }> {
  const { handover, ...site } = await siteOf(session, options, setting);
  if (handover === undefined) {
    const kind = site.session.driver;
    throw new CommandFailure(
      `driver ${kind} does not know what protects the session now: set mode: opportunistic for ${session} at both ends, ` +
        "and take passwords of this neighbour out of the routing daemon",
    );
  }
  const say = (line: string): void => console.error(`${new Date().toISOString()} ${line}`);
  const stopped = new AbortController();
  const clock = { now: () => performance.now(), sleep: (milliseconds: number) => delay(milliseconds) };
  const migration: Migration = {
    ...site,
    handover,
    configurationFile: options.config,
    withinSeconds: options.within,
    clock,
    signal: stopped.signal,
    say,
  };
  const { text, isNeeded } = await inASentence(migrationPlan(migration));
  if (options.plan || !isNeeded) return { text: asked(text, options), ok: true };
  if (!options.yes) throw new CommandFailure(`${text}\nsay it again with --yes to do this`);
  if (options.at !== undefined) {
    say(`begins at ${new Date(options.at).toISOString()}`);
    await delay(Math.max(0, options.at - Date.now()));
  }
  // From here on nobody is left with half of it: not by Ctrl-C, not by a terminal that is gone
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => stopped.abort(`stopped by ${name}`));
  }
  return { text: asked(await inASentence(migrate(migration)), options), ok: true };
}

/** What went wrong and was foreseen is for people. */
async function inASentence<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof RolledBack || error instanceof HandoverFailure) throw new CommandFailure(error.message);
    throw error;
  }
}

function asked(text: string, { json }: LifeOptions): string {
  return json ? JSON.stringify({ ok: true, lines: text.split("\n") }, undefined, 2) : text;
}

async function siteOf(name: string, options: LifeOptions, setting: LifeSetting): Promise<Site> {
  const { handoverOf, ...loading } = setting;
  const loaded = await loadConfiguration(options.config, loading);
  if (!loaded.ok) throw new CommandFailure(formatProblems(loaded.problems));
  const { sessions } = loaded.configuration;
  const session = sessions.find((one) => one.name === name);
  if (session === undefined) {
    const names = sessions.map((one) => one.name).join(", ");
    throw new CommandFailure(
      `there is no session ${name}; ${names === "" ? "none is configured" : `there are ${names}`}`,
    );
  }
  const { store, control, keyer } = loaded.daemon;
  return {
    session,
    store,
    socketPath: options.socket ?? control.socketPath,
    handover: handoverOf(session.driver, keyer.socketPath),
  };
}
