import type { SessionConfiguration } from "../core/configuration.ts";
import { compareSessions } from "./crossChecks.ts";
import { interpretSessions, keyerSocketOf, readWords, sessionsOf, usableParts } from "./loadConfiguration.ts";
import { NamedFiles } from "./namedFiles.ts";
import type { ConfigProblem } from "./problem.ts";
import type { LoadOptions } from "./settings.ts";

export type SessionsResult =
  | { readonly ok: true; readonly sessions: readonly SessionConfiguration[]; readonly keyerSocket: string }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/**
 * The sessions of the configuration file and nothing else: no credential, no pre-shared key and no other file is opened.
 * For processes that must not have them.
 */
export async function readSessions(path: string, options: LoadOptions): Promise<SessionsResult> {
  const words = await readWords(path, options);
  if (!words.ok) return words;
  const { data, report } = words;
  if (data === undefined || report.errors.length > 0) return { ok: false, problems: report.problems };
  const file = usableParts(data, report);
  const sessions = interpretSessions(sessionsOf(data, file, report), file, options, report);
  compareSessions(sessions, options.driverAbilities ?? {}, report);
  const files = new NamedFiles({ configurationFile: path, environment: options.environment ?? process.env }, report);
  const keyerSocket = keyerSocketOf(file, files);
  if (report.errors.length > 0) return { ok: false, problems: report.problems };
  return { ok: true, sessions, keyerSocket };
}
