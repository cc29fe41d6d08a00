// The keys of one socket, made equal to what is wanted.
import { idsOf } from "../drivers/keys.ts";
import { messageOf } from "../drivers/text.ts";
import type { ApplyOutcome, DriverKey } from "../ports/routingDriver.ts";
import { isHeldAs } from "./keptKey.ts";
import { codeOf, type HeldKey, type KernelMkt, type OpenSocket } from "./kernel.ts";

/** What is wanted of a socket, and what is known of the keys that it may have. */
export interface Wish {
  readonly peer: string;
  readonly ifindex: number | undefined;
  readonly keys: readonly DriverKey[];
  /** Whether we wrote this very key: somebody else's may have IDs that were ours. */
  isOurs(one: HeldKey): boolean;
  /** Said before the key is written: one that is written and not known would be foreign for ever. */
  note(key: DriverKey): void;
}

type Ids = Pick<DriverKey, "sendId" | "recvId">;

export type Failure = Exclude<ApplyOutcome, { readonly kind: "installed" }>;

/** Deletes what stands in the way of a wanted key: the kernel takes only one key with an ID. */
export function makeRoom(open: OpenSocket, wish: Wish): Failure | undefined {
  for (const one of keysOf(open, wish)) {
    if (!wish.keys.some((key) => collides(key, one))) continue;
    const failure = clear(open, wish, one);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/**
 * Adds the wanted keys that are not there, after {@link makeRoom}; stops at the first that the kernel does not take.
 * What is there with the same octets is ours, also when nothing is written of it.
 */
export function addMissing(open: OpenSocket, wish: Wish): Failure | undefined {
  const present = keysOf(open, wish);
  for (const key of wish.keys) {
    if (present.some((one) => isHeldAs(key, one))) {
      wish.note(key);
      continue;
    }
    const failure = attempt([key], () => {
      wish.note(key);
      add(open, wish, key);
    });
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Of a connection: it has keys, and none that we wrote or want. */
export function hasForeignKeysOnly(open: OpenSocket, wish: Wish): boolean {
  // Not only those for the peer's own address: a key for a prefix around it signs the SYN as well
  const present = open.keys();
  const isKnown = (one: HeldKey): boolean => wish.isOurs(one) || wish.keys.some((key) => isHeldAs(key, one));
  return present.length > 0 && !present.some(isKnown);
}

/** A key that has an ID of `key` and is another one: the kernel takes only one of them. */
function collides(key: DriverKey, one: HeldKey): boolean {
  return (one.sendId === key.sendId || one.recvId === key.recvId) && !isHeldAs(key, one);
}

function clear(open: OpenSocket, wish: Wish, one: HeldKey): Failure | undefined {
  if (!wish.isOurs(one)) {
    const reason = `the socket has a key ${idsOf(one)} for ${wish.peer} that karp did not install; take it out, or add the IDs to reserved-key-ids`;
    return { kind: "foreign", reason };
  }
  if (one.isCurrent || one.isRnext) {
    return { kind: "pending", reason: `the connection still uses an older key with the IDs ${idsOf(one)}` };
  }
  return attempt([], () => remove(open, one));
}

function add(open: OpenSocket, { peer, ifindex }: Wish, key: DriverKey): void {
  key.masterKey.expose((masterKey) => open.add(mktOf({ peer, ifindex }, key, masterKey)));
}

export function mktOf(
  { peer, ifindex }: Pick<Wish, "peer" | "ifindex">,
  key: DriverKey,
  masterKey: Uint8Array,
): KernelMkt {
  const { sendId, recvId, algorithm, coversTcpOptions } = key;
  return { peer, ...(ifindex !== undefined && { ifindex }), sendId, recvId, algorithm, coversTcpOptions, masterKey };
}

/** rnext_key becomes the preferred key; with none preferred it only moves off one that is on its way out. */
export function askForPreferred(open: OpenSocket, wish: Wish): Failure | undefined {
  const rnext = open.keys().find(({ isRnext }) => isRnext);
  const next = nextRnext(wish.keys, rnext);
  return next === undefined ? undefined : attempt([next], () => open.askFor(next.recvId));
}

/**
 * Before the connection stands nobody else can say with what to send: the SYN, or the next one, has the preferred key
 * (RFC 5925 section 7.5: current_key and rnext_key are set by the user's interface).
 */
export function openWithPreferred(open: OpenSocket, wish: Wish): Failure | undefined {
  const { keys } = wish;
  const preferred = keys.find(({ use }) => use === "preferred");
  if (preferred === undefined) return undefined;
  const isSet = keysOf(open, wish).some((one) => one.isCurrent && one.isRnext && idsOf(one) === idsOf(preferred));
  return isSet ? undefined : attempt([preferred], () => open.askFor(preferred.recvId, preferred.sendId));
}

function nextRnext(keys: readonly DriverKey[], rnext: Ids | undefined): DriverKey | undefined {
  const now = rnext === undefined ? undefined : keys.find((key) => idsOf(key) === idsOf(rnext));
  const isUsable = now !== undefined && now.use !== "deprecated";
  const next =
    keys.find(({ use }) => use === "preferred") ?? (isUsable ? undefined : keys.find(({ use }) => use === "accept"));
  return next === now ? undefined : next;
}

/**
 * Deletes the keys that are ours and not wanted.
 * @param spared "SendID/RecvID" of those that stay for a while
 * @returns those that the connection still uses
 */
export function deleteUnwanted(open: OpenSocket, wish: Wish, spared: ReadonlySet<string> = new Set()): readonly Ids[] {
  const wanted = new Set(wish.keys.map(idsOf));
  const unwanted = keysOf(open, wish).filter(
    (one) => wish.isOurs(one) && !wanted.has(idsOf(one)) && !spared.has(idsOf(one)),
  );
  return unwanted.filter((one) => {
    if (one.isCurrent || one.isRnext) return true;
    try {
      remove(open, one);
      return false;
    } catch (error) {
      // The peer has asked for it meanwhile
      if (codeOf(error) === "keyInUse") return true;
      throw error;
    }
  });
}

/** The socket's keys for this peer in this VRF, or in all; a connection has no others. */
export function keysOf(open: OpenSocket, { peer, ifindex }: Pick<Wish, "peer" | "ifindex">): readonly HeldKey[] {
  const bits = peer.includes(":") ? 128 : 32;
  const isThere = (key: HeldKey): boolean =>
    ifindex === undefined || key.ifindex === undefined || key.ifindex === ifindex;
  return open.keys(peer).filter((key) => key.peer === peer && key.prefixLength >= bits && isThere(key));
}

function remove(open: OpenSocket, { peer, prefixLength, ifindex, sendId, recvId }: HeldKey): void {
  open.delete({ peer, prefixLength, ...(ifindex !== undefined && { ifindex }), sendId, recvId });
}

/** The kernel will not take this key later either. */
const FINAL: ReadonlySet<string> = new Set([
  "algorithmUnknown",
  "invalidKey",
  "invalidArgument",
  "macTooLong",
  "outOfRange",
]);

function attempt(keys: readonly DriverKey[], action: () => void): Failure | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    // The socket went meanwhile: the caller's business
    if (code === undefined || code === "badDescriptor") throw error;
    const reason = `the kernel: ${messageOf(error)}`;
    if (!FINAL.has(code)) return { kind: "pending", reason };
    return { kind: "refused", reason, adminKeyNames: keys.map(({ adminKeyName }) => adminKeyName) };
  }
}
