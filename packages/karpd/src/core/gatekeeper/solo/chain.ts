import { Secret, type UnixMilliseconds } from "@karp/ikev2";
import type { SoloConfiguration } from "../../configuration.ts";
import { later, wallLater } from "../../time.ts";
import { type Association, isLive, isServing, type Mkt, newestServing } from "../association.ts";
import { makeMkt } from "../makeMkt.ts";
import type { Turn } from "../turn.ts";
import { beginningOf, chainOf, datesFrom, lifetimesOf } from "./dates.ts";
import { setSolo } from "./soloFact.ts";

/** Key numbers that routers take which number the keys of a chain themselves: 0 to 63. */
const MOST_KEY_ID = 63;
/** Keys of a chain and its successor that are alive at once; one more may be on its way out. */
const MOST_KEYS = 7;
/** A neighbour with a key in use gets so long to configure the first of the chain, at most a quarter of its time. */
const MOST_LEAD_SECONDS = 86_400;

/** Solo mode: the chain is made at once, and stored before anybody sees it. */
export function keepChain(turn: Turn, association: Association): void {
  const { session, peer } = association;
  if (session.solo === undefined || peer !== undefined || !association.isManaged) return;
  if (association.revokedBecause !== undefined || association.closing !== undefined) return;
  if (chainOf(association).length > 0) return;
  setSolo(association, {
    chain: (association.solo?.chain ?? 0) + 1,
    handedOutAt: undefined,
    askedAt: undefined,
    late: new Set(),
  });
  const from = firstDate(turn, association, session.solo);
  const count = appendKeys(turn, association, session.solo, from);
  const { name } = association;
  const text = `${count} keys for ${name} are made; give them to the neighbour with: karp handout ${name}`;
  if (count > 0) turn.event(association, "handoutDue", "warning", text);
}

/** When the first key of a chain that nobody has seen yet is sent with. */
export function firstDate(turn: Turn, association: Association, { everySeconds }: SoloConfiguration): UnixMilliseconds {
  const isReplacing = association.mkts.some((mkt) => isServing(mkt) && mkt.row.createdBy !== "solo");
  const lead = isReplacing ? Math.min(MOST_LEAD_SECONDS, everySeconds / 4) : 0;
  return beginningOf(wallLater(turn.now.wall, lead), everySeconds);
}

/** Appends keys, the first of which is sent with from then on. How many. */
export function appendKeys(
  turn: Turn,
  association: Association,
  { keys, everySeconds }: SoloConfiguration,
  from: UnixMilliseconds,
): number {
  const room = MOST_KEYS - association.mkts.filter((mkt) => isLive(mkt) && isServing(mkt)).length;
  const count = Math.min(keys, room);
  for (let place = 0; place < count; place++) {
    if (!appendKey(turn, association, wallLater(from, place * everySeconds), everySeconds)) return place;
  }
  return count;
}

function appendKey(turn: Turn, association: Association, sendFrom: UnixMilliseconds, everySeconds: number): boolean {
  const { session } = association;
  const [algorithm] = session.algorithms;
  const keyId = turn.ground.keyIds.chooseForBoth(session, (id) => {
    return id < 1 || id > MOST_KEY_ID || association.mkts.some(({ row }) => row.sendId === id || row.recvId === id);
  });
  if (keyId === undefined || algorithm === undefined) {
    const text = `no KeyID from 1 to ${MOST_KEY_ID} is free for the chain; keys in place keep working`;
    turn.event(association, "keyIdsExhausted", "alarm", text);
    return false;
  }
  const mkt = makeMkt(turn, association, {
    createdBy: "solo",
    sendId: keyId,
    recvId: keyId,
    algorithm,
    coversTcpOptions: session.tcpOptions[0] !== "omitted",
    masterKey: makeMasterKey(turn),
    credentialFingerprint: "",
    replaces: newestServing(association),
    origin: undefined,
    dates: datesFrom(sendFrom, everySeconds),
    commitId: undefined,
  });
  association.mkts = [...association.mkts, mkt];
  turn.ground.keyIds.add(association, mkt);
  turn.hasMoved = true;
  return true;
}

/** A chain that nobody has seen yet begins when it is given to somebody. */
export function redate(turn: Turn, association: Association, solo: SoloConfiguration): void {
  const from = firstDate(turn, association, solo);
  for (const [place, mkt] of chainOf(association).entries()) {
    setDates(turn, mkt, wallLater(from, place * solo.everySeconds), solo.everySeconds);
  }
}

function setDates(turn: Turn, mkt: Mkt, sendFrom: UnixMilliseconds, everySeconds: number): void {
  const dates = datesFrom(sendFrom, everySeconds);
  const { monotonic, wall } = turn.now;
  mkt.softAt = later(monotonic, (dates.sendUntil - wall) / 1000);
  mkt.hardAt = later(monotonic, (dates.acceptUntil - wall) / 1000);
  turn.amend(mkt, {
    ...lifetimesOf(dates),
    softExpiresAt: dates.sendUntil,
    hardExpiresAt: dates.acceptUntil,
  });
}

/** 24 letters and 8 digits that nobody takes for one another, and that no router's command line takes for anything else. */
const LETTERS = "abcdefghijkmnpqrstuvwxyz";
const SYMBOLS = `${LETTERS}23456789`;
const KEY_SYMBOLS = 28;

/**
 * Printable ASCII: a letter, as some routers take a leading digit for the kind of encryption, then 27 of 32 symbols, 5 bits
 * each: 139 bits. RFC 5926 section 3.1.1.2 takes keys of any length.
 */
function makeMasterKey(turn: Turn): Secret {
  const octets = new Uint8Array(KEY_SYMBOLS);
  const draw = (symbols: string): number => {
    const most = 256 - (256 % symbols.length);
    for (;;) {
      const [octet = 0] = turn.ground.crypto.random(1);
      if (octet < most) return symbols.charCodeAt(octet % symbols.length);
    }
  };
  for (let place = 0; place < KEY_SYMBOLS; place++) octets[place] = draw(place === 0 ? LETTERS : SYMBOLS);
  return new Secret(octets);
}
