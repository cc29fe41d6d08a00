// Which keys are ours: by session, SendID, RecvID and fingerprint, never with octets. Kept beside the socket, on a file
// system that a restart of the machine empties, as it empties every socket.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { fingerprintOf, idsOf } from "../drivers/keys.ts";
import type { DriverKey } from "../ports/routingDriver.ts";

const schema = Type.Record(Type.String(), Type.Record(Type.String(), Type.String()));

export class Ledger {
  readonly #file: string | undefined;
  readonly #log: (text: string) => void;
  /** Session, then "SendID/RecvID", to fingerprint. */
  #entries: Static<typeof schema> = {};

  /** `file` absent: remembered while the process lives. */
  constructor(file: string | undefined, log: (text: string) => void) {
    this.#file = file;
    this.#log = log;
    if (file !== undefined) this.#entries = read(file, log);
  }

  /** The fingerprint of the key that we wrote under these IDs. */
  fingerprint(session: string, ids: Ids): string | undefined {
    return this.#entries[session]?.[idsOf(ids)];
  }

  isOurs(session: string, ids: Ids): boolean {
    return this.fingerprint(session, ids) !== undefined;
  }

  /** Before the key is written anywhere: one that is written and not known would be foreign for ever. */
  note(session: string, keys: readonly DriverKey[]): void {
    const known = { ...this.#entries[session] };
    let isNew = false;
    for (const key of keys) {
      const fingerprint = fingerprintOf(key);
      isNew ||= known[idsOf(key)] !== fingerprint;
      known[idsOf(key)] = fingerprint;
    }
    if (isNew) this.#store({ ...this.#entries, [session]: known });
  }

  #store(entries: Static<typeof schema>): void {
    this.#entries = entries;
    if (this.#file === undefined) return;
    try {
      writeFileSync(`${this.#file}.new`, JSON.stringify(entries), { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      this.#log(`${this.#file} cannot be written (${String(error)}): after a restart our keys may seem foreign`);
    }
  }
}

type Ids = Pick<DriverKey, "sendId" | "recvId">;

function read(file: string, log: (text: string) => void): Static<typeof schema> {
  try {
    const entries: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (Value.Check(schema, entries)) return entries;
    log(`${file} is not ours: begun anew`);
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!isMissing) log(`${file} cannot be read (${String(error)}): begun anew`);
  }
  return {};
}
