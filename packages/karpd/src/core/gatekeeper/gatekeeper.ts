import type { CryptoProvider, IkeEvent, Instant, MktDecision, MktPolicy, MktRequest, Now } from "@karp/ikev2";
import { formatIdentity, NotifyType } from "@karp/ikev2";
import type { Configuration, SessionConfiguration } from "../configuration.ts";
import { DeadlineHeap } from "../deadlineHeap.ts";
import type { KeyTableChange, KeyTableRow, KeyTableSnapshot } from "../keytable/row.ts";
import type { Command, CommandReply, DaemonInput } from "../machine.ts";
import { earliest, later } from "../time.ts";
import { consider } from "./admit.ts";
import { advance } from "./advance.ts";
import type { Association, Mkt } from "./association.ts";
import { onRevoked } from "./close.ts";
import { deleteKey, type Entitlement, insertKey, onFreezeCommand, onSessionCommand } from "./commands.ts";
import { onIkeEvent } from "./ikeEvents.ts";
import { onApplied, setDriver } from "./install.ts";
import { KeyIdTable } from "./keyIdTable.ts";
import { makeAssociation } from "./makeAssociation.ts";
import { originFact, parseOrigin, restoreMkt } from "./makeMkt.ts";
import { askedFact, askedSendIds } from "./negotiate.ts";
import { onObserved } from "./observe.ts";
import type { Peer } from "./peer.ts";
import { isOfPeer } from "./peerState.ts";
import { onSaved, onSaveFailed, takeUnsaved } from "./persist.ts";
import { defaultRules, type Rules } from "./rules.ts";
import type { DriverTraits, Ground, Turn } from "./turn.ts";

export interface GatekeeperOptions {
  readonly crypto: Pick<CryptoProvider, "random" | "digest">;
  readonly snapshot: KeyTableSnapshot;
  readonly drivers: DriverTraits;
  readonly mayReadKeys: Entitlement;
  /** Replaced in proofs only. */
  readonly rules?: Rules | undefined;
}

/** The world's answers to the gatekeeper's own requests. */
export type Answer = Extract<
  DaemonInput,
  { readonly kind: "persisted" | "persistFailed" | "applied" | "observed" | "revoked" }
>;

interface StoreFailure {
  readonly reason: string;
  readonly retryAt: Instant;
  readonly attempts: number;
}

/**
 * Stands between the routing protocols' sessions, the IKE engine and the key table: one `Association` for each session,
 * advanced by whatever concerns it. Costs O(log n) an event: nothing here walks over all associations but a
 * configuration, a view, and the commands that name all.
 */
export class Gatekeeper implements MktPolicy {
  readonly ground: Ground;
  readonly #mayReadKeys: Entitlement;
  readonly #keyIds = new KeyIdTable();
  readonly #peers = new Map<string, Peer>();
  readonly #associations = new Map<string, Association>();
  /** MKTs of sessions that are not configured: their KeyIDs stay taken. */
  readonly #strays = new Map<string, readonly Mkt[]>();
  readonly #facts: Map<string, string>;
  readonly #heap = new DeadlineHeap<Association>();
  readonly #requests = new Map<number, Association>();
  readonly #saves = new Map<number, readonly Association[]>();
  #touched = new Set<Association>();
  #unsaved = new Set<Association>();
  #lastRequestId = 0;
  #storeFailure: StoreFailure | undefined;

  constructor(options: GatekeeperOptions) {
    this.#mayReadKeys = options.mayReadKeys;
    this.#facts = new Map(options.snapshot.facts);
    this.ground = {
      crypto: options.crypto,
      rules: options.rules ?? defaultRules,
      drivers: options.drivers,
      keyIds: this.#keyIds,
      nextRequestId: (association) => this.#nextRequestId(association),
      storeFailure: () => this.#storeFailure,
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
    const retryAt = this.#unsaved.size > 0 ? this.#storeFailure?.retryAt : undefined;
    return earliest(this.#heap.earliest, retryAt);
  }

  // MktPolicy: questions of the engine; nothing changes.

  consider(request: MktRequest, _now: Now): MktDecision {
    const peer = this.#peers.get(request.peer);
    if (peer === undefined) return { kind: "refuse", notifyType: NotifyType.TS_UNACCEPTABLE, detail: "no such peer" };
    return consider(this.ground, peer, request);
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
        session: (name) => this.#associations.get(name),
        takeRequest: (requestId) => this.#takeRequest(requestId),
        touch: (association) => this.#touched.add(association),
      },
      event,
    );
  }

  onAnswer(turn: Turn, answer: Answer): void {
    if (answer.kind === "persisted" || answer.kind === "persistFailed") {
      this.#onStored(turn, answer);
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
    for (;;) {
      const due = this.#heap.takeDue(turn.now.monotonic);
      if (due === undefined) return;
      this.#touched.add(due);
    }
  }

  onCommand(turn: Turn, requestId: number, command: Command): void {
    const reply = this.#perform(turn, requestId, command);
    if (reply !== undefined) turn.effect({ kind: "reply", requestId, reply });
  }

  #perform(turn: Turn, requestId: number, command: Command): CommandReply | undefined {
    switch (command.kind) {
      case "freeze":
      case "thaw": {
        const named = this.#named(command.session);
        if (named === undefined) return noSuchSession(command.session);
        for (const association of named) this.#touched.add(association);
        return onFreezeCommand(turn, named, command);
      }
      case "Keytable_delete": {
        const found = this.#findKey(command.adminKeyName);
        if (found === undefined) return { ok: false, code: "noKey", text: `there is no key ${command.adminKeyName}` };
        this.#touched.add(found.association);
        return deleteKey(turn, found.association, found.mkt, command.caller, requestId, this.#mayReadKeys);
      }
      case "Keytable_insertSA": {
        const association = this.#managed(command.row.session);
        if (association === undefined) return noSuchSession(command.row.session);
        this.#touched.add(association);
        return insertKey(turn, association, command.row, command.caller, requestId, this.#mayReadKeys, false);
      }
      default: {
        const association = this.#managed(command.session);
        if (association === undefined) return noSuchSession(command.session);
        this.#touched.add(association);
        return onSessionCommand(turn, association, command, requestId, this.#mayReadKeys);
      }
    }
  }

  #named(session: string | undefined): readonly Association[] | undefined {
    if (session === undefined) return [...this.#associations.values()].filter(({ isManaged }) => isManaged);
    const association = this.#managed(session);
    return association === undefined ? undefined : [association];
  }

  #managed(session: string): Association | undefined {
    const association = this.#associations.get(session);
    return association?.isManaged ? association : undefined;
  }

  #findKey(adminKeyName: string): { readonly association: Association; readonly mkt: Mkt } | undefined {
    const association = this.#associations.get(adminKeyName.slice(0, Math.max(0, adminKeyName.lastIndexOf("/"))));
    const mkt = association?.mkts.find(({ row }) => row.adminKeyName === adminKeyName);
    return association === undefined || mkt === undefined || mkt.row.key === undefined
      ? undefined
      : { association, mkt };
  }

  /** Takes a checked configuration. Keys of sessions that are gone stay; a changed peer's until a successor is in use. */
  configure(turn: Turn, configuration: Configuration): void {
    this.#configurePeers(configuration);
    const names = new Set(configuration.sessions.map(({ name }) => name));
    for (const association of this.#associations.values()) {
      if (!names.has(association.name) && association.isManaged) this.#unmanage(turn, association);
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
      if (known?.localIdentity === localIdentity && known.remoteIdentity === remoteIdentity) known.config = config;
      else
        this.#peers.set(config.name, {
          ...unknownPeer,
          config,
          localIdentity,
          remoteIdentity,
          associations: new Set(),
        });
    }
  }

  #configureSession(turn: Turn, session: SessionConfiguration): void {
    const peer = this.#peers.get(session.peer);
    const known = this.#associations.get(session.name);
    this.#touched.add(known === undefined ? this.#add(turn, session, peer) : this.#change(turn, known, session, peer));
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

  /** The session is not configured any more: its keys stay in the store and in the routing daemon. */
  #unmanage(turn: Turn, association: Association): void {
    this.#abandon(turn, association);
    association.peer?.associations.delete(association);
    association.isManaged = false;
    association.negotiation = { name: "idle" };
    this.#heap.set(association, undefined);
    this.#touched.add(association);
    turn.event(
      association,
      "configured",
      "info",
      `session ${association.name} is not managed any more; its keys stay in place`,
    );
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
    association.request = undefined;
    association.doubtful = [];
  }

  /** Advances everything that this turn touched, until nothing is left to say. */
  settle(turn: Turn): void {
    const touched = this.#touched;
    this.#touched = new Set();
    for (const association of touched) {
      advance(turn, association);
      this.#heap.set(association, turn.takeWake());
      this.#unsaved.add(association);
    }
  }

  get isSettled(): boolean {
    return this.#touched.size === 0;
  }

  /** One transaction for all that this turn changed; nothing that depends on it has left yet. */
  takeChanges(now: Now): { readonly requestId: number; readonly changes: readonly KeyTableChange[] } | undefined {
    if (this.#storeFailure !== undefined && now.monotonic < this.#storeFailure.retryAt) {
      this.#unsaved = new Set([...this.#unsaved].filter(hasUnsaved));
      return undefined;
    }
    const requestId = this.#lastRequestId + 1;
    const changes: KeyTableChange[] = [];
    const saving: Association[] = [];
    for (const association of this.#unsaved) {
      // One that is being stored comes back when that is answered.
      const own = takeUnsaved(association, requestId);
      if (own === undefined) continue;
      changes.push(...own);
      saving.push(association);
    }
    this.#unsaved = new Set();
    if (saving.length === 0) return undefined;
    this.#lastRequestId = requestId;
    this.#saves.set(requestId, saving);
    return { requestId, changes };
  }

  #onStored(turn: Turn, answer: Extract<Answer, { readonly kind: "persisted" | "persistFailed" }>): void {
    const saving = this.#saves.get(answer.requestId);
    if (saving === undefined) return;
    this.#saves.delete(answer.requestId);
    const former = this.#storeFailure;
    if (answer.kind === "persisted") {
      this.#storeFailure = undefined;
      for (const association of saving) onSaved(turn, association, answer.requestId);
      if (former !== undefined) storeEvent(turn, "storeRecovered", "info", "the key table can be stored again");
    } else {
      const attempts = (former?.attempts ?? 0) + 1;
      const retryAt = later(turn.now.monotonic, Math.min(60, 2 ** Math.min(attempts - 1, 6)));
      this.#storeFailure = { reason: answer.reason, retryAt, attempts };
      for (const association of saving) onSaveFailed(turn, association, answer.requestId, NotifyType.TEMPORARY_FAILURE);
      if (former?.reason !== answer.reason) {
        storeEvent(
          turn,
          "storeFailed",
          "alarm",
          `the key table cannot be stored: ${answer.reason}; keys in place keep working`,
        );
      }
    }
    for (const association of saving) this.#touched.add(association);
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

function hasUnsaved(association: Association): boolean {
  return association.changes.length > 0 || association.mkts.some(({ isDirty }) => isDirty);
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

function storeEvent(
  turn: Turn,
  name: "storeFailed" | "storeRecovered",
  severity: "alarm" | "info",
  text: string,
): void {
  turn.effect({ kind: "event", event: { name, at: turn.now.wall, severity, text, data: {} } });
}

function noSuchSession(session: string | undefined): CommandReply {
  return { ok: false, code: "noSuchSession", text: `there is no session ${session ?? ""}` };
}

const unknownPeer = {
  ikeSa: "none",
  role: undefined,
  suite: undefined,
  establishedAt: undefined,
  speaksKarp: undefined,
  credential: undefined,
  lastFailure: undefined,
  frozenUntil: undefined,
  early: [],
} as const;
