import { Secret } from "@karp/ikev2";
import { mktAlgorithms } from "../keytable/algorithms.ts";
import { type Association, isLive, isPlaceholder, type Mkt } from "./association.ts";
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

function chooseIds(
  turn: Turn,
  { peer, session }: Association,
): { readonly sendId: number; readonly recvId: number } | undefined {
  const { keyIds } = turn.ground;
  const recvId = keyIds.chooseRecvId(session);
  const sendId = peer === undefined ? recvId : keyIds.chooseSendId(peer.config, session, undefined);
  return sendId === undefined || recvId === undefined ? undefined : { sendId, recvId };
}
