import type { ExchangeFailure, IkeEvent, NegotiatedMkt } from "@karp/ikev2";
import { NotifyType } from "@karp/ikev2";
import type { EventName, Severity } from "../events.ts";
import { formatRfc3339, later, secondsBetween, wallLater } from "../time.ts";
import { admit } from "./admit.ts";
import { type Association, currentMkt, type Mkt } from "./association.ts";
import { MOST_FREEZE_SECONDS } from "./freeze.ts";
import { hear, hearDelete } from "./hear.ts";
import { onNegotiatedByUs, onNegotiationFailed, peerIsBack } from "./negotiate.ts";
import type { Peer } from "./peer.ts";
import { isOfPeer } from "./peerState.ts";
import { clearRequest } from "./request.ts";
import { onInformed, onInformFailed, tellAllAgain } from "./tell.ts";
import type { Turn } from "./turn.ts";

/** What ikeEvents needs of the gatekeeper's tables. */
export interface Directory {
  peer(name: string): Peer | undefined;
  /** The configured peer with this IKE address, if there is one. */
  peerAt(address: string): Peer | undefined;
  session(name: string): Association | undefined;
  /** The association that asked with this id; forgotten afterwards. */
  takeRequest(requestId: number): Association | undefined;
  /** It is looked at before the turn ends. */
  touch(association: Association): void;
}

/** At most so many KEY_STATEs that came before their MKT are kept of a peer. */
const MOST_EARLY = 8;
/** A freeze that ends so close to the one that is known says nothing new. */
const SAME_FREEZE_SECONDS = 3600;

/** What the IKE engine tells. The death of an IKE SA, in whatever way, touches no MKT. */
export function onIkeEvent(turn: Turn, directory: Directory, event: IkeEvent): void {
  switch (event.kind) {
    case "mktNegotiated":
      onNegotiated(turn, directory, event);
      return;
    case "mktFailed":
      answered(directory, event.requestId, (association) => onNegotiationFailed(turn, association, event));
      return;
    case "informed":
      answered(directory, event.requestId, (association) => onInformed(turn, association, event.requestId));
      return;
    case "informFailed":
      answered(directory, event.requestId, (association) =>
        onInformFailed(turn, association, event.requestId, event.failure),
      );
      return;
    case "keyState":
    case "mktsDeleted":
    case "freeze":
      onPeerSaid(turn, directory, event);
      return;
    default:
      onIkeSa(turn, directory, event);
  }
}

function answered(directory: Directory, requestId: number, act: (association: Association) => void): void {
  const association = directory.takeRequest(requestId);
  if (association === undefined) return;
  act(association);
  directory.touch(association);
}

function onNegotiated(turn: Turn, directory: Directory, negotiated: NegotiatedMkt): void {
  if (negotiated.requestId !== undefined) {
    answered(directory, negotiated.requestId, (association) => onNegotiatedByUs(turn, association, negotiated));
    return;
  }
  const association = negotiated.context === undefined ? undefined : directory.session(negotiated.context);
  const mkt = association === undefined ? undefined : admitPeers(turn, association, negotiated);
  if (association !== undefined) directory.touch(association);
  if (mkt === undefined && negotiated.commitId !== undefined) {
    turn.ike({ kind: "abort", commitId: negotiated.commitId, notifyType: NotifyType.TEMPORARY_FAILURE });
  }
}

function admitPeers(turn: Turn, association: Association, negotiated: NegotiatedMkt): Mkt | undefined {
  const named = association.mkts.find(({ row }) => row.sendId === negotiated.replaces);
  const mkt = admit(turn, association, negotiated, negotiated.replaces === undefined ? currentMkt(association) : named);
  if (mkt !== undefined && association.negotiation.name !== "negotiating") clearRequest(association);
  return mkt;
}

function onPeerSaid(
  turn: Turn,
  directory: Directory,
  event: Extract<IkeEvent, { readonly kind: "keyState" | "mktsDeleted" | "freeze" }>,
): void {
  const peer = directory.peer(event.peer);
  if (peer === undefined) return;
  if (event.kind === "freeze") {
    onPeerFroze(turn, directory, peer, event.seconds);
    return;
  }
  for (const recvId of event.kind === "keyState" ? [event.recvId] : event.recvIds) {
    const found = turn.ground.keyIds.find(peer.localIdentity, peer.remoteIdentity, recvId);
    if (found !== undefined) onCommented(turn, directory, found, event);
    else if (event.kind === "keyState") keepEarly(peer, event);
  }
}

/** At most as long as we would freeze ourselves; a peer that repeats itself is not news each time. */
function onPeerFroze(turn: Turn, directory: Directory, peer: Peer, seconds: number): void {
  const { monotonic, wall } = turn.now;
  const former = peer.frozenUntil !== undefined && peer.frozenUntil > monotonic ? peer.frozenUntil : undefined;
  const believed = Math.min(seconds, MOST_FREEZE_SECONDS);
  peer.frozenUntil = seconds === 0 ? undefined : later(monotonic, believed);
  for (const association of peer.associations) directory.touch(association);
  const { name } = peer.config;
  if (peer.frozenUntil === undefined) {
    if (former !== undefined) tellPeople(turn, peer, "thawed", "info", `${name} may begin rollovers again`);
  } else if (former === undefined || Math.abs(secondsBetween(former, peer.frozenUntil)) > SAME_FREEZE_SECONDS) {
    const until = formatRfc3339(wallLater(wall, believed));
    tellPeople(turn, peer, "frozen", "info", `${name} begins no rollover before ${until}`);
  }
}

function onCommented(
  turn: Turn,
  directory: Directory,
  { association, mkt }: { readonly association: Association; readonly mkt: Mkt },
  event: Extract<IkeEvent, { readonly kind: "keyState" | "mktsDeleted" }>,
): void {
  // Only the identity and the credential that made an MKT may comment on it.
  if (!isOfPeer(association, mkt)) return;
  if (event.kind === "keyState") hear(turn, association, mkt, event.state, event.reason);
  else hearDelete(turn, association, mkt);
  directory.touch(association);
}

/** A peer's request may overtake its response: its word is kept while we wait for an answer of it. */
function keepEarly(peer: Peer, { recvId, state, reason }: Extract<IkeEvent, { readonly kind: "keyState" }>): void {
  const isWaiting = [...peer.associations].some(({ negotiation }) => negotiation.name === "negotiating");
  if (!isWaiting) return;
  peer.early = [...peer.early.filter((early) => early.recvId !== recvId), { recvId, state, reason }].slice(-MOST_EARLY);
}

type IkeSaEvent = Extract<
  IkeEvent,
  { readonly kind: "ikeSaEstablished" | "ikeSaRekeyed" | "ikeSaClosed" | "ikeSaFailed" | "peerRejected" }
>;

function onIkeSa(turn: Turn, directory: Directory, event: IkeSaEvent): void {
  const peer = event.peer === undefined ? undefined : directory.peer(event.peer);
  switch (event.kind) {
    case "ikeSaEstablished":
      if (peer !== undefined) onEstablished(turn, directory, peer, event);
      return;
    case "ikeSaRekeyed":
      tellPeople(turn, peer, "ikeSaRekeyed", "info", `the IKE SA with ${event.peer} is rekeyed`);
      return;
    case "ikeSaClosed":
      if (peer !== undefined) peer.ikeSa = "none";
      tellPeople(
        turn,
        peer,
        "ikeSaClosed",
        "info",
        `the IKE SA with ${event.peer} is closed${because(event.failure?.detail)}; its keys stay`,
      );
      return;
    case "ikeSaFailed":
      onFailed(turn, peer, event.failure);
      return;
    case "peerRejected":
      onRejected(turn, peer ?? directory.peerAt(event.remote.address), event);
  }
}

function onEstablished(
  turn: Turn,
  directory: Directory,
  peer: Peer,
  event: Extract<IkeEvent, { readonly kind: "ikeSaEstablished" }>,
): void {
  peer.ikeSa = "established";
  peer.role = event.isInitiator ? "initiator" : "responder";
  peer.suite = event.suite;
  peer.establishedAt = turn.now.wall;
  peer.speaksSince = turn.now.monotonic;
  peer.speaksKarp = event.peerSpeaksKarp;
  peer.credential = event.credentialFingerprint;
  peer.hasNewCredential = false;
  peer.lastFailure = undefined;
  peer.lastRefusal = undefined;
  tellPeople(
    turn,
    peer,
    "ikeSaEstablished",
    "info",
    `an IKE SA with ${peer.config.name} is established (${event.suite})`,
  );
  for (const association of peer.associations) {
    tellAllAgain(turn, association);
    peerIsBack(turn, association);
    directory.touch(association);
  }
}

function onFailed(turn: Turn, peer: Peer | undefined, { reason, detail }: ExchangeFailure): void {
  if (peer === undefined) return;
  const { name } = peer.config;
  // An attempt of ours that nobody answered while the peer's own came through.
  const isOvertaken = peer.ikeSa === "established" && reason === "timeout";
  const text = `no IKE SA with ${name}${because(detail)}`;
  if (isOvertaken) {
    tellPeople(turn, peer, "ikeSaFailed", "info", `${text}; the one that ${name} began is there`);
    return;
  }
  peer.ikeSa = peer.ikeSa === "connecting" ? "none" : peer.ikeSa;
  peer.lastFailure = { at: turn.now.wall, text: detail };
  tellPeople(turn, peer, "ikeSaFailed", "warning", text);
}

/** RFC 7296 section 2.21.2: the peer hears AUTHENTICATION_FAILED and no more; people here hear why. */
function onRejected(
  turn: Turn,
  peer: Peer | undefined,
  { remote, detail }: Extract<IkeEvent, { readonly kind: "peerRejected" }>,
): void {
  if (peer !== undefined) peer.lastRefusal = { at: turn.now.wall, text: `refused here: ${detail}` };
  tellPeople(turn, peer, "peerRejected", "warning", `${remote.address} was refused${because(detail)}`);
}

function because(detail: string | undefined): string {
  return detail === undefined || detail === "" ? "" : `: ${detail}`;
}

function tellPeople(turn: Turn, peer: Peer | undefined, name: EventName, severity: Severity, text: string): void {
  const about = peer === undefined ? {} : { peer: peer.config.name };
  turn.effect({ kind: "event", event: { name, at: turn.now.wall, severity, ...about, text, data: {} } });
}
