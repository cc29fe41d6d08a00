import { formatProblems } from "../config/formatProblems.ts";
import { loadConfiguration } from "../config/loadConfiguration.ts";
import type { Configuration } from "../core/configuration.ts";
import { type DriverKinds, DriverSet, driverOptions } from "../runtime/driverSet.ts";
import { createLogger } from "../runtime/logger.ts";
import { type Finding, report } from "./findings.ts";

export interface CheckOptions {
  readonly configurationFile: string;
  readonly offline: boolean;
  readonly json: boolean;
  readonly driverKinds: DriverKinds;
}

/** `karp check`: the configuration, and unless offline the routing daemons' side of every session. Changes nothing. */
export async function check(options: CheckOptions): Promise<{ readonly text: string; readonly ok: boolean }> {
  const loaded = await loadConfiguration(options.configurationFile, driverOptions(options.driverKinds));
  if (!loaded.ok) {
    return {
      text: options.json ? JSON.stringify(loaded.problems, undefined, 2) : formatProblems(loaded.problems),
      ok: false,
    };
  }
  const warnings = loaded.warnings.length === 0 || options.json ? "" : `${formatProblems(loaded.warnings)}\n`;
  const { configuration } = loaded;
  const findings: Finding[] = [
    {
      severity: "ok",
      about: "configuration",
      text: `${options.configurationFile}: ${configuration.sessions.length} sessions, ${configuration.peers.length} peers`,
    },
    ...loaded.warnings.map(
      ({ what, advice, path }): Finding => ({ severity: "warning", about: path, text: `${what}; ${advice}` }),
    ),
  ];
  if (!options.offline) findings.push(...(await examineSessions(configuration, options.driverKinds)));
  const { text, ok } = report(findings, options.json);
  return { text: `${warnings}${text}`, ok };
}

/** What each session's driver finds wrong with the routing daemon's side. */
export async function examineSessions(
  configuration: Configuration,
  driverKinds: DriverKinds,
): Promise<readonly Finding[]> {
  const drivers = new DriverSet(driverKinds, createLogger("error"));
  try {
    const found = await Promise.all(
      configuration.sessions.map(async (session) =>
        (await drivers.driverOf(session).examine(session)).map((finding) => ({
          ...finding,
          about: `session ${session.name}`,
        })),
      ),
    );
    return found.flat();
  } finally {
    await drivers.close();
  }
}
