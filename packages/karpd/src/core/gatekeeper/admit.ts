import type { MktDecision, MktRequest, NegotiatedMkt, Now } from "@karp/ikev2";
import { hasFreeKeyId, hasKeyId, NotifyType } from "@karp/ikev2";
import { algorithmOfIntegrity } from "../keytable/algorithms.ts";
import { later } from "../time.ts";
import {
  type Association,
  candidates,
  currentMkt,
  isServing,
  liveMkts,
  type Mkt,
  MOST_LIVE_MKTS,
} from "./association.ts";
import { hear } from "./hear.ts";
import { leaveFirstMove, planLifetime } from "./lifetimes.ts";
import { formatOrigin, makeMkt, originFact, originOf } from "./makeMkt.ts";
import type { Peer } from "./peer.ts";
import { isOfPeer } from "./peerState.ts";
import { isConfirmedByPeer } from "./rules.ts";
import { describesSame, narrowed, selectorsOf, sessionMeant, termsOf } from "./selectors.ts";
import type { Ground, Turn } from "./turn.ts";

/** A request that is repeated comes so late at most. */
const LATE_SECONDS = 60;

/** Whether, and on what terms, a peer gets the MKT that it asks for. A question: nothing changes. */
export function consider(
  ground: Ground,
  peer: Peer,
  association: Association,
  request: MktRequest,
  now: Now,
): MktDecision {
  const refusal =
    refuseForState(ground, association) ??
    refuseForPredecessor(association, request, now) ??
    refuseForSelectors(association, peer, request);
  if (refusal !== undefined) return refusal;
  const taken = ground.keyIds.recvIdsTaken(peer.config, association.session);
  if (hasKeyId(taken, request.recvId)) {
    // No other one would do either: the peer is not to try them all
    if (!hasFreeKeyId(taken)) return refuse(NotifyType.NO_ADDITIONAL_SAS, "no RecvID is free here");
    return {
      kind: "refuse",
      notifyType: NotifyType.KEYID_IN_USE,
      data: taken,
      detail: `KeyID ${request.recvId} is in use here`,
    };
  }
  const sendId = ground.keyIds.chooseSendId(peer.config, association.session, request.taken);
  if (sendId === undefined) return refuse(NotifyType.NO_ADDITIONAL_SAS, "no KeyID is free at both ends");
  const replaces = predecessorOf(association, request);
  return {
    kind: "accept",
    sendId,
    terms: termsOf(association, peer.config),
    lifetime: leaveFirstMove(association, planLifetime(ground, association), request.peerLifetime),
    ...(replaces === undefined || request.rekeys === undefined ? {} : { replaces: replaces.row.sendId }),
    context: association.name,
  };
}

/** RFC 7296 section 2.9: TS that are outside of what the peer may speak for mean no session. */
export function findSession(peer: Peer, request: MktRequest): Association | undefined {
  const { localSelectors, remoteSelectors } = request;
  const managed = [...peer.associations].filter(({ isManaged }) => isManaged);
  if (localSelectors !== undefined && remoteSelectors !== undefined) {
    return sessionMeant(managed, localSelectors, remoteSelectors);
  }
  // Without TS payloads the peer must have just one session that it can mean.
  return managed.length === 1 ? managed[0] : undefined;
}

function refuseForState(ground: Ground, association: Association): MktDecision | undefined {
  const storeFailure = ground.storeFailure();
  if (storeFailure !== undefined) return refuse(NotifyType.TEMPORARY_FAILURE, "the key table cannot be stored now");
  if (association.closing !== undefined || association.revokedBecause !== undefined) {
    return refuse(NotifyType.TEMPORARY_FAILURE, "the keys of this session are revoked");
  }
  if (association.frozenUntil !== undefined && currentMkt(association) !== undefined) {
    return refuse(NotifyType.TEMPORARY_FAILURE, "rollovers of this session are frozen");
  }
  if (liveMkts(association).length >= MOST_LIVE_MKTS) {
    return refuse(NotifyType.NO_ADDITIONAL_SAS, `${MOST_LIVE_MKTS} keys of this session are alive already`);
  }
  return undefined;
}

/** RFC 7296 section 2.9.2: a rekey does not narrow what is in use; one for anything else is no rekey. */
function refuseForSelectors(association: Association, peer: Peer, request: MktRequest): MktDecision | undefined {
  const predecessor = request.rekeys === undefined ? undefined : predecessorOf(association, request);
  if (predecessor === undefined) return undefined;
  const granted = narrowed(request, termsOf(association, peer.config));
  if (describesSame(granted, selectorsOf(predecessor))) return undefined;
  return refuse(NotifyType.TS_UNACCEPTABLE, `the traffic selectors are not those of key ${predecessor.fingerprint}`);
}

/** RFC 7296 section 2.25.1: a rekey of what is not there, or of what is being replaced already. */
function refuseForPredecessor(association: Association, request: MktRequest, now: Now): MktDecision | undefined {
  const predecessor = predecessorOf(association, request);
  if (request.rekeys !== undefined && predecessor === undefined) {
    return liveMkts(association).some(
      (mkt) => mkt.row.recvId === request.rekeys && isJustReplaced(association, mkt, now),
    )
      ? refuse(NotifyType.TEMPORARY_FAILURE, "the MKT is replaced already")
      : refuse(NotifyType.CHILD_SA_NOT_FOUND, "no such MKT");
  }
  if (association.negotiation.name === "negotiating") return undefined;
  const inTheWay = candidates(association).some((mkt) => isInTheWay(association, mkt, predecessor, request));
  return inTheWay ? refuse(NotifyType.TEMPORARY_FAILURE, "the MKT is being replaced already") : undefined;
}

function isInTheWay(association: Association, mkt: Mkt, predecessor: Mkt | undefined, request: MktRequest): boolean {
  // One that a former credential made: neither end can say any more that it is in use
  if (mkt.row.createdBy === "ike" && !isOfPeer(association, mkt)) return false;
  if (request.rekeys !== undefined) return mkt !== predecessor;
  // A plain request from a peer that knows our candidate came late; from one that does not, it is a fresh start.
  return association.peer?.speaksKarp !== false && mkt.heardAt !== undefined && isConfirmedByPeer(mkt);
}

/**
 * The request was on its way when its MKT was replaced. Later it is no accident: two ends that each replaced the other's
 * current MKT would put each other off for ever, where CHILD_SA_NOT_FOUND has the peer ask for a new one.
 */
function isJustReplaced(association: Association, mkt: Mkt, { monotonic }: Now): boolean {
  const { situation } = mkt;
  if (situation.name !== "retiring" || situation.why !== "replaced" || !isOfPeer(association, mkt)) return false;
  return later(situation.since, LATE_SECONDS) > monotonic;
}

function predecessorOf(association: Association, request: MktRequest): Mkt | undefined {
  if (request.rekeys === undefined) return currentMkt(association);
  const { peer } = association;
  return association.mkts.find(
    (mkt) =>
      mkt.row.recvId === request.rekeys &&
      isServing(mkt) &&
      mkt.row.createdBy === "ike" &&
      mkt.row.peerIdentity === peer?.remoteIdentity &&
      mkt.row.localIdentity === peer.localIdentity &&
      mkt.row.credentialFingerprint === peer.credential,
  );
}

/** A negotiated MKT: held from now on. Undefined when it cannot be taken; the peer then has to forget it. */
export function admit(
  turn: Turn,
  association: Association,
  negotiated: NegotiatedMkt,
  replaces: Mkt | undefined,
): Mkt | undefined {
  const { peer } = association;
  const algorithm = algorithmOfIntegrity(negotiated.integrity);
  if (peer === undefined || algorithm === undefined) return undefined;
  const { sendId, recvId } = turn.ground.rules.idsOf(negotiated);
  const taken = turn.ground.keyIds.recvIdsTaken(peer.config, association.session);
  if (hasKeyId(taken, recvId)) return undefined;
  const mkt = makeMkt(turn, association, {
    createdBy: "ike",
    sendId,
    recvId,
    algorithm,
    coversTcpOptions: negotiated.tcpOptions === 1,
    masterKey: negotiated.masterKey,
    credentialFingerprint: negotiated.credentialFingerprint,
    replaces,
    origin: originOf(association, negotiated),
    selectors: { localSelectors: negotiated.localSelectors, remoteSelectors: negotiated.remoteSelectors },
    lifetime: negotiated.lifetime,
    peerLifetime: negotiated.peerLifetime,
    commitId: negotiated.commitId,
  });
  association.mkts = [...association.mkts, mkt];
  turn.ground.keyIds.add(association, mkt);
  if (mkt.origin !== undefined)
    association.changes.push({ kind: "setFact", name: originFact(mkt), value: formatOrigin(mkt.origin) });
  turn.hasMoved = true;
  turn.event(association, "mktNegotiated", "info", describe(mkt, negotiated), { mkt });
  hearEarly(turn, association, mkt, peer);
  return mkt;
}

/** What the peer said about it before we knew it: its request may overtake its response. */
function hearEarly(turn: Turn, association: Association, mkt: Mkt, peer: Peer): void {
  for (const early of peer.early) {
    if (early.recvId === mkt.row.recvId) hear(turn, association, mkt, early.state, early.reason);
  }
  peer.early = peer.early.filter(({ recvId }) => recvId !== mkt.row.recvId);
}

function describe(mkt: Mkt, { isInitiator, replaces, keyExchange }: NegotiatedMkt): string {
  const role = isInitiator ? "as initiator" : "as responder";
  const kind = replaces === undefined ? "new key" : "rekey";
  const pfs = keyExchange === undefined ? "" : " with PFS";
  return `${kind} ${mkt.fingerprint} negotiated ${role}${pfs}: SendID ${mkt.row.sendId}, RecvID ${mkt.row.recvId}, ${mkt.row.algorithm}`;
}

function refuse(notifyType: number, detail: string): MktDecision {
  return { kind: "refuse", notifyType, detail };
}
