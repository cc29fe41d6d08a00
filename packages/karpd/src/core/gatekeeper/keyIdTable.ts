import type { IkePeer } from "@karp/ikev2";
import { formatIdentity, hasKeyId, keyIdBitmapOf } from "@karp/ikev2";
import type { SessionConfiguration } from "../configuration.ts";
import { KeyIdSpace } from "../keytable/keyIds.ts";
import type { KeyTableRow } from "../keytable/row.ts";
import type { Association, Mkt } from "./association.ts";

interface Found {
  readonly association: Association;
  readonly mkt: Mkt;
}

interface IdentitySpaces {
  readonly sendIds: KeyIdSpace<Mkt | Association>;
  /** What a peer says is found by (peer identity, RecvID). */
  readonly byRecvId: Map<number, Found>;
}

/**
 * Who uses which KeyID. A SendID is unique among all MKTs of one IKE peer identity, a RecvID among all of one (VRF, peer
 * address), those in quarantine included: RFC 5925 section 3.1, "IDs of MKTs MUST NOT overlap where their TCP connection
 * identifiers overlap", and routing daemons match keys by address, never by port.
 */
export class KeyIdTable {
  readonly #identities = new Map<string, IdentitySpaces>();
  readonly #addresses = new Map<string, KeyIdSpace<Mkt>>();
  /** SendIDs of keys that no peer identity stands for (chains, placeholders): by (VRF, peer address) like RecvIDs. */
  readonly #anonymous = new Map<string, KeyIdSpace<Mkt>>();

  add(association: Association, mkt: Mkt): void {
    this.addStray(mkt);
    this.#identity(mkt.row.localIdentity, mkt.row.peerIdentity).byRecvId.set(mkt.row.recvId, { association, mkt });
  }

  /** An MKT of a session that is not configured: its KeyIDs stay taken, nobody may speak about it. */
  addStray(mkt: Mkt): void {
    this.#sendIdsOf(mkt.row).take(mkt.row.sendId, mkt);
    this.#address(addressOfRow(mkt.row)).take(mkt.row.recvId, mkt);
  }

  remove(mkt: Mkt): void {
    const identity = this.#identity(mkt.row.localIdentity, mkt.row.peerIdentity);
    this.#sendIdsOf(mkt.row).release(mkt.row.sendId, mkt);
    if (identity.byRecvId.get(mkt.row.recvId)?.mkt === mkt) identity.byRecvId.delete(mkt.row.recvId);
    this.#address(addressOfRow(mkt.row)).release(mkt.row.recvId, mkt);
  }

  /** Keeps a SendID for a request that is under way, or of which the peer may hold the result. */
  reserve(peer: IkePeer, sendId: number, association: Association): void {
    this.#ofPeer(peer).sendIds.take(sendId, association);
  }

  unreserve(peer: IkePeer, sendId: number, association: Association): void {
    this.#ofPeer(peer).sendIds.release(sendId, association);
  }

  /** The MKT that the peer means by its SendID. */
  find(localIdentity: string, peerIdentity: string, recvId: number): Found | undefined {
    return this.#identities.get(spaceName(localIdentity, peerIdentity))?.byRecvId.get(recvId);
  }

  /** True when a key with these KeyIDs would overlap with another. */
  isTaken(
    peer: IkePeer | undefined,
    session: SessionConfiguration,
    { sendId, recvId }: { readonly sendId: number; readonly recvId: number },
  ): boolean {
    if (this.#isTakenAnonymously(session, sendId)) return true;
    if (peer === undefined) return this.#address(addressOfSession(session)).owner(recvId) !== undefined;
    return (
      this.#ofPeer(peer).sendIds.owner(sendId) !== undefined || hasKeyId(this.recvIdsTaken(peer, session, []), recvId)
    );
  }

  /** A SendID for a new MKT of this session that neither end uses; undefined when there is none. */
  chooseSendId(
    peer: IkePeer,
    session: SessionConfiguration,
    takenByPeer: Uint8Array | undefined,
    isUnwanted: (keyId: number) => boolean = () => false,
  ): number | undefined {
    const isTakenByPeer = (keyId: number): boolean => takenByPeer !== undefined && hasKeyId(takenByPeer, keyId);
    return this.#ofPeer(peer).sendIds.choose(
      (keyId) =>
        session.reservedKeyIds.includes(keyId) ||
        isTakenByPeer(keyId) ||
        this.#isTakenAnonymously(session, keyId) ||
        isUnwanted(keyId),
    );
  }

  /** One number that is free as SendID and as RecvID of a key that is made here alone. */
  chooseForBoth(session: SessionConfiguration, isUnwanted: (keyId: number) => boolean): number | undefined {
    return this.chooseRecvId(session, (keyId) => this.#isTakenAnonymously(session, keyId) || isUnwanted(keyId));
  }

  #isTakenAnonymously(session: SessionConfiguration, keyId: number): boolean {
    return this.#anonymous.get(addressOfSession(session))?.owner(keyId) !== undefined;
  }

  #sendIdsOf(row: KeyTableRow): Pick<KeyIdSpace<Mkt>, "take" | "release"> {
    if (row.peerIdentity !== "") return this.#identity(row.localIdentity, row.peerIdentity).sendIds;
    return spaceAt(this.#anonymous, addressOfRow(row));
  }

  /** The RecvIDs that a new MKT of this session cannot have: the data of KMP_KEYIDS_TAKEN. */
  recvIdsTaken(peer: IkePeer, session: SessionConfiguration, reserved = session.reservedKeyIds): Uint8Array {
    const taken = this.#address(addressOfSession(session)).taken();
    return keyIdBitmapOf([...taken, ...this.#ofPeer(peer).byRecvId.keys(), ...reserved]);
  }

  /** A RecvID for a key that nobody else names (placeholders). */
  chooseRecvId(session: SessionConfiguration, isUnwanted: (keyId: number) => boolean): number | undefined {
    const space = this.#address(addressOfSession(session));
    return space.choose((keyId) => session.reservedKeyIds.includes(keyId) || isUnwanted(keyId));
  }

  #ofPeer(peer: IkePeer): IdentitySpaces {
    return this.#identity(formatIdentity(peer.localIdentity), formatIdentity(peer.remoteIdentity));
  }

  #identity(localIdentity: string, peerIdentity: string): IdentitySpaces {
    const name = spaceName(localIdentity, peerIdentity);
    const existing = this.#identities.get(name);
    if (existing !== undefined) return existing;
    const created: IdentitySpaces = { sendIds: new KeyIdSpace(), byRecvId: new Map() };
    this.#identities.set(name, created);
    return created;
  }

  #address(name: string): KeyIdSpace<Mkt> {
    return spaceAt(this.#addresses, name);
  }
}

function spaceAt(spaces: Map<string, KeyIdSpace<Mkt>>, name: string): KeyIdSpace<Mkt> {
  const existing = spaces.get(name);
  if (existing !== undefined) return existing;
  const created = new KeyIdSpace<Mkt>();
  spaces.set(name, created);
  return created;
}

function spaceName(localIdentity: string, peerIdentity: string): string {
  return `${localIdentity} ${peerIdentity}`;
}

function addressOfRow({ protocolSpecificInfo: { vrf, remoteAddress } }: KeyTableRow): string {
  return `${vrf ?? ""} ${remoteAddress}`;
}

function addressOfSession({ vrf, remoteAddress }: SessionConfiguration): string {
  return `${vrf ?? ""} ${remoteAddress}`;
}
