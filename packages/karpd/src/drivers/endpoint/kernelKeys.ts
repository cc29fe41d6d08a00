import type { DriverKey } from "../../ports/routingDriver.ts";
import { idsOf } from "../keys.ts";
import { errnoOf, messageOf } from "../text.ts";
import type { KernelSocket, KeyIds, SocketKey } from "./kernelSockets.ts";
import { isSameKey, sharesId } from "./keyRing.ts";

export type KernelFailure =
  | { readonly kind: "refused"; readonly reason: string; readonly adminKeyNames: readonly string[] }
  | { readonly kind: "pending"; readonly reason: string };

export type AddOutcome = { readonly kind: "added" } | KernelFailure;

/** The kernel will not take this key later either. */
const FINAL = new Set(["algorithmUnknown", "invalidKey", "invalidArgument", "macTooLong", "outOfRange", "md5Conflict"]);

/** Why the kernel does not have these keys. */
export function failureOf(error: unknown, keys: readonly DriverKey[]): KernelFailure {
  const reason = `the kernel: ${messageOf(error)}`;
  if (!FINAL.has(errnoOf(error) ?? "")) return { kind: "pending", reason };
  return { kind: "refused", reason, adminKeyNames: keys.map(({ adminKeyName }) => adminKeyName) };
}

/** The keys of one socket, brought step by step to what is wanted. The kernel tells the IDs; the octets are remembered. */
export class SocketKeys {
  readonly #socket: KernelSocket;
  readonly #given = new Map<string, DriverKey>();

  /** `given`: what it began with. */
  constructor(socket: KernelSocket, given: readonly DriverKey[]) {
    this.#socket = socket;
    for (const key of given) this.#given.set(idsOf(key), key);
  }

  get given(): readonly DriverKey[] {
    return [...this.#given.values()];
  }

  /** Deletes what has the ID of a wanted key and is another. @returns what the connection still uses */
  makeRoom(wanted: readonly DriverKey[], successor?: KeyIds): readonly KeyIds[] {
    const inTheWay = this.#unwanted(wanted).filter((present) => wanted.some((key) => sharesId(key, present)));
    return inTheWay.filter((key) => !this.#delete(key, successor));
  }

  /** Deletes what is not wanted. @returns what the connection still uses */
  deleteUnwanted(wanted: readonly DriverKey[], successor?: KeyIds): readonly KeyIds[] {
    return this.#unwanted(wanted).filter((key) => !this.#delete(key, successor));
  }

  /** Adds what is missing; stops at the first that the kernel does not take. */
  add(wanted: readonly DriverKey[]): AddOutcome {
    const present = new Set(this.#socket.keys().map(idsOf));
    for (const key of wanted) {
      if (present.has(idsOf(key))) {
        // An accepted connection brings its keys along
        this.#given.set(idsOf(key), this.#given.get(idsOf(key)) ?? key);
        continue;
      }
      try {
        this.#socket.addKey(key);
        this.#given.set(idsOf(key), key);
      } catch (error) {
        if (errnoOf(error) === "badDescriptor") throw error;
        return failureOf(error, [key]);
      }
    }
    return { kind: "added" };
  }

  /** rnext_key becomes the preferred key; with none preferred it only moves off one that is on its way out. */
  prefer(wanted: readonly DriverKey[]): void {
    const rnext = this.#socket.keys().find(({ isRnext }) => isRnext);
    const next = nextRnext(wanted, rnext);
    if (next !== undefined) this.#socket.askFor(next);
  }

  #unwanted(wanted: readonly DriverKey[]): readonly SocketKey[] {
    return this.#socket.keys().filter((present) => {
      const same = wanted.find((key) => idsOf(key) === idsOf(present));
      const given = this.#given.get(idsOf(present));
      return same === undefined || (given !== undefined && !isSameKey(given, same));
    });
  }

  #delete(key: SocketKey, successor?: KeyIds): boolean {
    try {
      this.#socket.deleteKey(key, successor);
    } catch (error) {
      if (errnoOf(error) === "keyInUse") return false;
      throw error;
    }
    this.#given.delete(idsOf(key));
    return true;
  }
}

/** The key to ask the peer for; undefined: leave rnext_key as it is. */
export function nextRnext(wanted: readonly DriverKey[], rnext: KeyIds | undefined): DriverKey | undefined {
  const preferred = wanted.find(({ use }) => use === "preferred");
  const now = wanted.find((key) => rnext !== undefined && idsOf(key) === idsOf(rnext));
  const isUsable = now !== undefined && now.use !== "deprecated";
  const next = preferred ?? (isUsable ? undefined : wanted.find(({ use }) => use === "accept"));
  return next === now ? undefined : next;
}
