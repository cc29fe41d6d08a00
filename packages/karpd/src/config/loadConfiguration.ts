import { resolve } from "node:path";
import { formatIdentity } from "@karp/ikev2";
import type { SessionConfiguration } from "../core/configuration.ts";
import { DEFAULT_KEYER_SOCKET } from "../keyer/protocol.ts";
import { checkTree } from "./checkTree.ts";
import { loadCredentials } from "./credentials.ts";
import { compareSessions } from "./crossChecks.ts";
import { ListenPlan } from "./listen.ts";
import { credentialName, explain, NamedFiles, readWhole } from "./namedFiles.ts";
import { parseYaml } from "./parseYaml.ts";
import { peersOf } from "./peers.ts";
import type { ConfigProblem } from "./problem.ts";
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
  const words = await readWords(path, options);
  if (!words.ok) return words;
  const { data, report } = words;
  // The schema has checked each part; parts with errors are not looked at below.
  const result = data === undefined ? undefined : await interpret(data, path, options, report);
  if (result === undefined || report.errors.length > 0) return { ok: false, problems: report.problems };
  return { ...result, warnings: report.warnings };
}

type Words =
  | { readonly ok: true; readonly data: Partial<FileWords> | undefined; readonly report: Report }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** The file's words as far as the schema takes them; nothing that they name is opened. */
export async function readWords(path: string, { driverSchemas }: LoadOptions): Promise<Words> {
  let isOpen = false;
  const octets = await readWhole(path, largestConfiguration, ({ mode }) => {
    isOpen = (mode & 0o002) !== 0;
    return true;
  }).catch((error: unknown) => ({ error }));
  if (!(octets instanceof Uint8Array)) return { ok: false, problems: [unreadable(path, octets?.error)] };
  const text = new TextDecoder().decode(octets);
  const report = new Report(path, text);
  // Whoever may write the configuration decides who may key the sessions
  if (isOpen) report.add("writableByAll", [], `everyone on this machine may write ${path}`, `chmod 644 ${path}`);
  const tree = parseYaml(text, report);
  if (tree === undefined) return { ok: false, problems: report.problems };
  report.locateIn(tree);
  const data = checkTree(tree, configurationSchema(driverSchemas), [], report);
  const isUsable = typeof data === "object" && data !== null && tree.kind === "map";
  return { ok: true, data: isUsable ? (data as Partial<FileWords>) : undefined, report };
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
  const sessions = interpretSessions(layers, file, options, report);
  compareSessions(sessions, options.driverAbilities ?? {}, report);
  if (!router.ok || report.hasErrorUnder(["listen"])) return undefined;
  const listen = new ListenPlan(file, report);
  const peers = await peersOf(
    layers.filter(({ hasErrors }) => !hasErrors),
    { localIdentity: router.value, credentials, listen, files, report },
  );
  if (store === undefined) return undefined;
  const control = { socketPath: files.locate(file.control ?? defaultSocket, ["control"]) ?? defaultSocket };
  const keyer = { socketPath: keyerSocketOf(file, files) };
  return {
    ok: true,
    configuration: { router: formatIdentity(router.value), peers, sessions },
    daemon: { listen: listen.addresses, store, control, keyer, trustAnchors: credentials.trustAnchors },
    files: [resolve(path), ...files.read],
  };
}

/** The sessions that have no errors. */
export function interpretSessions(
  layers: readonly SessionLayers[],
  file: FileWords,
  options: LoadOptions,
  report: Report,
): readonly SessionConfiguration[] {
  const router = parseName(file.router);
  const context = {
    drivers: options.driverSchemas,
    abilities: options.driverAbilities ?? {},
    router: router.ok ? router.value : undefined,
    report,
  };
  return layers.flatMap((one) => sessionOf(one, file, context) ?? []);
}

/** Parts with errors are left out: their defaults stand in while the rest is looked at. */
export function usableParts(data: Partial<FileWords>, report: Report): FileWords {
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

export function sessionsOf(data: Partial<FileWords>, file: FileWords, report: Report): readonly SessionLayers[] {
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

export function keyerSocketOf({ keyer = DEFAULT_KEYER_SOCKET }: FileWords, files: NamedFiles): string {
  return files.locate(keyer, ["keyer"]) ?? DEFAULT_KEYER_SOCKET;
}

function storeOf(file: FileWords, files: NamedFiles): StoreSettings | undefined {
  const path = files.locate(file.store ?? defaultStore, ["store"]);
  const key = file["store-key"] ?? `${path}.key`;
  const keyPath = files.locate(key, ["store-key"]);
  if (path === undefined || keyPath === undefined) return undefined;
  return { path, keyEncryptionKeyPath: keyPath, keyEncryptionKeyIsCredential: credentialName(key) !== undefined };
}

function unreadable(path: string, error: unknown): ConfigProblem {
  const { what, advice } = explain(error, path);
  const place = { file: path, line: 1, column: 1, length: 1, path: "", excerpt: "" };
  const hint = what.endsWith("does not exist") ? "write a first one with: karp init" : advice;
  return { severity: "error", code: "unreadableFile", ...place, what, advice: hint };
}
