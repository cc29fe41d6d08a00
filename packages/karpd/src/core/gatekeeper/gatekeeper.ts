import type { CryptoProvider, IkeEvent, Instant, MktDecision, MktPolicy, MktRequest, Now } from "@karp/ikev2";
import { formatIdentity, isSameCredential, NotifyType } from "@karp/ikev2";
import type { Configuration, SessionConfiguration } from "../configuration.ts";
import { DeadlineHeap } from "../deadlineHeap.ts";
import type { KeyTableRow, KeyTableSnapshot } from "../keytable/row.ts";
import type { Command, DaemonInput } from "../machine.ts";
import { earliest, later } from "../time.ts";
import { consider, findSession } from "./admit.ts";
import { advance } from "./advance.ts";
import type { Entitlement } from "./answers.ts";
import { type Association, type Mkt, newestServing } from "./association.ts";
import { onRevoked, resumeClosing } from "./close.ts";
import { askedFact, askedSendIds } from "./doubts.ts";
import { tellExhausted } from "./exhaustion.ts";
import { onIkeEvent } from "./ikeEvents.ts";
import { onApplied, setDriver } from "./install.ts";
import { KeyIdTable } from "./keyIdTable.ts";
import { makeAssociation } from "./makeAssociation.ts";
import { originFact, parseOrigin, restoreMkt } from "./makeMkt.ts";
import { onObserved } from "./observe.ts";
import { makePeer, type Peer } from "./peer.ts";
import { isOfPeer } from "./peerState.ts";
import { perform, type Roll } from "./perform.ts";
import { clearRequest } from "./request.ts";
import { defaultRules, type Rules } from "./rules.ts";
import { type Save, Saves } from "./saves.ts";
import type { DriverTraits, Ground, Turn } from "./turn.ts";
import { noteManaged, noteUnmanaged, unmanagedFact } from "./unmanaged.ts";
import { onWanted, SELDOM_SECONDS } from "./wanted.ts";

export interface GatekeeperOptions {
  readonly crypto: Pick<CryptoProvider, "random" | "digest">;
  readonly snapshot: KeyTableSnapshot;
  readonly drivers: DriverTraits;
  readonly mayUseKeys: Entitlement;
  /** Replaced in proofs only. */
  readonly rules?: Rules | undefined;
}

/** The world's answers to the gatekeeper's own requests. */
export type Answer = Extract<
  DaemonInput,
  { readonly kind: "persisted" | "persistFailed" | "applied" | "observed" | "revoked" }
>;

/**
 * Stands between the routing protocols' sessions, the IKE engine and the key table: one `Association` for each session,
 * advanced by whatever concerns it. Costs O(log n) an event: nothing here walks over all associations but a
 * configuration, a view, the commands that name all, and once in ten seconds a segment with an unknown key.
 */
export class Gatekeeper implements MktPolicy {
  readonly ground: Ground;
  readonly #options: Pick<GatekeeperOptions, "mayUseKeys">;
  readonly #keyIds = new KeyIdTable();
  readonly #peers = new Map<string, Peer>();
  #peersByAddress: ReadonlyMap<string, Peer> = new Map();
  readonly #associations = new Map<string, Association>();
  /** MKTs of sessions that are not configured: their KeyIDs stay taken. */
  readonly #strays = new Map<string, readonly Mkt[]>();
  readonly #facts: Map<string, string>;
  readonly #heap = new DeadlineHeap<Association>();
  readonly #requests = new Map<number, Association>();
  readonly #saves = new Saves();
  /** Requests of peers that were refused for want of room since the last turn, for people to hear of. */
  readonly #exhausted = new Map<Association, string>();
  #touched = new Set<Association>();
  #lastRequestId = 0;
  #unknownKeySeenAt: Instant | undefined;

  constructor(options: GatekeeperOptions) {
    this.#options = options;
    this.#facts = new Map(options.snapshot.facts);
    this.ground = {
      crypto: options.crypto,
      rules: options.rules ?? defaultRules,
      drivers: options.drivers,
      keyIds: this.#keyIds,
      nextRequestId: (association) => this.#nextRequestId(association),
      storeFailure: () => this.#saves.failure,
    };
    this.#restoredRows = Map.groupBy(options.snapshot.rows, ({ session }) => session);
    this.#restoredDoubts = askedSendIds(options.snapshot.facts);
  }

  readonly #restoredRows: Map<string, KeyTableRow[]>;
  readonly #restoredDoubts: Map<string, readonly number[]>;

  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }

  get associations(): ReadonlyMap<string, Association> {
    return this.#associations;
  }

  nextDeadline(): Instant | undefined {
    return earliest(this.#heap.earliest, this.#saves.deadline);
  }

  // MktPolicy: questions of the engine; nothing changes but what people are told.

  consider(request: MktRequest, now: Now): MktDecision {
    const peer = this.#peers.get(request.peer);
    if (peer === undefined) return { kind: "refuse", notifyType: NotifyType.TS_UNACCEPTABLE, detail: "no such peer" };
    const association = findSession(peer, request);
    if (association === undefined) {
      const detail = "the traffic selectors mean no session of this peer";
      return { kind: "refuse", notifyType: NotifyType.TS_UNACCEPTABLE, detail };
    }
    const decision = consider(this.ground, peer, association, request, now);
    if (decision.kind === "refuse" && decision.notifyType === NotifyType.NO_ADDITIONAL_SAS) {
      this.#exhausted.set(association, decision.detail);
      this.#touched.add(association);
    }
    return decision;
  }

  answerDelete(peerName: string, recvIds: readonly number[]): readonly number[] {
    const peer = this.#peers.get(peerName);
    if (peer === undefined) return [];
    return recvIds.flatMap((recvId) => {
      const found = this.#keyIds.find(peer.localIdentity, peer.remoteIdentity, recvId);
      return found !== undefined && isOfPeer(found.association, found.mkt) ? [found.mkt.row.sendId] : [];
    });
  }

  onIkeEvent(turn: Turn, event: IkeEvent): void {
    onIkeEvent(
      turn,
      {
        peer: (name) => this.#peers.get(name),
        peerAt: (address) => this.#peersByAddress.get(address),
        session: (name) => this.#associations.get(name),
        takeRequest: (requestId) => this.#takeRequest(requestId),
        touch: (association) => this.#touched.add(association),
      },
      event,
    );
  }

  onAnswer(turn: Turn, answer: Answer): void {
    if (answer.kind === "persisted" || answer.kind === "persistFailed") {
      for (const association of this.#saves.onStored(turn, answer)) this.#touched.add(association);
      return;
    }
    const association = this.#takeRequest(answer.requestId);
    if (association === undefined) return;
    this.#touched.add(association);
    if (answer.kind === "applied") onApplied(turn, association, answer.requestId, answer.outcome);
    else if (answer.kind === "observed") onObserved(turn, association, answer.requestId, answer.outcome);
    else onRevoked(turn, association, answer.requestId, answer.outcome);
  }

  onTimeout(turn: Turn): void {
    this.#saves.onTimeout(turn);
    for (;;) {
      const due = this.#heap.takeDue(turn.now.monotonic);
      if (due === undefined) return;
      this.#touched.add(due);
    }
  }

  onCommand(turn: Turn, requestId: number, command: Command): void {
    const { mayUseKeys } = this.#options;
    const touch = (association: Association): void => void this.#touched.add(association);
    const roll = { associations: this.#associations, mayUseKeys, touch, ...this.#releases(turn) };
    const reply = perform(turn, roll, requestId, command);
    if (reply !== undefined) turn.effect({ kind: "reply", requestId, reply });
  }

  /** Whose segment it was is not known: every session that may be keyed and has no key is meant. */
  onUnknownKeySeen(turn: Turn): void {
    if (this.#unknownKeySeenAt !== undefined && turn.now.monotonic < later(this.#unknownKeySeenAt, SELDOM_SECONDS))
      return;
    this.#unknownKeySeenAt = turn.now.monotonic;
    for (const association of this.#associations.values()) {
      if (!association.isManaged || newestServing(association) !== undefined) continue;
      onWanted(turn, association, "a segment came with a key that is not known here");
      this.#touched.add(association);
    }
  }

  /** Takes a checked configuration. Keys of sessions that are gone stay; a changed peer's until a successor is in use. */
  configure(turn: Turn, configuration: Configuration): void {
    this.#configurePeers(configuration);
    const names = new Set(configuration.sessions.map(({ name }) => name));
    for (const association of this.#associations.values()) {
      if (names.has(association.name) || !association.isManaged) continue;
      this.#letGo(turn, association);
      const text = `session ${association.name} is not managed any more; its keys stay in place`;
      turn.event(association, "configured", "info", text);
    }
    for (const session of configuration.sessions) this.#configureSession(turn, session);
    for (const [name, rows] of this.#restoredRows) this.#keepStrays(turn, name, rows);
    this.#restoredRows.clear();
    turn.ike({ kind: "configure", peers: configuration.peers });
  }

  #configurePeers(configuration: Configuration): void {
    const names = new Set(configuration.peers.map(({ name }) => name));
    for (const name of this.#peers.keys()) if (!names.has(name)) this.#peers.delete(name);
    for (const config of configuration.peers) {
      const localIdentity = formatIdentity(config.localIdentity);
      const remoteIdentity = formatIdentity(config.remoteIdentity);
      const known = this.#peers.get(config.name);
      if (known?.localIdentity === localIdentity && known.remoteIdentity === remoteIdentity) {
        known.hasNewCredential ||= !isSameCredential(known.config, config);
        known.config = config;
      } else this.#peers.set(config.name, makePeer(config, localIdentity, remoteIdentity));
    }
    this.#peersByAddress = new Map([...this.#peers.values()].map((peer) => [peer.config.remote.address, peer]));
  }

  #configureSession(turn: Turn, session: SessionConfiguration): void {
    const peer = this.#peers.get(session.peer);
    const known = this.#associations.get(session.name);
    const association = known === undefined ? this.#add(turn, session, peer) : this.#change(turn, known, session, peer);
    if (this.#facts.has(unmanagedFact(session.name))) this.#letGo(turn, association);
    this.#touched.add(association);
  }

  /** RFC 3339; undefined: karp manages it, or it is not configured. */
  unmanagedSince({ name, isManaged }: Association): string | undefined {
    return isManaged ? undefined : this.#facts.get(unmanagedFact(name));
  }

  /** What `karp unmanage` and `karp manage` do; the fact survives a restart. */
  #releases(turn: Turn): Pick<Roll, "unmanagedSince" | "unmanage" | "manage"> {
    return {
      unmanagedSince: (association) => this.unmanagedSince(association),
      unmanage: (association) => {
        this.#facts.set(...noteUnmanaged(turn, association));
        this.#letGo(turn, association);
      },
      manage: (association) => {
        this.#facts.delete(noteManaged(turn, association));
        this.#change(turn, association, association.session, this.#peers.get(association.session.peer));
        setDriver(association, { activity: { name: "unexamined" }, confirmed: undefined });
        this.#touched.add(association);
      },
    };
  }

  #add(turn: Turn, session: SessionConfiguration, peer: Peer | undefined): Association {
    const stray = this.#strays.get(session.name) ?? [];
    for (const mkt of stray) this.#keyIds.remove(mkt);
    this.#strays.delete(session.name);
    const rows = this.#restoredRows.get(session.name) ?? stray.map(({ row }) => row);
    this.#restoredRows.delete(session.name);
    const mkts = rows.map((row) => this.#restore(turn, row, session));
    const association = makeAssociation(turn, session, peer, mkts, this.#facts);
    for (const mkt of mkts) this.#keyIds.add(association, mkt);
    this.#restoreDoubts(turn, association);
    resumeClosing(turn, association);
    this.#associations.set(session.name, association);
    peer?.associations.add(association);
    return association;
  }

  /** SendIDs that were asked for when the process ended: the peer may hold an MKT with them. */
  #restoreDoubts(turn: Turn, association: Association): void {
    const sendIds = this.#restoredDoubts.get(association.name) ?? [];
    this.#restoredDoubts.delete(association.name);
    for (const sendId of sendIds) {
      const isStored = association.mkts.some(({ row }) => row.sendId === sendId);
      if (isStored || association.peer === undefined) continue;
      this.#keyIds.reserve(association.peer.config, sendId, association);
      const doubt = { sendId, deletion: { name: "notSent" }, since: turn.now.monotonic } as const;
      association.doubtful = [...association.doubtful, doubt];
    }
  }

  #restore(turn: Turn, row: KeyTableRow, session: SessionConfiguration | undefined): Mkt {
    const mkt = restoreMkt(this.ground, row, session, turn.now, undefined);
    const origin = parseOrigin(this.#facts.get(originFact(mkt)));
    return origin === undefined ? mkt : { ...mkt, origin };
  }

  #keepStrays(turn: Turn, name: string, rows: readonly KeyTableRow[]): void {
    const mkts = rows.map((row) => this.#restore(turn, row, undefined));
    for (const mkt of mkts) this.#keyIds.addStray(mkt);
    this.#strays.set(name, mkts);
  }

  #change(turn: Turn, association: Association, session: SessionConfiguration, peer: Peer | undefined): Association {
    const { session: former } = association;
    if (association.peer !== peer) {
      this.#abandon(turn, association);
      association.peer?.associations.delete(association);
      association.peer = peer;
      association.telling = {
        ...association.telling,
        sent: undefined,
        attempts: 0,
        notBefore: turn.now.monotonic,
        waitsForIkeSa: false,
      };
    }
    peer?.associations.add(association);
    const wasManaged = association.isManaged;
    association.session = session;
    association.isManaged = true;
    const isElsewhere = JSON.stringify(placeOf(former)) !== JSON.stringify(placeOf(session));
    if (isElsewhere || !wasManaged) setDriver(association, { hasDrifted: true });
    return association;
  }

  /** The session is not configured any more, or left to people: its keys stay in the store and in the routing daemon. */
  #letGo(turn: Turn, association: Association): void {
    this.#abandon(turn, association);
    association.peer?.associations.delete(association);
    association.isManaged = false;
    association.negotiation = { name: "idle" };
    this.#heap.set(association, undefined);
    this.#touched.add(association);
  }

  #abandon(turn: Turn, association: Association): void {
    const { negotiation, peer } = association;
    if (negotiation.name === "negotiating") {
      turn.ike({ kind: "abandon", requestId: negotiation.requestId });
      this.#requests.delete(negotiation.requestId);
    }
    const asked = association.doubtful.map(({ sendId }) => sendId);
    if ("sendId" in negotiation) asked.push(negotiation.sendId);
    for (const sendId of asked) {
      association.changes.push({ kind: "deleteFact", name: askedFact(association.name, sendId) });
      if (peer !== undefined) this.#keyIds.unreserve(peer.config, sendId, association);
    }
    association.negotiation = { name: "idle" };
    clearRequest(association);
    association.doubtful = [];
  }

  /** Advances everything that this turn touched, until nothing is left to say. */
  settle(turn: Turn): void {
    for (const [association, detail] of this.#exhausted)
      tellExhausted(turn, association, `the peer was refused a new key: ${detail}`);
    this.#exhausted.clear();
    const touched = this.#touched;
    this.#touched = new Set();
    for (const association of touched) {
      advance(turn, association);
      this.#heap.set(association, turn.takeWake());
      this.#saves.add(association);
    }
  }

  get isSettled(): boolean {
    return this.#touched.size === 0;
  }

  /** One transaction for all that this turn changed; nothing that depends on it has left yet. */
  takeChanges(now: Now): Save | undefined {
    return this.#saves.take(now, () => {
      this.#lastRequestId += 1;
      return this.#lastRequestId;
    });
  }

  #nextRequestId(association: Association): number {
    this.#lastRequestId += 1;
    this.#requests.set(this.#lastRequestId, association);
    return this.#lastRequestId;
  }

  #takeRequest(requestId: number): Association | undefined {
    const association = this.#requests.get(requestId);
    this.#requests.delete(requestId);
    return association;
  }
}

/** What, when changed, means that the driver has to be told again. */
function placeOf(session: SessionConfiguration): unknown {
  return [
    session.driver,
    session.driverSettings,
    session.localAddress,
    session.remoteAddress,
    session.vrf,
    session.port,
    session.mode,
  ];
}
