import { compareBytes } from "../bytes/bytes.ts";
import type { EngineContext } from "./context.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure, Instant } from "./machine.ts";
import type { Peer } from "./peers.ts";
import { closeGracefully, removeIkeSa } from "./removal.ts";
import { move, submitWaiting, takeQueue } from "./requests.ts";
import type { Handshake, Secured } from "./states.ts";

/** What IKE_AUTH proved. */
export interface AuthOutcome {
  readonly peer: Peer;
  readonly handshake: Handshake;
  readonly credentialFingerprint: string;
  /** The peer sent INITIAL_CONTACT. */
  readonly initialContact: boolean;
}

const REPLACED: ExchangeFailure = { reason: "ikeSaClosed", detail: "another IKE SA took its place" };
const FORGOTTEN: ExchangeFailure = { reason: "ikeSaClosed", detail: "the peer knows of no earlier IKE SA" };

/** Both ends are authenticated: the IKE SA is established, others of this peer may have to go. */
export function establish(engine: EngineContext, sa: IkeSa, outcome: AuthOutcome): Secured {
  const { peer, handshake } = outcome;
  const now = engine.now.monotonic;
  const lowestNonce = lowest(handshake.ni, handshake.nr);
  const secured = newSecured(engine, {
    cipher: handshake.cipher,
    peer,
    peerSpeaksKarp: handshake.peerSpeaksKarp,
    credentialFingerprint: outcome.credentialFingerprint,
    lowestNonce,
    origin: { isInitiator: sa.isInitiator, lowestNonce, establishedOrder: engine.nextNumber() },
    reauthenticateAt: jittered(engine, now, peer.config.reauthenticateAfterSeconds),
  });
  sa.peer = peer;
  sa.state = { name: "established", secured };
  engine.deadlines.cancel(sa.expiry);
  sa.expiry = undefined;
  engine.ikeSas.authenticated(sa);
  if (peer.attempt === sa) peer.attempt = undefined;
  if (!peer.ikeSas.includes(sa)) peer.ikeSas.push(sa);
  engine.emit({
    kind: "ikeSaEstablished",
    peer: peer.name,
    isInitiator: sa.isInitiator,
    peerSpeaksKarp: secured.peerSpeaksKarp,
    credentialFingerprint: secured.credentialFingerprint,
    initialContact: outcome.initialContact,
    suite: handshake.cipher.suite.text,
  });
  if (outcome.initialContact) forgetEarlier(engine, sa, peer);
  if (sa.isInitiator) replaceEarlier(engine, sa, peer);
  pushOut(engine, sa, peer);
  settleSimultaneous(engine, sa, peer);
  submitWaiting(engine, peer);
  scheduleRenewal(engine, sa);
  return secured;
}

export function newSecured(
  engine: EngineContext,
  from: Pick<Secured, "peer" | "peerSpeaksKarp" | "credentialFingerprint" | "cipher" | "lowestNonce" | "origin"> & {
    readonly reauthenticateAt: Instant;
  },
): Secured {
  const now = engine.now.monotonic;
  const { peer, peerSpeaksKarp, credentialFingerprint, cipher, lowestNonce, origin, reauthenticateAt } = from;
  return {
    peer,
    peerSpeaksKarp,
    credentialFingerprint,
    cipher,
    lowestNonce,
    origin,
    establishedAt: engine.now.wall,
    mkts: new Map(),
    held: undefined,
    rekeyedByPeer: undefined,
    lifetime: {
      rekeyAt: jittered(engine, now, peer.config.rekeyAfterSeconds),
      rekeyFailures: 0,
      reauthenticateAt,
      reauthenticationTries: 0,
      lastHeardAt: now,
      lastProbedAt: now,
      lastUsedAt: now,
    },
  };
}

/** The earliest moment at which the IKE SA needs us; what is due then, renewal.ts finds out. */
export function scheduleRenewal(engine: EngineContext, sa: IkeSa): void {
  engine.deadlines.cancel(sa.renewal);
  sa.renewal = undefined;
  if (sa.state.name !== "established") return;
  const { lifetime, peer } = sa.state.secured;
  const { livenessAfterSeconds, releaseAfterIdleSeconds } = peer.config;
  const at = Math.min(
    lifetime.rekeyAt,
    lifetime.reauthenticateAt,
    Math.max(lifetime.lastHeardAt, lifetime.lastProbedAt) + livenessAfterSeconds * 1000,
    releaseAfterIdleSeconds === undefined
      ? Number.POSITIVE_INFINITY
      : lifetime.lastUsedAt + releaseAfterIdleSeconds * 1000,
  );
  if (at < Number.POSITIVE_INFINITY) sa.renewal = engine.deadlines.schedule(at as Instant, { kind: "renewal", sa });
}

/** "Lowest": octet by octet, RFC 7296 section 2.8.1. */
export function lowest(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) <= 0 ? a : b;
}

/** RFC 7296 section 2.8.1: rekeying SHOULD be jittered. Only ever shortened. */
function jittered(engine: EngineContext, now: Instant, seconds: number): Instant {
  return (now + seconds * 1000 * (1 - engine.settings.jitter * engine.randomFraction())) as Instant;
}

/**
 * INITIAL_CONTACT (RFC 7296 section 2.4): the peer has no other IKE SA with us. It cannot speak of one that came up
 * while this one was being set up (simultaneous initiation), so those stay.
 */
function forgetEarlier(engine: EngineContext, sa: IkeSa, peer: Peer): void {
  for (const other of earlierThan(sa, peer)) removeIkeSa(engine, other, { failure: FORGOTTEN, operations: "move" });
}

/** Reauthentication (RFC 7296 section 2.8.3): who made the new IKE SA deletes the old one. */
function replaceEarlier(engine: EngineContext, sa: IkeSa, peer: Peer): void {
  for (const other of earlierThan(sa, peer)) {
    closeGracefully(engine, other, { failure: REPLACED, operations: "move" });
  }
}

/**
 * A peer that makes one IKE SA after the other, and deletes none, does not fill our memory. The oldest get a Delete (RFC
 * 7296 section 2.4); those whose Delete the peer does not answer before the next IKE SA comes go without.
 */
function pushOut(engine: EngineContext, sa: IkeSa, peer: Peer): void {
  const surplus = peer.ikeSas.length - engine.settings.ikeSasPerPeer;
  if (surplus <= 0) return;
  const ending = { failure: REPLACED, operations: "move" } as const;
  const others = peer.ikeSas.filter((other) => other !== sa && other !== peer.attempt);
  for (const other of others.slice(0, surplus)) {
    if (other.state.name === "closing") removeIkeSa(engine, other, ending);
    else closeGracefully(engine, other, ending);
  }
}

/** The IKE SAs, and what they were rekeyed to, that were there before this one began. */
function earlierThan(sa: IkeSa, peer: Peer): readonly IkeSa[] {
  return peer.ikeSas.filter((other) => {
    const established = other.secured?.origin.establishedOrder;
    return other !== sa && established !== undefined && established < sa.order;
  });
}

/**
 * Both ends began an IKE SA at the same time: as with rekeys (RFC 7296 section 2.8.1), the one with the lowest of the
 * four nonces is closed by its creator. One that was rekeyed meanwhile goes, or stays, in the place of the one that it
 * descends from.
 */
function settleSimultaneous(engine: EngineContext, sa: IkeSa, peer: Peer): void {
  for (const other of peer.establishedIkeSas()) {
    if (other === sa || other.state.name !== "established" || sa.state.name !== "established") continue;
    const [own, theirs] = [sa.state.secured.origin, other.state.secured.origin];
    const overlaps = own.isInitiator !== theirs.isInitiator && theirs.establishedOrder > sa.order;
    if (overlaps) retire(engine, compareBytes(own.lowestNonce, theirs.lowestNonce) < 0 ? sa : other, peer);
  }
}

function retire(engine: EngineContext, loser: IkeSa, peer: Peer): void {
  if (loser.state.name !== "established") return;
  if (loser.state.secured.origin.isInitiator) {
    closeGracefully(engine, loser, { failure: REPLACED, operations: "move" });
    return;
  }
  loser.state = { name: "redundant", secured: loser.state.secured };
  scheduleRenewal(engine, loser);
  // While an answer is held, its own deadline runs, and this one begins when it has left
  if (loser.state.secured.held === undefined) {
    const at = engine.after(engine.settings.replacedSeconds);
    loser.expiry = engine.deadlines.schedule(at, { kind: "expiry", sa: loser });
  }
  move(engine, peer, takeQueue(loser), REPLACED);
}
