// A socket that a supervised daemon is about to connect.
import type { SessionConfiguration } from "../core/configuration.ts";
import { messageOf } from "../drivers/text.ts";
import { codeOf, type DescribedSocket, errnoOf, type OpenSocket, type SocketHolder } from "./kernel.ts";
import { isConnectOf, vrfIndexOf } from "./match.ts";
import type { KeySocketOutcome } from "./protocol.ts";
import { type Keyed, keyedOn, mustBeSigned, type SocketKeyer } from "./socketKeyer.ts";
import { addMissing, askForPreferred, deleteUnwanted, makeRoom } from "./socketKeys.ts";

interface Destination {
  readonly address: string;
  readonly port: number;
}

/** @param holder the process that asks, and its number for the socket */
export function keySocket(keyer: SocketKeyer, holder: SocketHolder, destination: Destination): KeySocketOutcome {
  const candidates = keyer.keyedSessions().filter(({ session }) => leadsThere(session, destination));
  if (candidates.length === 0) return { kind: "notOurs" };
  try {
    return keyer.kernel.borrowDescriptor(holder, (open, described) => {
      const keyed = candidates.find((one) => isOf(keyer, one, described, destination));
      if (keyed === undefined) return { kind: "notOurs" };
      return keyFor(keyer, keyed, open);
    });
  } catch (error) {
    return refusal(error);
  }
}

function leadsThere({ remoteAddress, port }: SessionConfiguration, { address, port: to }: Destination): boolean {
  return remoteAddress === address && port === to;
}

function isOf(keyer: SocketKeyer, { session }: Keyed, described: DescribedSocket, destination: Destination): boolean {
  if (described.type !== "stream" || described.protocol !== IPPROTO_TCP) return false;
  const vrf = vrfIndexOf(session, keyer.indexOf);
  return vrf !== "missing" && isConnectOf(session, vrf.index, described, destination);
}

const IPPROTO_TCP = 6;

function keyFor(keyer: SocketKeyer, keyed: Keyed, open: OpenSocket): KeySocketOutcome {
  const { session, keys = [] } = keyed;
  const { name } = session;
  if (session.mode === "observe") return { kind: "unsigned", session: name };
  // A SYN with a key that the peer has not confirmed would be dropped: nobody prefers alone
  if (!keys.some(({ use }) => use === "preferred")) {
    keyer.want(name);
    return { kind: mustBeSigned(keyed) || keys.length > 0 ? "waiting" : "unsigned", session: name };
  }
  const wish = keyedOn(keyer, keyed);
  const failure = makeRoom(open, wish) ?? addMissing(open, wish) ?? askForPreferred(open, wish);
  if (failure !== undefined) return { kind: "refused", errno: "EKEYREJECTED", reason: failure.reason };
  deleteUnwanted(open, wish);
  return { kind: "keyed", session: name };
}

function refusal(error: unknown): KeySocketOutcome {
  if (codeOf(error) === undefined) throw error;
  return { kind: "refused", errno: errnoOf(error) ?? "EKEYREJECTED", reason: messageOf(error) };
}
