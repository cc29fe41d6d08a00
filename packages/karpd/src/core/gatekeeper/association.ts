import type { Instant, KeyLifetime, UnixMilliseconds } from "@karp/ikev2";
import type { DriverKey, Observation } from "../../ports/routingDriver.ts";
import type { SessionConfiguration } from "../configuration.ts";
import type { HeapItem } from "../deadlineHeap.ts";
import type { Severity } from "../events.ts";
import type { KeyTableChange, KeyTableRow } from "../keytable/row.ts";
import type { CommandReply } from "../machine.ts";
import type { Peer } from "./peer.ts";
import type { SelectorPair } from "./selectors.ts";

/** One RP pairing to be keyed: its MKTs, and what is under way with the peer, the driver and the store. */
export interface Association extends HeapItem {
  readonly name: string;
  session: SessionConfiguration;
  /** Undefined: no identity may key this session. */
  peer: Peer | undefined;
  /** False when the session is not configured any more: its keys stay, nothing is done. */
  isManaged: boolean;
  /** Oldest first; those that are removed and rest in quarantine too. */
  mkts: Mkt[];
  /** What the driver is asked to prefer. */
  preferred: Mkt | undefined;
  negotiation: Negotiation;
  /** Somebody asked for a new MKT. */
  request: string | undefined;
  /** When a connection that waits last made a difference. */
  wantedAt: Instant | undefined;
  /** SendIDs of requests whose fate is unknown: the peer may hold an MKT that we do not. */
  doubtful: readonly Doubt[];
  /** INTEG algorithms that the driver refused. */
  refusedAlgorithms: readonly string[];
  driver: Driver;
  watch: Watch;
  telling: Telling;
  /** All keys, or the expired ones, are being taken out of use. */
  closing: Closing | undefined;
  /** Set until somebody asks for new keys. */
  revokedBecause: string | undefined;
  frozenUntil: Instant | undefined;
  /** Once keyed, a session is never left without a key (sticky). */
  wasKeyed: boolean;
  saving: Saving | undefined;
  /** Changes that wait for the store, besides those of dirty MKTs. */
  changes: KeyTableChange[];
  /** Something must not wait for the store: a preference that turned out wrong. */
  isUrgent: boolean;
  /** Replies that leave once what they promise is stored. */
  replies: readonly PendingReply[];
  heldBack: Obstacle | undefined;
  /** People were told that there is no room for a key that the peer asks for. */
  exhausted: { readonly at: Instant; readonly detail: string } | undefined;
  /** Where its keys are of a chain that a neighbour gets, or were. */
  solo: Solo | undefined;
  completedRollovers: number;
  timeline: readonly { readonly at: UnixMilliseconds; readonly text: string }[];
}

/** The chain of dated keys of a neighbour without karp. */
export interface Solo {
  /** Number of the newest chain. */
  readonly chain: number;
  /** When a chain was given to somebody the last time; the dates count from the first time. */
  readonly handedOutAt: UnixMilliseconds | undefined;
  /** When people were last asked to hand over the next chain. */
  readonly askedAt: Instant | undefined;
  /** Keys that the neighbour did not switch to in time, as people were told. */
  readonly late: ReadonlySet<Mkt>;
}

export interface Mkt {
  row: KeyTableRow;
  situation: Situation;
  readonly fingerprint: string;
  /** Since when this process holds it. */
  readonly heldAt: Instant;
  softAt: Instant | undefined;
  hardAt: Instant | undefined;
  /** What the peer said of its own lifetimes when the MKT was made; not kept across a restart. */
  readonly peerLifetime: KeyLifetime | undefined;
  readonly origin: Origin | undefined;
  /** As negotiated by this process; undefined after a restart. */
  readonly selectors: SelectorPair | undefined;
  /** The response to the peer's request waits for the store. */
  commitId: number | undefined;
  /** Highest generation known to be on disk; 0: none. */
  storedGeneration: number;
  isDirty: boolean;
  acceptance: Acceptance;
  /** The peer said so itself (KEY_STATE 0), not merely nothing. */
  isUnknownToPeer: boolean;
  /** Last KEY_STATE about it. */
  heardAt: Instant | undefined;
  /** How often the peer changed its word lately, and what it said last when that was too often. */
  changes: { readonly since: Instant; readonly count: number } | undefined;
  unheard: { readonly state: number; readonly reason: string } | undefined;
  /** Tell again, though the state has not changed. */
  tellsAgain: boolean;
  toldAt: Instant | undefined;
  /** Last value of its counter of good segments. */
  good: number | undefined;
  /** A segment with it was accepted: last time that this was seen. */
  usedAt: Instant | undefined;
  /** A segment with it was accepted at some time. */
  wasUsed: boolean;
  hasExpired: boolean;
}

/** Who asked for the MKT, and the lowest nonce of its exchange: what collisions are decided by (RFC 7296 section 2.8.1). */
export interface Origin {
  readonly isOurs: boolean;
  readonly lowestNonce: string;
  /** Counts up in the association: wall times do not tell which one is newer. */
  readonly order: number;
}

export type Acceptance =
  /** Since the start of the process the driver has not said. */
  | { readonly name: "unknown" }
  | { readonly name: "absent" }
  | { readonly name: "accepted" }
  | { readonly name: "lost"; readonly reason: string }
  | { readonly name: "refused"; readonly reason: string };

/** D of ours about an MKT. */
export type Deletion =
  | { readonly name: "notSent" }
  | { readonly name: "sent"; readonly requestId: number }
  | { readonly name: "answered"; readonly at: Instant };

export type Situation =
  | { readonly name: "held"; readonly since: Instant }
  /** `barred`: it was preferred and nothing came up with it. */
  | {
      readonly name: "installed";
      readonly since: Instant;
      readonly barred: Barred | undefined;
      /** How often it was, once the bar is lifted by time. */
      readonly timesBarred?: number;
    }
  | Preferred
  | { readonly name: "current"; readonly since: Instant; readonly proof: Proof }
  | Retiring
  | {
      readonly name: "removed";
      readonly since: Instant;
      readonly deletion: Deletion;
      readonly tellsUnknown: boolean;
    };

export interface Barred {
  readonly since: Instant;
  readonly until: Instant;
  readonly times: number;
}

export interface Preferred {
  readonly name: "preferred";
  readonly since: Instant;
  /** The driver confirmed the preference. */
  readonly confirmedAt: Instant | undefined;
  /** There was no connection when it became preferred. */
  readonly wasIdle: boolean;
  /** Segments with other keys that were accepted since. */
  readonly otherSegments: number;
  readonly timesBarred: number;
}

/** "asked": the neighbour of a chain asks for the key, and the routing daemon does not count segments by key. */
export type Proof = "traffic" | "peer" | "idle" | "restored" | "asked";

export interface Retiring {
  readonly name: "retiring";
  readonly since: Instant;
  /** "replaced": its successor is current. "givenUp": it was never current and will not be. "failed": the driver refused it. */
  readonly why: "replaced" | "givenUp" | "failed";
  readonly reason: string;
  readonly deletion: Deletion;
  /** Since when the driver surely does not prefer it. */
  readonly unpreferredAt: Instant | undefined;
  /** It is being taken out of the driver. */
  readonly isLeaving: boolean;
}

export type Negotiation =
  | { readonly name: "idle" }
  | Wanted
  /** The SendID is being written to disk: after a crash it must not come to mean another key. */
  | { readonly name: "reserving"; readonly wanted: Wanted; readonly sendId: number }
  | {
      readonly name: "negotiating";
      readonly since: Instant;
      readonly sinceWall: UnixMilliseconds;
      readonly reason: string;
      readonly attempts: number;
      readonly requestId: number;
      readonly sendId: number;
      readonly rekeys: Mkt | undefined;
    };

export interface Wanted {
  readonly name: "wanted";
  readonly since: Instant;
  readonly sinceWall: UnixMilliseconds;
  readonly reason: string;
  readonly attempts: number;
  readonly notBefore: Instant;
  readonly lastFailure: string | undefined;
  /** Bitmap from KEYID_IN_USE. */
  readonly takenByPeer: Uint8Array | undefined;
  /** REKEY_SA was refused with CHILD_SA_NOT_FOUND: ask for a plain new one. */
  readonly asPlain: boolean;
}

/** Why a rollover that is wanted does not begin. */
export interface Obstacle {
  readonly whom: "peer" | "driver" | "store" | "clock" | "operator";
  readonly reason: string;
  readonly severity: Severity;
}

export interface Doubt {
  readonly sendId: number;
  readonly deletion: Deletion;
  readonly since: Instant;
}

/** What the driver is asked to hold: key and its use. */
export type Plan = ReadonlyMap<Mkt, DriverKey["use"]>;

export interface Driver {
  readonly activity: DriverActivity;
  /** The last plan that it confirmed since the start. */
  readonly confirmed: Plan | undefined;
  readonly trouble: Trouble | undefined;
  readonly attempts: number;
  /** The daemon was seen to differ from the confirmed plan. */
  readonly hasDrifted: boolean;
  /** How often in a row keys that the driver had confirmed were seen to be missing. */
  readonly losses: number;
}

export type DriverActivity =
  /** After a start: what is in use is looked at before anything is written. */
  | { readonly name: "unexamined" }
  | { readonly name: "idle" }
  | { readonly name: "applying"; readonly requestId: number; readonly plan: Plan; readonly since: Instant }
  | { readonly name: "waiting"; readonly until: Instant; readonly plan: Plan }
  | { readonly name: "revoking"; readonly requestId: number; readonly plan: Plan; readonly since: Instant };

export interface Trouble {
  readonly kind: "pending" | "refused" | "lost" | "foreign" | "silent";
  readonly reason: string;
  readonly since: Instant;
  readonly sinceWall: UnixMilliseconds;
}

export interface Watch {
  readonly requestId: number | undefined;
  readonly requestedAt: Instant | undefined;
  readonly last: { readonly at: Instant; readonly observation: Observation } | undefined;
  readonly answeredAt: Instant | undefined;
  readonly unavailable: string | undefined;
  /** A key that is none of ours is in use. */
  readonly foreign: { readonly since: Instant; readonly text: string } | undefined;
  /** How often in a row the daemon asked for another key than the plan says. */
  readonly strayCount: number;
}

export interface Telling {
  readonly sent: { readonly requestId: number; readonly items: readonly Told[] } | undefined;
  readonly attempts: number;
  readonly notBefore: Instant;
  /** Nothing can be said before the next IKE SA. */
  readonly waitsForIkeSa: boolean;
  /** The peer does not know yet how long no rollover begins here. */
  readonly tellsFreeze: boolean;
  readonly lastFailure: { readonly sinceWall: UnixMilliseconds; readonly text: string } | undefined;
}

export type Told =
  | { readonly kind: "state"; readonly mkt: Mkt; readonly state: number }
  | { readonly kind: "delete"; readonly mkt: Mkt }
  | { readonly kind: "doubt"; readonly sendId: number }
  | { readonly kind: "freeze"; readonly until: Instant | undefined };

export interface Closing {
  readonly why: "revoked" | "expired";
  readonly reason: string;
  readonly victims: readonly Mkt[];
  readonly attempts: number;
  readonly notBefore: Instant;
  readonly replyTo: number | undefined;
}

export interface Saving {
  readonly requestId: number;
  readonly rows: readonly { readonly mkt: Mkt; readonly generation: number }[];
  readonly changes: readonly KeyTableChange[];
  readonly replies: readonly PendingReply[];
}

/** The answer to a command, kept until what it promises is on disk: a crash right after it loses nothing (invariant 5). */
export interface PendingReply {
  readonly requestId: number;
  readonly reply: Extract<CommandReply, { readonly ok: true }>;
  /** What cannot be promised when the store fails: "the freeze of r". */
  readonly promise: string;
  /** The sessions whose changes are not on disk yet; one command may concern several. */
  readonly waitsFor: Set<Association>;
}

/** It is or may be in the driver, and can be used. */
export function isLive(mkt: Mkt): boolean {
  return mkt.situation.name !== "removed";
}

/** At most so many MKTs of one association are alive. */
export const MOST_LIVE_MKTS = 8;

export function liveMkts(association: Association): readonly Mkt[] {
  return association.mkts.filter(isLive);
}

export function isPlaceholder(mkt: Mkt): boolean {
  return mkt.row.createdBy === "placeholder";
}

/** A negotiated or manual MKT that is neither retiring nor removed. */
export function isServing(mkt: Mkt): boolean {
  return !isPlaceholder(mkt) && mkt.situation.name !== "retiring" && mkt.situation.name !== "removed";
}

export function currentMkt(association: Association): Mkt | undefined {
  return association.mkts.find((mkt) => mkt.situation.name === "current");
}

/** MKTs on their way to become current. */
export function candidates(association: Association): readonly Mkt[] {
  return association.mkts.filter((mkt) => isServing(mkt) && mkt.situation.name !== "current");
}

export function newestServing(association: Association): Mkt | undefined {
  return association.mkts.findLast(isServing);
}

export function isAccepted(mkt: Mkt): boolean {
  return mkt.acceptance.name === "accepted";
}

/** Everything about this association is on disk. */
export function isStored(association: Association): boolean {
  return (
    association.saving === undefined &&
    association.changes.length === 0 &&
    association.mkts.every((mkt) => !mkt.isDirty)
  );
}
