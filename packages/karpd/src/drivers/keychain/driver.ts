import { access, constants, lstat, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { SessionConfiguration } from "../../core/configuration.ts";
import type {
  ApplyOutcome,
  DriverFinding,
  DriverKey,
  ObserveOutcome,
  RevokeOutcome,
  RoutingDriver,
} from "../../ports/routingDriver.ts";
import { directoryFault, hasAccess, LinkInPlace, writeSecretFile } from "../atomicFile.ts";
import type { DriverContext } from "../context.ts";
import { keySetFault } from "../keys.ts";
import { DriverSettingsError } from "../sessionSettings.ts";
import { errnoOf, messageOf, printable } from "../text.ts";
import { keychainDocument, sessionOfDocument } from "./document.ts";
import { keychainFile } from "./settings.ts";

/** A JSON file with the keys, for a program of the operator's. */
export function createKeychainDriver(context: DriverContext): RoutingDriver {
  return new KeychainDriver(context);
}

const OWNER_ONLY = 0o600;

class KeychainDriver implements RoutingDriver {
  readonly name = "keychain";
  readonly observes = false;
  readonly #context: DriverContext;

  constructor(context: DriverContext) {
    this.#context = context;
  }

  async apply(session: SessionConfiguration, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    const fault = keySetFault(keys);
    if (fault !== undefined) return { kind: "refused", reason: fault };
    try {
      return await this.#write(session, keys);
    } catch (error) {
      return { kind: isSetUpFault(error) ? "refused" : "pending", reason: messageOf(error) };
    }
  }

  async observe(): Promise<ObserveOutcome> {
    return { kind: "unavailable", reason: "a file tells nothing about the connections" };
  }

  async revoke(session: SessionConfiguration, keep: readonly DriverKey[]): Promise<RevokeOutcome> {
    const outcome = await this.apply(session, keep);
    if (outcome.kind === "installed") return { kind: "revoked" };
    return { kind: "failed", reason: outcome.reason };
  }

  async examine(session: SessionConfiguration): Promise<readonly DriverFinding[]> {
    try {
      return await examineFile(keychainFile(session));
    } catch (error) {
      return [{ severity: "error", text: messageOf(error) }];
    }
  }

  async close(): Promise<void> {}

  async #write(session: SessionConfiguration, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    const path = keychainFile(session);
    const text = keychainDocument(session, keys);
    const before = await textOf(path);
    const isClosed = await hasAccess(path, { mode: OWNER_ONLY });
    if (before === text && isClosed) return { kind: "installed" };
    const foreign = before === undefined || before.trim() === "" ? undefined : foreignFile(path, before, session.name);
    if (foreign !== undefined) return { kind: "foreign", reason: foreign };
    if (!isClosed) {
      const advice = `if others could read it, karp rekey ${session.name}`;
      this.#context.log("warning", `keychain: ${session.name}: ${path} was not 0600; it is now: ${advice}`);
    }
    await writeSecretFile({ path, text, mode: OWNER_ONLY });
    this.#context.log("info", `keychain: ${session.name}: ${keys.length} keys written to ${path}`);
    return { kind: "installed" };
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Why the file is not ours to replace. Two sessions with one file would take turns in removing each other's keys. */
function foreignFile(path: string, text: string, session: string): string | undefined {
  const owner = sessionOfDocument(text);
  if (owner === session) return undefined;
  if (owner === undefined) return `${path} was not written by karp: move it away`;
  return `${path} has the keys of session ${printable(owner, 63)}: give each session a file of its own, or move it away`;
}

function isSetUpFault(error: unknown): boolean {
  const errno = errnoOf(error) ?? "";
  return (
    error instanceof DriverSettingsError ||
    error instanceof LinkInPlace ||
    ["ENOENT", "EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR"].includes(errno)
  );
}

async function examineFile(path: string): Promise<readonly DriverFinding[]> {
  const directory = dirname(path);
  try {
    await access(directory, constants.W_OK);
  } catch (error) {
    return [
      { severity: "error", text: `cannot write into ${directory} (${errnoOf(error)}): create it for karp's user` },
    ];
  }
  const status = await lstat(path).catch(() => undefined);
  if (status?.isSymbolicLink() === true) return [{ severity: "error", text: new LinkInPlace(path).message }];
  if (status !== undefined && (status.mode & 0o077) !== 0) {
    return [{ severity: "error", text: `${path} can be read by others: chmod 0600 ${path}` }];
  }
  const fault = await directoryFault(directory);
  if (fault !== undefined) return [{ severity: "error", text: fault }];
  return [{ severity: "ok", text: `keys go to ${path}` }];
}
