import { Secret } from "@karp/ikev2";
import { mktAlgorithms } from "../keytable/algorithms.ts";
import { type Association, isLive, isPlaceholder, type Mkt } from "./association.ts";
import { isFirstToAct } from "./lifetimes.ts";
import { makeMkt } from "./makeMkt.ts";
import type { Turn } from "./turn.ts";

/**
 * Mode required, and any session whose keys were taken from it: a random key that nobody else has is there until the
 * first MKT, so that the session fails closed and never comes up unprotected.
 */
export function keepClosed(turn: Turn, association: Association): void {
  if (!association.isManaged || association.session.mode === "observe") return;
  const failsClosed =
    association.session.mode === "required" || association.wasKeyed || association.revokedBecause !== undefined;
  if (failsClosed && !association.mkts.some(isLive)) addPlaceholder(turn, association);
}

export function addPlaceholder(turn: Turn, association: Association): Mkt | undefined {
  const existing = association.mkts.find(
    (mkt) => isPlaceholder(mkt) && isLive(mkt) && mkt.situation.name !== "retiring",
  );
  if (existing !== undefined) return existing;
  const ids = chooseIds(turn, association);
  const [algorithm] = association.session.algorithms;
  if (ids === undefined || algorithm === undefined) return undefined;
  const mkt = makeMkt(turn, association, {
    createdBy: "placeholder",
    ...ids,
    algorithm,
    coversTcpOptions: association.session.tcpOptions[0] !== "omitted",
    masterKey: new Secret(turn.ground.crypto.random(mktAlgorithms[algorithm].keyOctets)),
    credentialFingerprint: "",
    replaces: undefined,
    origin: undefined,
    commitId: undefined,
  });
  association.mkts = [mkt, ...association.mkts];
  turn.ground.keyIds.add(association, mkt);
  turn.hasMoved = true;
  return mkt;
}

/**
 * One end takes even KeyIDs, the other odd ones: were one end's SendID the other's RecvID, an RNextKeyID that means one
 * placeholder would be taken for the other (RFC 5925 section 7.5).
 */
function chooseIds(
  turn: Turn,
  association: Association,
): { readonly sendId: number; readonly recvId: number } | undefined {
  const parity = isFirstToAct(association) ? 0 : 1;
  const { keyIds } = turn.ground;
  const choose = (
    isExcluded: (keyId: number) => boolean,
  ): { readonly sendId: number; readonly recvId: number } | undefined => {
    const recvId = keyIds.chooseRecvId(association.session, isExcluded);
    const sendId =
      association.peer === undefined
        ? recvId
        : keyIds.chooseSendId(association.peer.config, association.session, undefined, isExcluded);
    return sendId === undefined || recvId === undefined ? undefined : { sendId, recvId };
  };
  return choose((keyId) => keyId % 2 !== parity) ?? choose(() => false);
}
