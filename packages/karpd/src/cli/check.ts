import { formatProblems } from "../config/formatProblems.ts";
import { loadConfiguration } from "../config/loadConfiguration.ts";
import type { ConfigProblem } from "../config/problem.ts";
import type { Configuration } from "../core/configuration.ts";
import { type DriverKinds, DriverSet, driverOptions } from "../runtime/driverSet.ts";
import { createLogger } from "../runtime/logger.ts";
import { type Finding, report } from "./findings.ts";
import { examineListening } from "./listening.ts";

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
      text: options.json
        ? JSON.stringify(loaded.problems.map(asFinding), undefined, 2)
        : formatProblems(loaded.problems),
      ok: false,
    };
  }
  const { configuration, warnings } = loaded;
  const sessions = countOf(configuration.sessions, "session");
  const peers = countOf(configuration.peers, "peer");
  const summary = `${options.configurationFile}: ${sessions}, ${peers}`;
  const findings: Finding[] = [{ severity: "ok", about: "configuration", text: summary }];
  // For people they stand above, with their lines and carets
  if (options.json) findings.push(...warnings.map(asFinding));
  if (!options.offline) {
    findings.push(...(await examineListening(loaded.daemon)));
    findings.push(...(await examineSessions(configuration, options.driverKinds, loaded.daemon.keyer.socketPath)));
  }
  const { text, ok } = report(findings, options.json);
  return { text: options.json || warnings.length === 0 ? text : `${formatProblems(warnings)}\n\n${text}`, ok };
}

/** A problem of the configuration as one line, with its place for programs. */
export function asFinding({ severity, path, what, advice, ...place }: ConfigProblem): Finding {
  const { code, file, line, column } = place;
  return {
    severity,
    about: path === "" ? "configuration" : path,
    text: `${what}; ${advice}`,
    code,
    file,
    line,
    column,
  };
}

function countOf(list: readonly unknown[], noun: string): string {
  return `${list.length} ${noun}${list.length === 1 ? "" : "s"}`;
}

/** What each session's driver finds wrong with the routing daemon's side. */
export async function examineSessions(
  configuration: Configuration,
  driverKinds: DriverKinds,
  keyerSocket: string,
): Promise<readonly Finding[]> {
  const drivers = new DriverSet(driverKinds, createLogger("error"), { keyerSocket });
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
