import type { Instant, KeyLifetime, NegotiatedMkt, Now, Secret, UnixMilliseconds } from "@karp/ikev2";
import { hex } from "@karp/ikev2";
import type { SessionConfiguration } from "../configuration.ts";
import { keyFingerprint } from "../keytable/fingerprint.ts";
import type { CreatedBy, KeyTableRow, MktAlgorithm } from "../keytable/row.ts";
import { later, wallLater } from "../time.ts";
import type { Association, Mkt, Origin, Situation } from "./association.ts";
import { leaveFirstMove, planLifetime } from "./lifetimes.ts";
import { type KeyDates, lifetimesOf } from "./solo/dates.ts";
import type { Ground, Turn } from "./turn.ts";

export interface NewKey {
  readonly createdBy: CreatedBy;
  readonly sendId: number;
  readonly recvId: number;
  readonly algorithm: MktAlgorithm;
  readonly coversTcpOptions: boolean;
  readonly masterKey: Secret;
  readonly credentialFingerprint: string;
  readonly replaces: Mkt | undefined;
  readonly origin: Origin | undefined;
  readonly selectors?: Mkt["selectors"];
  /** As the peer was told; planned anew where nobody was. */
  readonly lifetime?: KeyLifetime | undefined;
  readonly peerLifetime?: KeyLifetime | undefined;
  /** Of a key in a chain: instead of lifetimes. */
  readonly dates?: KeyDates;
  readonly commitId: number | undefined;
}

/** A new MKT, not yet stored. */
export function makeMkt(turn: Turn, association: Association, key: NewKey): Mkt {
  const { now } = turn;
  const lives = key.createdBy !== "placeholder";
  const { softSeconds, hardSeconds } = lifetimeOf(turn, association, key);
  const row = makeRow(turn, association, key, lives ? { softSeconds, hardSeconds } : undefined);
  const mkt = wrap(turn.ground, row, { name: "held", since: now.monotonic }, now.monotonic, {
    softAt: lives ? later(now.monotonic, softSeconds) : undefined,
    hardAt: lives ? later(now.monotonic, hardSeconds) : undefined,
    peerLifetime: key.peerLifetime,
    origin: key.origin,
    selectors: key.selectors,
  });
  mkt.commitId = key.commitId;
  mkt.isDirty = true;
  mkt.good = 0;
  return mkt;
}

function lifetimeOf(turn: Turn, association: Association, { dates, lifetime, peerLifetime }: NewKey): KeyLifetime {
  if (dates === undefined) {
    return leaveFirstMove(association, lifetime ?? planLifetime(turn.ground, association), peerLifetime);
  }
  const secondsUntil = (at: UnixMilliseconds): number => (at - turn.now.wall) / 1000;
  return { softSeconds: secondsUntil(dates.sendUntil), hardSeconds: secondsUntil(dates.acceptUntil) };
}

/** An MKT as the store had it. Wall times count only here, and are clamped: a clock that jumped removes no key. */
export function restoreMkt(
  ground: Ground,
  row: KeyTableRow,
  session: SessionConfiguration | undefined,
  now: Now,
  origin: Origin | undefined,
): Mkt {
  // What dates say is not ours to clamp
  const { everySeconds, hardSeconds } = (row.createdBy === "solo" ? undefined : session?.rollover) ?? {};
  const mkt = wrap(ground, row, restoredSituation(row, session, now), now.monotonic, {
    softAt: restoredDeadline(row.softExpiresAt, now, 0, everySeconds),
    hardAt: restoredDeadline(row.hardExpiresAt, now, GRACE_SECONDS, hardSeconds),
    peerLifetime: undefined,
    origin,
    selectors: undefined,
  });
  mkt.storedGeneration = row.generation;
  // What was said and heard just before the crash may not be on disk: all is said again, which asks the peer to do so too.
  mkt.tellsAgain = row.state !== "removed" && row.createdBy === "ike";
  // What was said and not yet answered when the process ended may have arrived.
  if (row.toldState !== 0 || row.history.installed !== undefined) mkt.toldAt = now.monotonic;
  return mkt;
}

/** What a restart leaves of a hard lifetime at least, so that a successor can be negotiated first. */
const GRACE_SECONDS = 600;

function restoredDeadline(
  at: KeyTableRow["softExpiresAt"],
  now: Now,
  leastSeconds: number,
  mostSeconds: number | undefined,
): Instant | undefined {
  if (at === undefined) return undefined;
  const remaining = Math.max(leastSeconds, (at - now.wall) / 1000);
  return later(now.monotonic, Math.min(remaining, Math.max(leastSeconds, (mostSeconds ?? remaining) * 2)));
}

function restoredSituation(row: KeyTableRow, session: SessionConfiguration | undefined, now: Now): Situation {
  const since = now.monotonic;
  switch (row.state) {
    case "held":
      return { name: "held", since };
    case "installed":
      return { name: "installed", since, barred: undefined };
    case "preferred":
      return { name: "preferred", since, confirmedAt: undefined, wasIdle: false, otherSegments: 0, timesBarred: 0 };
    case "current":
      return { name: "current", since, proof: "restored" };
    case "retiring":
    case "failed":
      return restoredRetiring(row, session, now);
    case "removed":
      return { name: "removed", since, deletion: restoredDeletion(row, since), tellsUnknown: false };
  }
}

/** The part of keep-old that has passed counts; the drain begins anew. */
function restoredRetiring(row: KeyTableRow, session: SessionConfiguration | undefined, now: Now): Situation {
  const passed = (now.wall - (row.history.retiring ?? now.wall)) / 1000;
  const most = session === undefined ? 0 : Math.min(session.rollover.keepOldSeconds, session.rollover.everySeconds / 4);
  const since = later(now.monotonic, -Math.min(Math.max(0, passed), most));
  const replaced = row.history.current !== undefined || row.createdBy === "placeholder";
  const why = row.state === "failed" ? "failed" : replaced ? "replaced" : "givenUp";
  return {
    name: "retiring",
    since,
    why,
    reason: row.peerReason,
    deletion: restoredDeletion(row, now.monotonic),
    unpreferredAt: undefined,
    isLeaving: false,
  };
}

function restoredDeletion(
  row: KeyTableRow,
  at: Instant,
): { readonly name: "notSent" } | { readonly name: "answered"; readonly at: Instant } {
  return row.deleteAnsweredAt !== undefined || row.createdBy !== "ike" ? { name: "answered", at } : { name: "notSent" };
}

function wrap(
  ground: Ground,
  row: KeyTableRow,
  situation: Situation,
  heldAt: Instant,
  fixed: Pick<Mkt, "softAt" | "hardAt" | "peerLifetime" | "origin" | "selectors">,
): Mkt {
  return {
    row,
    situation,
    fingerprint: row.key === undefined ? "" : keyFingerprint(ground.crypto, row.key),
    heldAt,
    ...fixed,
    commitId: undefined,
    storedGeneration: 0,
    isDirty: false,
    acceptance: { name: row.state === "held" ? "absent" : "unknown" },
    isUnknownToPeer: false,
    heardAt: undefined,
    changes: undefined,
    unheard: undefined,
    tellsAgain: false,
    toldAt: undefined,
    good: undefined,
    usedAt: undefined,
    wasUsed: false,
    hasExpired: false,
  };
}

function makeRow(
  turn: Turn,
  { name, session, peer }: Association,
  key: NewKey,
  lifetimes: { readonly softSeconds: number; readonly hardSeconds: number } | undefined,
): KeyTableRow {
  const { wall } = turn.now;
  return {
    adminKeyName: `${name}/${hex(turn.ground.crypto.random(8))}`,
    session: name,
    recvId: key.recvId,
    sendId: key.sendId,
    peers: [session.remoteAddress],
    interfaces: "all",
    protocol: "TCP-AO",
    protocolSpecificInfo: {
      routingProtocol: session.protocol,
      port: session.port,
      localAddress: session.localAddress,
      remoteAddress: session.remoteAddress,
      coversTcpOptions: key.coversTcpOptions,
      ...(session.vrf === undefined ? {} : { vrf: session.vrf }),
    },
    algorithm: key.algorithm,
    key: key.masterKey,
    direction: "both",
    acceptLifetimeStart: wall,
    ...(key.dates === undefined ? {} : lifetimesOf(key.dates)),
    state: "held",
    createdBy: key.createdBy,
    localIdentity: peer?.localIdentity ?? "",
    peerIdentity: peer?.remoteIdentity ?? "",
    credentialFingerprint: key.credentialFingerprint,
    generation: 1,
    ...(key.replaces === undefined ? {} : { replaces: key.replaces.row.adminKeyName }),
    history: { held: wall },
    peerState: 0,
    peerReason: "",
    toldState: 0,
    ...(lifetimes === undefined
      ? {}
      : {
          softExpiresAt: wallLater(wall, lifetimes.softSeconds),
          hardExpiresAt: wallLater(wall, lifetimes.hardSeconds),
        }),
  };
}

export function originOf(
  { mkts }: Association,
  { isInitiator, nonces }: Pick<NegotiatedMkt, "isInitiator" | "nonces">,
): Origin {
  const [lowestNonce = ""] = [hex(nonces.initiator), hex(nonces.responder)].sort();
  const order = Math.max(0, ...mkts.map(({ origin }) => origin?.order ?? 0)) + 1;
  return { isOurs: isInitiator, lowestNonce, order };
}

export function originFact(mkt: Mkt): string {
  return `origin:${mkt.row.adminKeyName}`;
}

export function formatOrigin({ isOurs, lowestNonce, order }: Origin): string {
  return `${isOurs ? "ours" : "peers"}:${lowestNonce}:${order}`;
}

export function parseOrigin(text: string | undefined): Origin | undefined {
  const [who, lowestNonce, order] = text?.split(":") ?? [];
  if (who === undefined || lowestNonce === undefined || order === undefined) return undefined;
  return { isOurs: who === "ours", lowestNonce, order: Number(order) };
}
