/** The INFORMATIONAL exchange, RFC 7296 section 1.4: the responder's half. */
import type { DeletePayload, NotifyPayload, Payload } from "../../codec/message.ts";
import { decodeFreeze } from "../../codec/notifies/freeze.ts";
import { decodeKeyState } from "../../codec/notifies/keyState.ts";
import { nameOf } from "../../registry/nameOf.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { SecurityProtocolId } from "../../registry/securityProtocolId.ts";
import type { EngineContext } from "../context.ts";
import { type ReceivedRequest, sendProtectedResponse } from "../exchange.ts";
import type { IkeSa } from "../ikeSa.ts";
import type { ExchangeFailure, IkeEvent } from "../machine.ts";
import { payloadsOf } from "../payloads.ts";
import { removeIkeSa } from "../removal.ts";
import type { Secured } from "../states.ts";
import { deletePayload } from "./inform.ts";
import { adoptPeersRekey } from "./rekeyIkeSa.ts";

const DELETED: ExchangeFailure = { reason: "ikeSaClosed", detail: "the peer deleted the IKE SA" };

/** HDR, SK {[N,] [D,] ...}  -->  <--  HDR, SK {[D]}; everything is looked at before anything happens. */
export function receiveInformational(
  engine: EngineContext,
  sa: IkeSa,
  request: ReceivedRequest,
  payloads: readonly Payload[],
): void {
  // A peer that was dismissed, or that another credential took the place of, has nothing more to say
  const secured = sa.secured !== undefined && engine.peers.has(sa.secured.peer) ? sa.secured : undefined;
  const deletes = payloadsOf(payloads, "D");
  const notifies = payloadsOf(payloads, "N");
  const fatal = notifies.find(({ notifyType }) => isFatal(notifyType));
  const isIkeSaDeleted = deletes.some(({ protocolId }) => protocolId === SecurityProtocolId.IKE);
  const events = secured === undefined ? [] : eventsOf(secured, notifies);
  if (secured !== undefined && payloads.length > 0) secured.lifetime.lastUsedAt = engine.now.monotonic;
  for (const event of events) engine.emit(event);
  // RFC 7296 section 1.4.1: the response to a request that deletes the IKE SA is empty
  const answer = secured === undefined || isIkeSaDeleted ? [] : deleteMkts(engine, sa, secured, deletes);
  sendProtectedResponse(engine, sa, request, answer);
  if (fatal !== undefined) {
    const detail = `the peer reported ${nameOf(NotifyType, fatal.notifyType)}`;
    const failure: ExchangeFailure = { reason: "ikeSaClosed", notifyType: fatal.notifyType, detail };
    removeIkeSa(engine, sa, { failure, operations: "fail" });
  } else if (isIkeSaDeleted) {
    adoptPeersRekey(engine, sa);
    removeIkeSa(engine, sa, { failure: DELETED, operations: "move" });
  }
}

/** RFC 7296 sections 2.21.2 and 2.21.3: these end the IKE SA without a Delete. */
function isFatal(notifyType: number): boolean {
  return notifyType === NotifyType.AUTHENTICATION_FAILED || notifyType === NotifyType.INVALID_SYNTAX;
}

/** Status notifies that we do not know MUST be ignored (RFC 7296 section 3.10.1). */
function eventsOf(secured: Secured, notifies: readonly NotifyPayload[]): readonly IkeEvent[] {
  // RFC 7296 section 6: private numbers mean something only between consenting peers
  if (!secured.peerSpeaksKarp) return [];
  const peer = secured.peer.name;
  return notifies.flatMap((notify): readonly IkeEvent[] => {
    switch (notify.notifyType) {
      case NotifyType.KMP_KEY_STATE: {
        const { sendId, state, reason } = decodeKeyState(notify);
        return [{ kind: "keyState", peer, recvId: sendId, state, reason }];
      }
      case NotifyType.KMP_FREEZE:
        return [{ kind: "freeze", peer, seconds: decodeFreeze(notify) }];
      default:
        return [];
    }
  });
}

/** Tells who keeps the MKTs, and answers with our SendIDs of them (RFC 7296 section 1.4.1). */
function deleteMkts(
  engine: EngineContext,
  sa: IkeSa,
  secured: Secured,
  deletes: readonly DeletePayload[],
): readonly Payload[] {
  const recvIds = deletes
    .filter(({ protocolId }) => protocolId === SecurityProtocolId.TCP_AO)
    .flatMap(({ spis }) => spis.flatMap((spi) => [...spi]));
  if (recvIds.length === 0) return [];
  const peer = secured.peer.name;
  const crossing = sa.outstanding?.operation?.deletedSendIds ?? [];
  // RFC 7296 section 1.4.1: what we asked to delete ourselves, in a request that crosses, is left out
  const sendIds = engine.policy.answerDelete(peer, recvIds).filter((sendId) => !crossing.includes(sendId));
  for (const [sendId, recvId] of secured.mkts) if (recvIds.includes(recvId)) secured.mkts.delete(sendId);
  engine.emit({ kind: "mktsDeleted", peer, recvIds });
  return sendIds.length === 0 ? [] : [deletePayload(sendIds)];
}
