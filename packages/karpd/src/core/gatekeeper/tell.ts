import type { ExchangeFailure, InformItem } from "@karp/ikev2";
import { KeyState } from "@karp/ikev2";
import { wallLater } from "../time.ts";
import { type Association, type Deletion, isStored, type Mkt, type Telling, type Told } from "./association.ts";
import { freezeSeconds } from "./freeze.ts";
import { isOfPeer, retryAt, sayingOf } from "./peerState.ts";
import type { Turn } from "./turn.ts";

/** Most octets of a KEY_STATE's reason; one octet a character, as only ASCII is sent. */
const MOST_REASON_OCTETS = 64;

/** Tells the peer what it does not know yet, all in one INFORMATIONAL, one at a time. */
export function tell(turn: Turn, association: Association): void {
  settleUntellable(association);
  const { peer, telling } = association;
  if (peer === undefined || telling.sent !== undefined) return;
  const due = dueItems(turn, association);
  const told = isStored(association) ? due : due.filter(isUrgent);
  if (told.length === 0 || telling.waitsForIkeSa) return;
  if (telling.notBefore > turn.now.monotonic) {
    turn.wake(telling.notBefore);
    return;
  }
  const requestId = turn.ground.nextRequestId(association);
  association.telling = { ...telling, sent: { requestId, items: told } };
  const items = told.map((item) => informItem(turn, association, item, requestId));
  turn.ike({ kind: "inform", requestId, peer: peer.config.name, items, connect: peer.speaksKarp !== false });
}

/** That a key is gone must not wait for the store; it promises nothing that a crash could take back. */
function isUrgent(item: Told): boolean {
  return item.kind === "state" && (item.state === KeyState.withdrawn || item.state === KeyState.failed);
}

function dueItems(turn: Turn, association: Association): readonly Told[] {
  const items: Told[] = [];
  const speaksKarp = association.peer?.speaksKarp !== false;
  if (speaksKarp && association.telling.tellsFreeze) items.push({ kind: "freeze", until: association.frozenUntil });
  for (const mkt of association.mkts) {
    if (mkt.row.createdBy !== "ike") continue;
    const state = speaksKarp ? dueState(turn, association, mkt) : undefined;
    if (state !== undefined) items.push({ kind: "state", mkt, state });
    if (isDeletionDue(turn, association, mkt)) items.push({ kind: "delete", mkt });
  }
  for (const sendId of dueDoubts(association)) items.push({ kind: "doubt", sendId });
  return items;
}

/** SendIDs whose MKT the peer is to delete, if it has one; not one that is asked for again meanwhile. */
function dueDoubts({ doubtful, negotiation }: Association): readonly number[] {
  const askedFor = "sendId" in negotiation ? negotiation.sendId : undefined;
  const due = doubtful.filter(({ sendId, deletion }) => deletion.name === "notSent" && sendId !== askedFor);
  return due.map(({ sendId }) => sendId);
}

/** Its D left us, and the peer has not answered. */
export function isBeingDeleted({ sent }: Telling, sendId: number): boolean {
  return sent?.items.some((item) => item.kind === "doubt" && item.sendId === sendId) === true;
}

/** The state that the peer does not know yet. */
function dueState(turn: Turn, association: Association, mkt: Mkt): number | undefined {
  const saying = sayingOf(turn, association, mkt);
  if (saying === undefined) return undefined;
  return saying.state !== mkt.row.toldState || mkt.tellsAgain || isRemoved(mkt) ? saying.state : undefined;
}

function isRemoved(mkt: Mkt): boolean {
  return mkt.situation.name === "removed";
}

function isDeletionDue(turn: Turn, association: Association, mkt: Mkt): boolean {
  if (deletionOf(mkt)?.name !== "notSent") return false;
  const permission = turn.ground.rules.mayDelete(association, mkt, turn.facts(association));
  if (!permission.isGranted) turn.wake(permission.at);
  return permission.isGranted;
}

function informItem(turn: Turn, association: Association, item: Told, requestId: number): InformItem {
  switch (item.kind) {
    case "state": {
      item.mkt.tellsAgain = false;
      item.mkt.toldAt = turn.now.monotonic;
      const reason = sayingOf(turn, association, item.mkt)?.reason ?? "";
      if (item.mkt.situation.name === "removed") item.mkt.situation = { ...item.mkt.situation, tellsUnknown: false };
      return { kind: "keyState", sendId: item.mkt.row.sendId, state: item.state, reason: plain(reason) };
    }
    case "delete":
      setDeletion(item.mkt, { name: "sent", requestId });
      return { kind: "deleteMkts", sendIds: [item.mkt.row.sendId] };
    case "doubt":
      return { kind: "deleteMkts", sendIds: [item.sendId] };
    case "freeze":
      return { kind: "freeze", seconds: freezeSeconds(turn, association) };
  }
}

/** The peer has it. */
export function onInformed(turn: Turn, association: Association, requestId: number): void {
  const { sent } = association.telling;
  if (sent?.requestId !== requestId) return;
  association.telling = { ...association.telling, sent: undefined, attempts: 0, lastFailure: undefined };
  for (const item of sent.items) noteAnswered(turn, association, item, sent.requestId);
  turn.hasMoved = true;
}

function noteAnswered(turn: Turn, association: Association, item: Told, requestId: number): void {
  switch (item.kind) {
    case "state":
      if (item.mkt.row.toldState !== item.state && item.mkt.situation.name !== "removed") {
        turn.amend(item.mkt, { toldState: item.state });
      }
      return;
    case "delete": {
      const deletion = deletionOf(item.mkt);
      if (deletion?.name !== "sent" || deletion.requestId !== requestId) return;
      answerDeletion(turn, association, item.mkt);
      return;
    }
    case "doubt":
      answerDoubt(turn, association, item.sendId);
      return;
    case "freeze":
      // Thawed or frozen anew meanwhile: that is still to be told.
      if (association.frozenUntil === item.until) association.telling = { ...association.telling, tellsFreeze: false };
  }
}

/** D is answered: the quarantine of the KeyIDs counts from here, or from the removal. */
function answerDeletion(turn: Turn, association: Association, mkt: Mkt): void {
  setDeletion(mkt, { name: "answered", at: turn.now.monotonic });
  const { quarantineSeconds } = association.session.rollover;
  turn.amend(mkt, {
    deleteAnsweredAt: turn.now.wall,
    ...(mkt.situation.name === "removed" ? { quarantineUntil: wallLater(turn.now.wall, quarantineSeconds) } : {}),
  });
}

function answerDoubt(turn: Turn, association: Association, sendId: number): void {
  association.doubtful = association.doubtful.map((doubt) =>
    doubt.sendId === sendId ? { ...doubt, deletion: { name: "answered", at: turn.now.monotonic } } : doubt,
  );
}

/** The peer may or may not have it: told again later, or on the next IKE SA. */
export function onInformFailed(
  turn: Turn,
  association: Association,
  requestId: number,
  failure: ExchangeFailure,
): void {
  const { sent, attempts } = association.telling;
  if (sent?.requestId !== requestId) return;
  for (const item of sent.items) {
    if (item.kind === "delete" && deletionOf(item.mkt)?.name === "sent") setDeletion(item.mkt, { name: "notSent" });
    if (item.kind === "state") item.mkt.tellsAgain = true;
  }
  const needsIkeSa = failure.reason === "noIkeSa" || failure.reason === "childlessNotSupported";
  association.telling = {
    ...association.telling,
    sent: undefined,
    attempts: attempts + 1,
    notBefore: retryAt(turn.now.monotonic, attempts + 1, turn.random()),
    waitsForIkeSa: needsIkeSa,
    lastFailure: { sinceWall: association.telling.lastFailure?.sinceWall ?? turn.now.wall, text: failure.detail },
  };
  turn.hasMoved = true;
}

/** A new IKE SA: every MKT held with this peer is spoken of again, and every D that is unanswered. */
export function tellAllAgain(turn: Turn, association: Association): void {
  for (const mkt of association.mkts) {
    const isToTell = mkt.situation.name !== "removed";
    mkt.tellsAgain = isToTell;
  }
  const { frozenUntil, telling } = association;
  association.telling = {
    ...telling,
    attempts: 0,
    notBefore: turn.now.monotonic,
    waitsForIkeSa: false,
    tellsFreeze: telling.tellsFreeze || frozenUntil !== undefined,
  };
  turn.hasMoved = true;
}

/** D to somebody who is no peer any more, or of keys that no peer knows, needs no answer. */
function settleUntellable(association: Association): void {
  for (const mkt of association.mkts) {
    if (deletionOf(mkt)?.name !== "notSent") continue;
    const isTellable = mkt.row.createdBy === "ike" && isOfPeer(association, mkt) && association.isManaged;
    const gone = association.peer?.speaksKarp === false && association.telling.waitsForIkeSa;
    if (!isTellable || gone) setDeletion(mkt, { name: "answered", at: mkt.situation.since });
  }
}

export function deletionOf(mkt: Mkt): Deletion | undefined {
  const { situation } = mkt;
  return situation.name === "retiring" || situation.name === "removed" ? situation.deletion : undefined;
}

function setDeletion(mkt: Mkt, deletion: Deletion): void {
  const { situation } = mkt;
  if (situation.name === "retiring" || situation.name === "removed") mkt.situation = { ...situation, deletion };
}

/** Printable ASCII only, cut to what KEY_STATE carries. */
function plain(reason: string): string {
  return reason.replaceAll(/[^ -~]/g, "?").slice(0, MOST_REASON_OCTETS);
}
