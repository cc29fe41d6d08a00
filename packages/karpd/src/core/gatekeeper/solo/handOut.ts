import type { UnixMilliseconds } from "@karp/ikev2";
import type { Command, CommandReply, Handout, HandoutKey } from "../../machine.ts";
import { formatRfc3339 } from "../../time.ts";
import { audit, type Entitlement, refuse, refuseCaller } from "../answers.ts";
import type { Association, Mkt } from "../association.ts";
import { notStored, replyWhenStored } from "../reply.ts";
import type { Turn } from "../turn.ts";
import { appendKeys, firstDate, redate } from "./chain.ts";
import { chainOf } from "./dates.ts";
import { setSolo } from "./soloFact.ts";
import { isRenewalDue } from "./watchNeighbour.ts";

/**
 * `karp handout`: the keys of the chain, for who configures the neighbour. Once a chain, unless somebody answers for it
 * (`again`); when the chain is near its end, with the keys of the next one. A reply now, or once all of it is on disk.
 */
export function handOut(
  turn: Turn,
  association: Association,
  { again, caller }: Extract<Command, { readonly kind: "handout" }>,
  requestId: number,
  isEntitled: Entitlement,
): CommandReply | undefined {
  if (!isEntitled(caller, association.session, "change")) return refuseCaller(turn, association, caller, "hand out");
  const refusal = refuseNow(turn, association) ?? prepare(turn, association, again);
  if (refusal !== undefined) return refusal;
  const { name, solo } = association;
  const handout = makeHandout(association);
  const repeated = again ? ", once more" : "";
  const text = `${handout.keys.length} keys of ${name} (chain ${solo?.chain}) were handed out${repeated} to uid ${caller.uid} (pid ${caller.pid})`;
  audit(turn, association, "keysHandedOut", text, caller);
  turn.hasMoved = true;
  const reply = { ok: true, text: `${handout.keys.length} keys for the neighbour of ${name}`, handout } as const;
  replyWhenStored(turn, [association], { requestId, reply, promise: `the chain of ${name}` });
  return undefined;
}

function refuseNow(turn: Turn, association: Association): CommandReply | undefined {
  const { name, session, revokedBecause, closing } = association;
  if (session.solo === undefined) {
    return refuse(
      "notSolo",
      `${name} is keyed with ${session.peer}; only a neighbour without karp (\`peer: none\`) gets keys`,
    );
  }
  if (revokedBecause !== undefined || closing !== undefined) {
    return refuse("busy", `the keys of ${name} are revoked; a new chain is made with: karp rekey ${name}`);
  }
  const failure = turn.ground.storeFailure();
  if (failure !== undefined) return notStored(`the chain of ${name}`, failure.reason);
  return chainOf(association).length === 0 ? refuse("noKey", `${name} has no chain of keys`) : undefined;
}

/** The first time the dates begin; near the end the next keys are made. */
function prepare(turn: Turn, association: Association, again: boolean): CommandReply | undefined {
  const { solo, name } = association;
  const { solo: configured } = association.session;
  if (solo === undefined || configured === undefined) return refuse("noKey", `${name} has no chain of keys`);
  if (solo.handedOutAt === undefined) {
    redate(turn, association, configured);
  } else if (!again) {
    if (!isRenewalDue(association, turn.now)) {
      const when = formatRfc3339(solo.handedOutAt);
      return refuse(
        "handedOut",
        `the keys of ${name} were handed out ${when}; --again gives them once more, and notes it`,
      );
    }
    if (appendKeys(turn, association, configured, nextDate(turn, association)) === 0) {
      return refuse("tooManyKeys", `there is no room for more keys of ${name}: the neighbour has to switch first`);
    }
  } else return undefined;
  const chain = solo.handedOutAt === undefined ? solo.chain : solo.chain + 1;
  setSolo(association, { ...solo, chain, handedOutAt: turn.now.wall, askedAt: undefined });
  return undefined;
}

/** The end of the chain, or now when that is over. */
function nextDate(turn: Turn, association: Association): UnixMilliseconds {
  const end = chainOf(association).at(-1)?.row.sendLifetimeEnd;
  const { solo } = association.session;
  if (end !== undefined && end > turn.now.wall) return end;
  return solo === undefined ? turn.now.wall : firstDate(turn, association, solo);
}

function makeHandout(association: Association): Handout {
  const { session, solo, name } = association;
  const { protocol, port, localAddress, remoteAddress, vrf } = session;
  return {
    session: name,
    protocol,
    port,
    localAddress,
    remoteAddress,
    ...(vrf === undefined ? {} : { vrf }),
    chain: solo?.chain ?? 1,
    keys: chainOf(association).flatMap(handoutKey),
  };
}

function handoutKey({ row }: Mkt): readonly HandoutKey[] {
  const { key, sendId, recvId, algorithm, sendLifetimeStart, sendLifetimeEnd, acceptLifetimeStart, acceptLifetimeEnd } =
    row;
  if (key === undefined || sendLifetimeStart === undefined) return [];
  return [
    {
      sendId,
      recvId,
      algorithm,
      coversTcpOptions: row.protocolSpecificInfo.coversTcpOptions,
      masterKey: key,
      sendFrom: sendLifetimeStart,
      sendUntil: sendLifetimeEnd ?? sendLifetimeStart,
      acceptFrom: acceptLifetimeStart,
      acceptUntil: acceptLifetimeEnd ?? sendLifetimeStart,
    },
  ];
}
