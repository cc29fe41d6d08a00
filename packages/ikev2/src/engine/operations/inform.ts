/** Telling the peer something in an INFORMATIONAL exchange (RFC 7296 section 1.4): the initiator's half. */
import type { Payload } from "../../codec/message.ts";
import { encodeFreeze } from "../../codec/notifies/freeze.ts";
import { encodeKeyState } from "../../codec/notifies/keyState.ts";
import { ExchangeType } from "../../registry/exchangeType.ts";
import { nameOf } from "../../registry/nameOf.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { SecurityProtocolId } from "../../registry/securityProtocolId.ts";
import type { EngineContext } from "../context.ts";
import type { IkeSa } from "../ikeSa.ts";
import type { ExchangeFailure, IkeInput, InformItem } from "../machine.ts";
import type { PeerOperation } from "../operation.ts";
import { errorNotifyOf } from "../payloads.ts";
import type { Peer } from "../peers.ts";
import { retryLater } from "../requests.ts";

export type InformRequest = Extract<IkeInput, { readonly kind: "inform" }>;

export class Inform implements PeerOperation {
  readonly name = "inform";
  readonly exchangeType = ExchangeType.INFORMATIONAL;
  readonly connects: boolean;
  /** Undefined: the engine's own, nobody waits for it. */
  readonly requestId: number | undefined;
  readonly peer: Peer;
  moves = 0;
  readonly #items: readonly InformItem[];
  #temporaryFailures = 0;
  isOver = false;

  constructor(
    peer: Peer,
    wanted: Omit<InformRequest, "kind" | "peer" | "requestId"> & { readonly requestId?: number },
  ) {
    this.peer = peer;
    this.#items = wanted.items;
    this.connects = wanted.connect;
    this.requestId = wanted.requestId;
  }

  /** D for an MKT that the peer made in vain. */
  static deletion(peer: Peer, sendId: number): Inform {
    return new Inform(peer, { items: [{ kind: "deleteMkts", sendIds: [sendId] }], connect: false });
  }

  get deletedSendIds(): readonly number[] {
    return this.#items.flatMap((item) => (item.kind === "deleteMkts" ? item.sendIds : []));
  }

  /** HDR, SK {[N(KMP_KEY_STATE),] [N(KMP_FREEZE),] [D]}  --> */
  request(engine: EngineContext, sa: IkeSa): readonly Payload[] | undefined {
    const { secured } = sa;
    if (this.isOver || secured === undefined) return undefined;
    const payloads = this.#items.flatMap((item) => payloadsFor(item, secured.peerSpeaksKarp));
    if (payloads.length === 0) {
      const detail = "the peer does not understand any of it: it sent no Vendor ID of ours";
      this.failed(engine, { reason: "refusedByPeer", detail });
      return undefined;
    }
    secured.lifetime.lastUsedAt = engine.now.monotonic;
    return payloads;
  }

  /** <--  HDR, SK {[D]} */
  response(engine: EngineContext, sa: IkeSa, payloads: readonly Payload[]): void {
    const error = errorNotifyOf(payloads);
    if (error === undefined) {
      for (const sendId of this.deletedSendIds) sa.secured?.mkts.delete(sendId);
      if (!this.isOver && this.requestId !== undefined) {
        engine.emit({ kind: "informed", peer: this.peer.name, requestId: this.requestId });
      }
      this.#finish(engine);
      return;
    }
    const { notifyType } = error;
    const canWait = this.#temporaryFailures < engine.settings.temporaryFailure.tries;
    if (notifyType === NotifyType.TEMPORARY_FAILURE && canWait && !this.isOver) {
      this.#temporaryFailures++;
      retryLater(engine, this.peer, this);
      return;
    }
    const detail = `the peer answered ${nameOf(NotifyType, notifyType)}`;
    this.failed(engine, { reason: "refusedByPeer", notifyType, detail });
  }

  failed(engine: EngineContext, failure: ExchangeFailure): void {
    if (this.isOver) return;
    this.#finish(engine);
    if (this.requestId === undefined) return;
    engine.emit({ kind: "informFailed", peer: this.peer.name, requestId: this.requestId, failure });
  }

  abandon(engine: EngineContext): void {
    this.failed(engine, { reason: "abandoned", detail: "given up by the caller" });
    this.peer.stopWaiting(this);
  }

  #finish(engine: EngineContext): void {
    this.isOver = true;
    if (this.requestId !== undefined) engine.pending.delete(this.requestId);
  }
}

function payloadsFor(item: InformItem, peerSpeaksKarp: boolean): readonly Payload[] {
  switch (item.kind) {
    case "keyState":
      return peerSpeaksKarp ? [encodeKeyState(item)] : [];
    case "freeze":
      return peerSpeaksKarp ? [encodeFreeze(item.seconds)] : [];
    case "deleteMkts":
      return [deletePayload(item.sendIds)];
  }
}

/** For protocol TCP_AO the SPI is the sender's SendID (draft-mahesh-karp-rkmp section 4.3). */
export function deletePayload(sendIds: readonly number[]): Payload {
  const spis = sendIds.map((sendId) => Uint8Array.of(sendId));
  return { kind: "D", protocolId: SecurityProtocolId.TCP_AO, spiSize: 1, spis };
}
