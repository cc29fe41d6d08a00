import { resolve } from "node:path";
import { formatIdentity } from "@karp/ikev2";
import type { SessionConfiguration } from "../core/configuration.ts";
import { checkTree } from "./checkTree.ts";
import { loadCredentials } from "./credentials.ts";
import { compareSessions } from "./crossChecks.ts";
import { ListenPlan } from "./listen.ts";
import { credentialName, explain, NamedFiles, readWhole } from "./namedFiles.ts";
import { parseYaml } from "./parseYaml.ts";
import { peersOf } from "./peers.ts";
import { Report } from "./report.ts";
import { configurationSchema, type FileWords } from "./schema.ts";
import { SessionLayers, sessionOf } from "./sessions.ts";
import type { LoadOptions, LoadResult, StoreSettings } from "./settings.ts";
import { parseName } from "./words.ts";

const defaultStore = "/var/lib/karp/store/keys.db";
const defaultSocket = "/run/karp/control.sock";

/** Tens of thousands of sessions. */
const largestConfiguration = 16 * 1024 * 1024;

/** Reads and checks the YAML file at `path` and everything that it names. Never rejects for a bad file: that is a result. */
export async function loadConfiguration(path: string, options: LoadOptions): Promise<LoadResult> {
  let isOpen = false;
  const octets = await readWhole(path, largestConfiguration, ({ mode }) => {
    isOpen = (mode & 0o002) !== 0;
    return true;
  }).catch((error: unknown) => ({ error }));
  if (!(octets instanceof Uint8Array)) return unreadable(path, octets?.error);
  const text = new TextDecoder().decode(octets);
  const report = new Report(path, text);
  // Whoever may write the configuration decides who may key the sessions
  if (isOpen) report.add("writableByAll", [], `everyone on this machine may write ${path}`, `chmod 644 ${path}`);
  const tree = parseYaml(text, report);
  if (tree === undefined) return { ok: false, problems: report.problems };
  report.locateIn(tree);
  const data = checkTree(tree, configurationSchema(options.driverSchemas), [], report);
  const isUsable = typeof data === "object" && data !== null && tree.kind === "map";
  // The schema has checked each part; parts with errors are not looked at below.
  const result = isUsable ? await interpret(data as Partial<FileWords>, path, options, report) : undefined;
  if (result === undefined || report.errors.length > 0) return { ok: false, problems: report.problems };
  return { ...result, warnings: report.warnings };
}

type Interpreted = Omit<Extract<LoadResult, { readonly ok: true }>, "warnings">;

async function interpret(
  data: Partial<FileWords>,
  path: string,
  options: LoadOptions,
  report: Report,
): Promise<Interpreted | undefined> {
  const file = usableParts(data, report);
  const files = new NamedFiles({ configurationFile: path, environment: options.environment ?? process.env }, report);
  const nowMilliseconds = options.nowMilliseconds ?? Date.now();
  const credentials = await loadCredentials(file, files, report, nowMilliseconds);
  const store = storeOf(file, files);
  const layers = sessionsOf(data, file, report);
  const router = parseName(file.router);
  const context = {
    drivers: options.driverSchemas,
    abilities: options.driverAbilities ?? {},
    router: router.ok ? router.value : undefined,
    report,
  };
  const sessions = layers.flatMap((one): readonly SessionConfiguration[] => {
    const session = sessionOf(one, file, context);
    return session === undefined ? [] : [session];
  });
  compareSessions(sessions, report);
  if (!router.ok || report.hasErrorUnder(["listen"])) return undefined;
  const listen = new ListenPlan(file, report);
  const peers = await peersOf(
    layers.filter(({ hasErrors }) => !hasErrors),
    { localIdentity: router.value, credentials, listen, files, report },
  );
  if (store === undefined) return undefined;
  const control = { socketPath: files.locate(file.control ?? defaultSocket, ["control"]) ?? defaultSocket };
  return {
    ok: true,
    configuration: { router: formatIdentity(router.value), peers, sessions },
    daemon: { listen: listen.addresses, store, control, trustAnchors: credentials.trustAnchors },
    files: [resolve(path), ...files.read],
  };
}

/** Parts with errors are left out: their defaults stand in while the rest is looked at. */
function usableParts(data: Partial<FileWords>, report: Report): FileWords {
  const isUsable = (word: string): boolean =>
    ["sessions", "credentials"].includes(word) || !report.hasErrorUnder([word]);
  const parts: Partial<FileWords> = Object.fromEntries(Object.entries(data).filter(([word]) => isUsable(word)));
  const credentials = Object.entries(data.credentials ?? {});
  return {
    ...parts,
    router: parts.router ?? "",
    credentials: Object.fromEntries(credentials.filter(([word]) => !report.hasErrorUnder(["credentials", word]))),
    sessions: parts.sessions ?? {},
  };
}

function sessionsOf(data: Partial<FileWords>, file: FileWords, report: Report): readonly SessionLayers[] {
  const names = Object.keys(data.sessions ?? {});
  if (data.sessions !== undefined && names.length === 0 && !report.hasErrorUnder(["sessions"])) {
    report.add(
      "noSessions",
      ["sessions"],
      "there is no session to key",
      "add one below `sessions:`, or begin with: karp init",
      {
        aim: "key",
        severity: "warning",
      },
    );
  }
  return names.map((name) => new SessionLayers(name, file, report));
}

function storeOf(file: FileWords, files: NamedFiles): StoreSettings | undefined {
  const path = files.locate(file.store ?? defaultStore, ["store"]);
  const key = file["store-key"] ?? `${path}.key`;
  const keyPath = files.locate(key, ["store-key"]);
  if (path === undefined || keyPath === undefined) return undefined;
  return { path, keyEncryptionKeyPath: keyPath, keyEncryptionKeyIsCredential: credentialName(key) !== undefined };
}

function unreadable(path: string, error: unknown): LoadResult {
  const { what, advice } = explain(error, path);
  const place = { file: path, line: 1, column: 1, length: 1, path: "", excerpt: "" };
  const hint = what.endsWith("does not exist") ? "write a first one with: karp init" : advice;
  return { ok: false, problems: [{ severity: "error", code: "unreadableFile", ...place, what, advice: hint }] };
}
