import type { DriverKey } from "../../ports/routingDriver.ts";
import { selectForSending } from "../keytable/select.ts";
import type { Command, CommandReply, LocalCaller, ManualKey } from "../machine.ts";
import { audit, type Entitlement, refuse, refuseCaller } from "./answers.ts";
import {
  type Association,
  currentMkt,
  isPlaceholder,
  isServing,
  liveMkts,
  type Mkt,
  MOST_LIVE_MKTS,
  newestServing,
} from "./association.ts";
import { beginClosing } from "./close.ts";
import { giveUp } from "./collide.ts";
import { revokedFact } from "./makeAssociation.ts";
import { makeMkt } from "./makeMkt.ts";
import { isUnderWay } from "./negotiate.ts";
import { obstacleTo } from "./obstacles.ts";
import { notStored, replyWhenStored } from "./reply.ts";
import { setRequest } from "./request.ts";
import { handOut } from "./solo/handOut.ts";
import type { Turn } from "./turn.ts";
import { onWanted } from "./wanted.ts";

const LEAST_KEY_OCTETS = 16;
const MOST_KEY_OCTETS = 80;

/** A reply now, or undefined when it comes once everything is stored and done. */
export type Answer = CommandReply | undefined;

export type SessionCommand = Exclude<
  Command,
  { readonly kind: "freeze" | "thaw" | "unmanage" | "manage" | "Keytable_delete" | "Keytable_insertSA" }
>;

export function onSessionCommand(
  turn: Turn,
  association: Association,
  command: SessionCommand,
  requestId: number,
  isEntitled: Entitlement,
): Answer {
  switch (command.kind) {
    case "RKMP_generateSA":
    case "RKMP_rekeySA":
      return requestKey(turn, association, command.kind, requestId);
    case "wanted":
      return onWanted(turn, association, "a connection waits for a key");
    case "handout":
      return handOut(turn, association, command, requestId, isEntitled);
    case "Keytable_getSA":
      return readKey(turn, association, command.caller, isEntitled);
    case "Keytable_rekeySA":
      return insertKey(turn, association, command.row, command.caller, requestId, isEntitled, true);
    case "revoke":
      return revoke(turn, association, command.reason, requestId);
  }
}

function requestKey(
  turn: Turn,
  association: Association,
  kind: "RKMP_generateSA" | "RKMP_rekeySA",
  requestId: number,
): Answer {
  const { name } = association;
  if (association.session.solo !== undefined && association.peer === undefined) {
    return requestChain(turn, association, requestId);
  }
  if (association.peer === undefined) return refuse("noPeer", `no peer may key ${name}`);
  if (kind === "RKMP_rekeySA" && newestServing(association) === undefined && association.revokedBecause === undefined) {
    return refuse("noKey", `${name} has no key to replace; ask for one with RKMP_generateSA`);
  }
  if (association.frozenUntil !== undefined && currentMkt(association) !== undefined) {
    return refuse("frozen", `rollovers of ${name} are frozen; end that with: karp thaw ${name}`);
  }
  if (association.closing !== undefined) return refuse("busy", `the keys of ${name} are being revoked`);
  forgetRevocation(association);
  const text = request(turn, association);
  const promise = `the request for a new key for ${name}`;
  replyWhenStored(turn, [association], { requestId, reply: { ok: true, text }, promise });
  return undefined;
}

function forgetRevocation(association: Association): void {
  if (association.revokedBecause === undefined) return;
  association.revokedBecause = undefined;
  association.changes.push({ kind: "deleteFact", name: revokedFact(association.name) });
}

/** Dates that a neighbour was given do not move: only after a revocation there is a new chain. */
function requestChain(turn: Turn, association: Association, requestId: number): Answer {
  const { name } = association;
  if (association.closing !== undefined) return refuse("busy", `the keys of ${name} are being revoked`);
  if (association.revokedBecause === undefined) {
    const text = `the keys of ${name} are dated, and the neighbour rolls them by its own clock: karp show rollovers ${name} says when`;
    return refuse("dated", text);
  }
  forgetRevocation(association);
  turn.hasMoved = true;
  const text = `a new chain of keys for ${name} is made; give it to the neighbour with: karp handout ${name}`;
  replyWhenStored(turn, [association], { requestId, reply: { ok: true, text }, promise: `the chain of ${name}` });
  return undefined;
}

function request(turn: Turn, association: Association): string {
  if (isUnderWay(turn, association)) return `a rollover of ${association.name} is under way already`;
  setRequest(association, "somebody asked for it");
  if (association.negotiation.name === "wanted") {
    association.negotiation = { ...association.negotiation, notBefore: turn.now.monotonic };
  }
  turn.hasMoved = true;
  const obstacle = association.request === undefined ? undefined : obstacleTo(turn, association, association.request);
  if (obstacle !== undefined) return `a new key for ${association.name} is wanted, and waits: ${obstacle.reason}`;
  return `a new key for ${association.name} is being negotiated`;
}

function readKey(turn: Turn, association: Association, caller: LocalCaller, isEntitled: Entitlement): Answer {
  if (!isEntitled(caller, association.session, "read")) return refuseCaller(turn, association, caller, "read");
  const mkt = keyInUse(turn, association);
  if (mkt?.row.key === undefined) return refuse("noKey", `${association.name} has no key that may be sent with now`);
  audit(
    turn,
    association,
    "keyRead",
    `key ${mkt.fingerprint} was read by uid ${caller.uid} (pid ${caller.pid})`,
    caller,
    mkt,
  );
  return {
    ok: true,
    text: `key ${mkt.fingerprint}`,
    adminKeyName: mkt.row.adminKeyName,
    key: driverKey(mkt, mkt.row.key),
  };
}

/** The row that RFC 7210 section 3 selects for sending; none before the peer is ready for one (invariant 3). */
function keyInUse(turn: Turn, association: Association): Mkt | undefined {
  const serving = association.mkts.filter((mkt) => isServing(mkt) && mkt.storedGeneration > 0);
  const lookup = { peer: association.session.remoteAddress, protocol: "TCP-AO" };
  const row = selectForSending(
    serving.map((mkt) => mkt.row),
    lookup,
    turn.now.wall,
  );
  return serving.find((mkt) => mkt.row === row);
}

function driverKey({ row }: Mkt, masterKey: DriverKey["masterKey"]): DriverKey {
  const { adminKeyName, sendId, recvId, algorithm, state } = row;
  const use = state === "preferred" || state === "current" ? "preferred" : "accept";
  return {
    adminKeyName,
    sendId,
    recvId,
    algorithm,
    coversTcpOptions: row.protocolSpecificInfo.coversTcpOptions,
    masterKey,
    use,
  };
}

/** Keytable_insertSA, and with `replaces` Keytable_rekeySA: a key that a person made. */
export function insertKey(
  turn: Turn,
  association: Association,
  key: ManualKey,
  caller: LocalCaller,
  requestId: number,
  isEntitled: Entitlement,
  replaces: boolean,
): Answer {
  if (!isEntitled(caller, association.session, "change")) return refuseCaller(turn, association, caller, "insert");
  const fault = faultOf(turn, association, key);
  if (fault !== undefined) return fault;
  const { sendId, recvId, algorithm, coversTcpOptions, masterKey } = key;
  const mkt = makeMkt(turn, association, {
    createdBy: "manual",
    sendId,
    recvId,
    algorithm,
    coversTcpOptions,
    masterKey,
    credentialFingerprint: "manual",
    replaces: replaces ? currentMkt(association) : undefined,
    origin: undefined,
    commitId: undefined,
  });
  association.mkts = [...association.mkts, mkt];
  turn.ground.keyIds.add(association, mkt);
  turn.hasMoved = true;
  audit(
    turn,
    association,
    "keyInserted",
    `key ${mkt.fingerprint} was inserted by uid ${caller.uid} (pid ${caller.pid})`,
    caller,
    mkt,
  );
  const { adminKeyName } = mkt.row;
  const reply = { ok: true, text: `key ${mkt.fingerprint} is in the key table`, adminKeyName } as const;
  replyWhenStored(turn, [association], { requestId, reply, promise: `key ${mkt.fingerprint}` });
  return undefined;
}

function faultOf(turn: Turn, association: Association, key: ManualKey): Answer {
  if (association.closing !== undefined || association.revokedBecause !== undefined) {
    return refuse("busy", `the keys of ${association.name} are revoked; end that with: karp rekey ${association.name}`);
  }
  // RFC 5926 section 3.1.1: either KDF takes keys of any length; 128 bits are the least, 80 octets the most of the kernel
  const { length } = key.masterKey;
  if (length < LEAST_KEY_OCTETS || length > MOST_KEY_OCTETS) {
    return refuse("badKey", `a key has ${LEAST_KEY_OCTETS} to ${MOST_KEY_OCTETS} octets, not ${length}`);
  }
  if (!isKeyId(key.sendId) || !isKeyId(key.recvId)) return refuse("badKeyId", "KeyIDs are whole numbers from 0 to 255");
  const peer = association.peer?.config;
  const isTaken = turn.ground.keyIds.isTaken(peer, association.session, key);
  // RFC 5925 section 3.1: the IDs of MKTs MUST NOT overlap where their TCP connection identifiers overlap
  if (isTaken) return refuse("keyIdInUse", `SendID ${key.sendId} or RecvID ${key.recvId} is in use`);
  if (liveMkts(association).length >= MOST_LIVE_MKTS)
    return refuse("tooManyKeys", `${association.name} has ${MOST_LIVE_MKTS} keys already`);
  return undefined;
}

function isKeyId(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}

/** Keytable_delete: a key that is in use is not taken away like this. */
export function deleteKey(
  turn: Turn,
  association: Association,
  mkt: Mkt,
  caller: LocalCaller,
  requestId: number,
  isEntitled: Entitlement,
): Answer {
  if (!isEntitled(caller, association.session, "change")) return refuseCaller(turn, association, caller, "delete");
  const isNeeded = mkt === association.preferred || mkt.situation.name === "current" || isPlaceholder(mkt);
  if (isNeeded || mkt.wasUsed) {
    return refuse(
      "keyInUse",
      `key ${mkt.fingerprint} is in use: replace it with karp rekey, or end the session with karp revoke`,
    );
  }
  if (isServing(mkt)) giveUp(turn, association, mkt, "it was deleted");
  audit(
    turn,
    association,
    "keyDeleted",
    `key ${mkt.fingerprint} was deleted by uid ${caller.uid} (pid ${caller.pid})`,
    caller,
    mkt,
  );
  const { adminKeyName } = mkt.row;
  const reply = { ok: true, text: `key ${mkt.fingerprint} is being removed`, adminKeyName } as const;
  replyWhenStored(turn, [association], { requestId, reply, promise: `the removal of key ${mkt.fingerprint}` });
  return undefined;
}

function revoke(turn: Turn, association: Association, reason: string, requestId: number): Answer {
  if (association.closing !== undefined)
    return refuse("busy", `the keys of ${association.name} are being revoked already`);
  association.revokedBecause = reason;
  association.changes.push({ kind: "setFact", name: revokedFact(association.name), value: reason });
  const failure = turn.ground.storeFailure();
  beginClosing(turn, association, "revoked", reason, failure === undefined ? requestId : undefined);
  return failure === undefined ? undefined : notStored(`the revocation of ${association.name}`, failure.reason);
}
