import type { DriverKey } from "../../ports/routingDriver.ts";
import { idsOf } from "../keys.ts";
import type { Activator } from "./activator.ts";
import type { FileKey } from "./fileKey.ts";
import type { IncludeFile } from "./includeFile.ts";
import { parseInclude } from "./includeFile.ts";
import {
  type IncludeTarget,
  includeState,
  readInclude,
  restoreInclude,
  type StoredInclude,
  writeInclude,
} from "./includeStore.ts";
import { isEstablished, type ProtocolDetails } from "./protocolDetails.ts";

/** What this process wrote last for one session, and for which keys: without it nothing is known of other people's hands. */
export class SessionMemory {
  #written: { readonly text: string; readonly fingerprint: string } | undefined;
  #wanted: readonly string[] | undefined;
  readonly #everWanted = new Set<string>();

  /** The keys that karp wants in BIRD from now on. */
  want(keys: readonly DriverKey[]): void {
    this.#wanted = keys.map(({ adminKeyName }) => adminKeyName);
    for (const name of this.#wanted) this.#everWanted.add(name);
  }

  /** Karp asked for it since this process began: a key that it wants gone, not one that somebody else left. */
  hasWanted({ adminKeyName }: Pick<FileKey, "adminKeyName">): boolean {
    return this.#everWanted.has(adminKeyName);
  }

  /** @returns whether the file was changed */
  async write(activator: Activator, target: IncludeTarget, before: StoredInclude, file: IncludeFile): Promise<boolean> {
    const isChanged = await activator.writing(() => writeInclude(target, before, file));
    await this.#note(target.path);
    return isChanged;
  }

  async restore(activator: Activator, target: IncludeTarget, text: string): Promise<void> {
    await activator.writing(() => restoreInclude(target, text));
    await this.#note(target.path);
  }

  /**
   * Puts back what karp wrote when somebody changed a word of it and BIRD has not read that yet: what BIRD has is then
   * what karp wrote. A file that says anything else than karp's own keys is left alone.
   * @returns whether it did
   */
  async repair(activator: Activator, target: IncludeTarget, found: StoredInclude): Promise<boolean> {
    const written = this.#written;
    if (written === undefined || found.text === undefined || found.text === written.text) return false;
    if (parseInclude(found.text).kind !== "ours" || activator.wasIncluded(await includeState(target.path)))
      return false;
    const wasRead = activator.wasIncluded({ changedAt: 0, fingerprint: written.fingerprint });
    await this.restore(activator, target, written.text);
    if (wasRead) activator.noteRead(await includeState(target.path));
    return true;
  }

  /** What is not as karp left it, as a sentence. */
  async drift(path: string, protocol: ProtocolDetails): Promise<string | undefined> {
    if (this.#written === undefined || this.#wanted === undefined) return undefined;
    const { text, keys } = await readInclude(path);
    if (text === undefined) return `${path} is gone; BIRD does not start without it`;
    if (text !== this.#written.text) return `${path} was changed by somebody`;
    const left = keys.filter((key) => !this.#wanted?.includes(key.adminKeyName) && !isInUse(key, protocol));
    return left.length === 0 ? undefined : `${left.map(idsOf).join(", ")} is not in use any more`;
  }

  async #note(path: string): Promise<void> {
    const { text = "" } = await readInclude(path);
    this.#written = { text, fingerprint: (await includeState(path)).fingerprint };
  }
}

function isInUse(key: FileKey, protocol: ProtocolDetails): boolean {
  if (!isEstablished(protocol)) return true;
  return key.sendId === protocol.tcpAo?.currentSendId || key.recvId === protocol.tcpAo?.rnextRecvId;
}
