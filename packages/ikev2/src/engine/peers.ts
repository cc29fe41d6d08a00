import { identityKey } from "../policy/identity.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { Identity, IkePeer } from "./machine.ts";
import type { PeerOperation } from "./operation.ts";

/** A configured peer and what is going on with it. */
export class Peer {
  config: IkePeer;
  /** Every IKE SA that belongs to it, from our own attempts on; the oldest first. */
  readonly ikeSas: IkeSa[] = [];
  /** Operations that wait for an IKE SA. */
  readonly waiting: PeerOperation[] = [];
  /** The IKE SA that we are setting up. */
  attempt: IkeSa | undefined;

  constructor(config: IkePeer) {
    this.config = config;
  }

  get name(): string {
    return this.config.name;
  }

  /** The IKE SA for new requests: the newest that stays. */
  usableIkeSa(): IkeSa | undefined {
    return this.ikeSas.findLast((sa) => sa.state.name === "established");
  }

  establishedIkeSas(): readonly IkeSa[] {
    return this.ikeSas.filter((sa) => sa.state.name === "established");
  }

  stopWaiting(operation: PeerOperation): void {
    const index = this.waiting.indexOf(operation);
    if (index >= 0) this.waiting.splice(index, 1);
  }

  forget(sa: IkeSa): void {
    const index = this.ikeSas.indexOf(sa);
    if (index >= 0) this.ikeSas.splice(index, 1);
    if (this.attempt === sa) this.attempt = undefined;
  }
}

/** The configured peers, by name and by address. */
export class PeerTable {
  readonly #byName = new Map<string, Peer>();
  readonly #byAddress = new Map<string, Peer[]>();
  /** How many peers we use each identity of ours with. */
  readonly #ownIdentities = new Map<string, number>();

  find(name: string): Peer | undefined {
    return this.#byName.get(name);
  }

  /** False once it was removed, even if another one has its name. */
  has(peer: Peer): boolean {
    return this.#byName.get(peer.name) === peer;
  }

  all(): Iterable<Peer> {
    return this.#byName.values();
  }

  /** The peers with this remote address, in the order in which they were configured. */
  atAddress(remoteAddress: string): readonly Peer[] {
    return this.#byAddress.get(remoteAddress) ?? [];
  }

  /** One that we use ourselves, with whatever peer. */
  isOwnIdentity(identity: Identity): boolean {
    return this.#ownIdentities.has(identityKey(identity));
  }

  add(config: IkePeer): Peer {
    const peer = new Peer(config);
    this.#byName.set(config.name, peer);
    this.#countOwnIdentity(config.localIdentity, 1);
    const { address } = config.remote;
    this.#byAddress.set(address, [...this.atAddress(address), peer]);
    return peer;
  }

  remove(peer: Peer): void {
    this.#byName.delete(peer.name);
    this.#countOwnIdentity(peer.config.localIdentity, -1);
    const { address } = peer.config.remote;
    const rest = this.atAddress(address).filter((other) => other !== peer);
    if (rest.length === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, rest);
  }
  #countOwnIdentity(identity: Identity, change: 1 | -1): void {
    const key = identityKey(identity);
    const count = (this.#ownIdentities.get(key) ?? 0) + change;
    if (count > 0) this.#ownIdentities.set(key, count);
    else this.#ownIdentities.delete(key);
  }
}
