// Which keys are ours: by session, SendID, RecvID and fingerprint, never with octets. A key under IDs that we once had is
// ours only with that fingerprint: an operator may use them after us. And which sessions must be signed. Kept beside the
// socket, on a file system that a restart of the machine empties, as it empties every socket.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { idsOf } from "../drivers/keys.ts";
import type { HeldKey } from "./kernel.ts";

const schema = Type.Record(Type.String(), Type.Record(Type.String(), Type.String()));

/** A socket that could not be reached may still have an older key of ours under IDs that came again. */
const FINGERPRINTS_KEPT = 4;

/** Beside the IDs of a session's keys. */
const CLOSED = "closed";

type Written = Pick<HeldKey, "sendId" | "recvId" | "fingerprint">;

export class Ledger {
  readonly #file: string | undefined;
  readonly #log: (text: string) => void;
  /** Session, then "SendID/RecvID", to fingerprints, the latest first, with a space between two. */
  #entries: Static<typeof schema> = {};

  /** `file` absent: remembered while the process lives. */
  constructor(file: string | undefined, log: (text: string) => void) {
    this.#file = file;
    this.#log = log;
    if (file !== undefined) this.#entries = read(file, log);
  }

  isOurs(session: string, key: Written): boolean {
    return this.#fingerprints(session, key).includes(key.fingerprint);
  }

  /** Before the key is written anywhere: one that is written and not known would be foreign for ever. */
  note(session: string, key: Written): void {
    const known = this.#fingerprints(session, key);
    if (known[0] === key.fingerprint) return;
    const all = [key.fingerprint, ...known.filter((one) => one !== key.fingerprint)];
    const ofSession = { ...this.#entries[session], [idsOf(key)]: all.slice(0, FINGERPRINTS_KEPT).join(" ") };
    this.#store({ ...this.#entries, [session]: ofSession });
  }

  /** Whether its connections had to be signed when this was last noted. */
  wasClosed(session: string): boolean {
    return this.#entries[session]?.[CLOSED] !== undefined;
  }

  /** What is not keyed any more may run without keys meanwhile, and is not closed for having been once. */
  keepClosedOnly(sessions: ReadonlySet<string>): void {
    for (const session of Object.keys(this.#entries)) if (!sessions.has(session)) this.noteClosed(session, false);
  }

  noteClosed(session: string, isClosed: boolean): void {
    if (this.wasClosed(session) === isClosed) return;
    const { [CLOSED]: _, ...keys } = this.#entries[session] ?? {};
    this.#store({ ...this.#entries, [session]: isClosed ? { ...keys, [CLOSED]: "yes" } : keys });
  }

  #fingerprints(session: string, ids: Pick<Written, "sendId" | "recvId">): readonly string[] {
    return this.#entries[session]?.[idsOf(ids)]?.split(" ") ?? [];
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
