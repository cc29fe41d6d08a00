import type { SessionConfiguration } from "../core/configuration.ts";
import { idsOf } from "../drivers/keys.ts";
import { messageOf } from "../drivers/text.ts";
import type { SocketSurvey } from "../ports/keyer.ts";
import type { ApplyOutcome, DriverFinding, DriverKey, Observation, RevokeOutcome } from "../ports/routingDriver.ts";
import { examineSession } from "./examine.ts";
import { isHeldAs } from "./keptKey.ts";
import type { HeldKey, Kernel, KernelSocket, OpenSocket } from "./kernel.ts";
import { type Keyed, keyedOn, mustBeSigned, type SocketKeyerLog } from "./keyed.ts";
import type { Ledger } from "./ledger.ts";
import { findSockets, type InterfaceIndex, strangersListener, vrfIndexOf } from "./match.ts";
import { type ConnectionKeys, observationOf } from "./observation.ts";
import {
  addMissing,
  askForPreferred,
  deleteUnwanted,
  type Failure,
  hasForeignKeysOnly,
  keysOf,
  makeRoom,
  openWithPreferred,
  type Wish,
} from "./socketKeys.ts";
import { GONE, SocketTable } from "./socketTable.ts";
import { surveyOf } from "./survey.ts";

export interface SessionSocketsOptions {
  readonly ledger: Ledger;
  readonly indexOf: InterfaceIndex;
  readonly log: SocketKeyerLog;
  readonly kernel: Kernel;
  /** Whether a connect() of the session is held until it has a key. */
  readonly isHeld: (session: string) => boolean;
}

/** The sockets of other processes that carry the sessions, and how they come to have the keys that are wanted of them. */
export class SessionSockets {
  readonly #options: SessionSocketsOptions;
  readonly #table: SocketTable;
  /** Sockets that have been brought to what is wanted, by session; emptied when something else is wanted. */
  readonly #settled = new Map<string, Set<string>>();
  /** Cookies of connections that we have ended. */
  readonly #destroyed = new Set<bigint>();
  /** Troubles that were logged already. */
  readonly #said = new Set<string>();

  constructor(options: SessionSocketsOptions) {
    this.#options = options;
    this.#table = new SocketTable(options.kernel);
  }

  /** Looks what sockets there are now. */
  refresh(ports: ReadonlySet<number>, withMd5Peers = false): void {
    this.#table.refresh(ports, withMd5Peers);
    const alive = new Set(this.#table.sockets.map(tokenOf));
    const cookies = new Set(this.#table.sockets.map(({ cookie }) => cookie));
    for (const cookie of this.#destroyed) if (!cookies.has(cookie)) this.#destroyed.delete(cookie);
    for (const settled of this.#settled.values()) for (const one of settled) if (!alive.has(one)) settled.delete(one);
  }

  /** Something else is wanted of the session's sockets. */
  unsettle(session: string): void {
    this.#settled.delete(session);
  }

  observe(keyed: Keyed): Observation {
    const { listeners, connections } = this.#of(keyed);
    const wish = keyedOn(this.#options, keyed);
    const read = (open: OpenSocket): ConnectionKeys => ({ isSigned: open.isSigned(), keys: open.keys() });
    const established = connections.filter(({ state }) => state === "established");
    const states = established.map((socket) => this.#table.borrow(socket, read)).filter((one) => one !== GONE);
    const present = listeners
      .map((socket) => this.#table.borrow(socket, (open) => keysOf(open, wish)))
      .filter((one) => one !== GONE);
    return observationOf(keyed.keys ?? [], states, present);
  }

  survey(keyed: Keyed): SocketSurvey {
    return surveyOf(keyed, this.#of(keyed), keyedOn(this.#options, keyed), this.#table);
  }

  examine(session: SessionConfiguration): readonly DriverFinding[] {
    return examineSession(session, this.#options.kernel, this.#table, this.#options.indexOf);
  }

  /** After the keys that are left have become what is wanted: ends what uses another, and reads back that none is left. */
  revoke(keyed: Keyed, ports: ReadonlySet<number>): RevokeOutcome {
    // Listeners first: what is destroyed must not come back with the same key
    this.sync(keyed, "listeners");
    for (const socket of this.#of(keyed).connections) this.#destroyUnlessKept(keyed, socket);
    this.refresh(ports);
    const outcome = this.sync(keyed);
    const left = this.#of(keyed).connections.filter((socket) => this.#usesOther(keyed, socket));
    if (left.length > 0) {
      const reason = `${left.length} connection(s) with ${keyed.session.remoteAddress} still use a revoked key`;
      return { kind: "failed", reason };
    }
    return this.#forgottenByListeners(keyed, outcome);
  }

  /** Whether there are sockets that are not yet what is wanted. */
  hasNews(keyed: Keyed): boolean {
    const settled = this.#settled.get(keyed.session.name);
    const { listeners, connections } = this.#of(keyed);
    return [...listeners, ...connections].some((socket) => settled?.has(tokenOf(socket)) !== true);
  }

  #of({ session }: Keyed): {
    readonly listeners: readonly KernelSocket[];
    readonly connections: readonly KernelSocket[];
  } {
    const vrf = vrfIndexOf(session, this.#options.indexOf);
    if (vrf === "missing") return { listeners: [], connections: [] };
    const sockets = this.#table.sockets.filter(({ cookie }) => !this.#destroyed.has(cookie));
    const { listeners, strangers, connections } = findSockets(session, vrf.index, sockets);
    for (const socket of strangers) this.sayOnce(`${session.name}: ${strangersListener(session, socket)}`);
    return { listeners, connections: connections.filter(({ state }) => state !== "closing") };
  }

  /** Brings the session's sockets to what is wanted. */
  sync(keyed: Keyed, which: "all" | "listeners" = "all"): ApplyOutcome {
    const { listeners, connections } = this.#of(keyed);
    const found = which === "all" ? [...listeners, ...connections] : listeners;
    this.#table.findHolders(found);
    const sockets = found.filter((socket) => !this.#isStrangers(keyed, socket));
    const failures: Failure[] = [];
    // Every socket has the new keys before one asks for them, and before the old ones leave any
    const steps = [this.#makeRoomOn, this.#addTo, this.#askOn] as const;
    let open = sockets;
    let isEverywhere = false;
    for (const step of steps) {
      open = open.filter((socket) => {
        if (this.#destroyed.has(socket.cookie)) return false;
        const failure = this.#attempt(socket, () => step.call(this, keyed, socket));
        if (failure !== undefined) failures.push(failure);
        return failure === undefined;
      });
      // One bad socket keeps no other from being keyed, or from being closed where it must not be open
      if (failures.length > 0 && step === this.#addTo) break;
      isEverywhere = step === this.#askOn;
    }
    if (isEverywhere) failures.push(...this.#deleteFromAll(keyed, sockets, open));
    const settled = this.#settled.get(keyed.session.name) ?? new Set();
    this.#settled.set(keyed.session.name, settled);
    if (failures.length === 0) for (const socket of open) settled.add(tokenOf(socket));
    const [worst] = failures.toSorted((one, other) => gravity(one) - gravity(other));
    if (worst !== undefined) return worst;
    // A connect() that waits for this key gets it before its SYN leaves: that is all that "accepted here" can mean for it
    if (sockets.length > 0 || this.#options.isHeld(keyed.session.name)) return { kind: "installed" };
    return { kind: "pending", reason: nobodyThere(keyed) };
  }

  /**
   * Any local user can open a socket between these addresses, sign its SYN with a key of his own and wait for ours beside it,
   * to read them there: the octets of a socket's keys are no secret to its owner.
   */
  #isStrangers(keyed: Keyed, socket: KernelSocket): boolean {
    if (socket.state !== "syn-sent") return false;
    const wish = this.#wishFor(keyed, socket);
    try {
      const isForeign = this.#table.borrow(socket, (open) => open.isSigned() && hasForeignKeysOnly(open, wish));
      if (isForeign !== true) return false;
    } catch {
      return false; // said where it is to be keyed
    }
    const { name, remoteAddress } = keyed.session;
    const text = `${name}: a connection to ${remoteAddress} that has only keys of somebody else (uid ${socket.uid}) is not keyed`;
    this.sayOnce(text);
    return true;
  }

  #attempt(socket: KernelSocket, step: () => Failure | undefined | typeof GONE): Failure | undefined {
    try {
      const result = step();
      if (result !== GONE) return result;
      // Closed meanwhile: nothing left to key. One that lives has to be found, or accepted, first
      return { kind: "pending", reason: `the socket on port ${socket.localPort} is open and in no process yet` };
    } catch (error) {
      return { kind: "pending", reason: messageOf(error) };
    }
  }

  #wishFor(keyed: Keyed, socket: KernelSocket): Wish {
    const { closedKey, keys = [] } = keyed;
    const isClosed = socket.state === "listen" && closedKey !== undefined && keys.length === 0;
    return { ...keyedOn(this.#options, keyed), keys: isClosed ? [closedKey] : keys };
  }

  #makeRoomOn(keyed: Keyed, socket: KernelSocket): Failure | undefined | typeof GONE {
    if (keyed.keys === undefined) return undefined;
    const wish = this.#wishFor(keyed, socket);
    return this.#table.borrow(socket, (open) => (open.isSigned() ? makeRoom(open, wish) : undefined));
  }

  #addTo(keyed: Keyed, socket: KernelSocket): Failure | undefined | typeof GONE {
    const wish = this.#wishFor(keyed, socket);
    return this.#table.borrow(socket, (open) => {
      if (socket.state === "listen") {
        // Before karpd has said anything, keys that are there already close it as well
        const isClosedAlready = keyed.keys === undefined && keysOf(open, wish).length > 0;
        return isClosedAlready ? undefined : addMissing(open, wish);
      }
      if (!open.isSigned()) return this.#refuseUnsigned(keyed, socket);
      if (keyed.keys === undefined) return undefined;
      if (hasForeignKeysOnly(open, wish)) return { kind: "foreign", reason: FOREIGN_CONNECTION };
      return addMissing(open, wish);
    });
  }

  #askOn(keyed: Keyed, socket: KernelSocket): Failure | undefined | typeof GONE {
    if (socket.state === "listen" || keyed.keys === undefined) return undefined;
    const wish = this.#wishFor(keyed, socket);
    const ask = socket.state === "syn-sent" ? openWithPreferred : askForPreferred;
    return this.#table.borrow(socket, (open) => (open.isSigned() ? ask(open, wish) : undefined));
  }

  /** Connections first: the peer of one that breaks comes back with the key that it had, and has to find it. */
  #deleteFromAll(keyed: Keyed, sockets: readonly KernelSocket[], open: readonly KernelSocket[]): readonly Failure[] {
    if (keyed.keys === undefined) return [];
    const failures: Failure[] = [];
    const inUse = new Map<bigint, readonly string[]>();
    const deleteFrom = (socket: KernelSocket, spared: ReadonlySet<string>): void => {
      if (this.#destroyed.has(socket.cookie)) return;
      const failure = this.#attempt(socket, () => {
        const retained = this.#deleteFrom(keyed, socket, spared);
        if (retained === GONE) return GONE;
        inUse.set(socket.cookie, retained);
        if (retained.length === 0) return undefined;
        return { kind: "pending", reason: `the connection still uses key ${retained.join(", ")}, which is to go` };
      });
      if (failure !== undefined) failures.push(failure);
    };
    for (const socket of open) if (socket.state !== "listen") deleteFrom(socket, new Set());
    const connections = sockets.filter(({ state, cookie }) => state !== "listen" && !this.#destroyed.has(cookie));
    // What could not be looked at may use any key
    if (!connections.every(({ cookie }) => inUse.has(cookie))) return failures;
    const spared = new Set([...inUse.values()].flat());
    for (const socket of open) if (socket.state === "listen") deleteFrom(socket, spared);
    return failures;
  }

  /** @returns "SendID/RecvID" of the keys that are to go and still in use */
  #deleteFrom(keyed: Keyed, socket: KernelSocket, spared: ReadonlySet<string>): readonly string[] | typeof GONE {
    const wish = this.#wishFor(keyed, socket);
    const retained = this.#table.borrow(socket, (open) => deleteUnwanted(open, wish, spared));
    return retained === GONE ? GONE : retained.map(idsOf);
  }

  /** A connection without TCP-AO cannot get it; where it must not be, it ends, and the next one finds keyed listeners. */
  #refuseUnsigned(keyed: Keyed, socket: KernelSocket): Failure | undefined {
    if (!mustBeSigned(keyed)) return undefined;
    const { name, remoteAddress } = keyed.session;
    this.#options.log("warning", `${name}: the connection with ${remoteAddress} is unsigned: closed`);
    this.#destroy(socket);
    return undefined;
  }

  #destroyUnlessKept(keyed: Keyed, socket: KernelSocket): void {
    if (!this.#usesOther(keyed, socket)) return;
    this.#options.log("warning", `${keyed.session.name}: a connection that uses a revoked key is closed`);
    this.#destroy(socket);
  }

  #destroy(socket: KernelSocket): void {
    this.#table.destroy(socket);
    this.#destroyed.add(socket.cookie);
  }

  /** Whether the connection sends with, or asks for, a key that is not wanted. */
  #usesOther({ keys }: Keyed, socket: KernelSocket): boolean {
    const kept = new Set((keys ?? []).map(idsOf));
    const uses = this.#table.borrow(socket, (open) =>
      open.keys().some((key) => (key.isCurrent || key.isRnext) && !kept.has(idsOf(key))),
    );
    // Whoever cannot be looked at is not trusted either: one that nobody has accepted yet lives on once it is
    return uses === GONE ? isAlive(this.#table, socket) : uses;
  }

  /** Read back, whatever was answered on the way: a key that a listener still has opens the next connection. */
  #forgottenByListeners(keyed: Keyed, outcome: ApplyOutcome): RevokeOutcome {
    const { listeners } = this.#of(keyed);
    const keeps = listeners.filter((socket) => {
      const failure = this.#attempt(socket, () =>
        this.#deleteFrom(keyed, socket, new Set()) === GONE ? GONE : undefined,
      );
      return failure !== undefined || !this.#hasJust(keyed, socket);
    });
    if (keeps.length > 0) {
      const reason = outcome.kind === "installed" ? "they cannot be looked at" : outcome.reason;
      return {
        kind: "failed",
        reason: `${keeps.length} listener(s) do not have just the keys that are left: ${reason}`,
      };
    }
    if (outcome.kind === "pending" || outcome.kind === "installed") return { kind: "revoked" };
    return { kind: "failed", reason: outcome.reason };
  }

  /** It has each wanted key, and no other of ours: without one it would take unsigned connections. */
  #hasJust(keyed: Keyed, socket: KernelSocket): boolean {
    const wish = this.#wishFor(keyed, socket);
    const hasJust = (present: readonly HeldKey[]): boolean => {
      const ours = present.filter((one) => wish.isOurs(one));
      const isThere = (key: DriverKey): boolean => ours.some((one) => isHeldAs(key, one));
      return ours.length === wish.keys.length && wish.keys.every(isThere);
    };
    return this.#table.borrow(socket, (open) => hasJust(keysOf(open, wish))) === true;
  }

  sayOnce(text: string): void {
    if (this.#said.has(text)) return;
    if (this.#said.size > 1000) this.#said.clear();
    this.#said.add(text);
    this.#options.log("warning", text);
  }
}

const FOREIGN_CONNECTION =
  "the connection is signed with keys of somebody else and gets none of karp's: end it, so that it comes back with karp's key";

/** A listener stays the same; a connection changes from the SYN to established, and is looked at again. */
function tokenOf({ cookie, state }: KernelSocket): string {
  return `${cookie}/${state}`;
}

function gravity({ kind }: Failure): number {
  return ["refused", "foreign", "lost", "pending"].indexOf(kind);
}

function isAlive(table: SocketTable, socket: KernelSocket): boolean {
  return table.sockets.some(({ cookie }) => cookie === socket.cookie);
}

function nobodyThere({ session: { port, vrf } }: Keyed): string {
  const where = vrf === undefined ? "" : ` in VRF ${vrf}`;
  return `no process listens on TCP port ${port}${where} and there is no connection: start the routing daemon; its sockets are keyed as soon as they are there`;
}
