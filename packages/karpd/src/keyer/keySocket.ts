// A socket that a supervised daemon is about to connect.
import type { SessionConfiguration } from "../core/configuration.ts";
import { messageOf } from "../drivers/text.ts";
import { codeOf, type DescribedSocket, errnoOf, type OpenSocket, type SocketHolder } from "./kernel.ts";
import { type Keyed, keyedOn, mustBeSigned } from "./keyed.ts";
import { isConnectOf, vrfIndexOf } from "./match.ts";
import type { KeySocketOutcome } from "./protocol.ts";
import type { SocketKeyer } from "./socketKeyer.ts";
import { addMissing, deleteUnwanted, makeRoom, openWithPreferred } from "./socketKeys.ts";

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
      return described.protocol === IPPROTO_MPTCP ? withoutKey(keyed) : keyFor(keyer, keyed, open);
    });
  } catch (error) {
    return refusal(error);
  }
}

function leadsThere({ remoteAddress, port }: SessionConfiguration, { address, port: to }: Destination): boolean {
  return remoteAddress === address && port === to;
}

function isOf(keyer: SocketKeyer, { session }: Keyed, described: DescribedSocket, destination: Destination): boolean {
  if (described.type !== "stream" || !PROTOCOLS.has(described.protocol)) return false;
  const vrf = vrfIndexOf(session, keyer.indexOf);
  return vrf !== "missing" && isConnectOf(session, vrf.index, described, destination);
}

const IPPROTO_TCP = 6;
const IPPROTO_MPTCP = 262;
const PROTOCOLS: ReadonlySet<number> = new Set([IPPROTO_TCP, IPPROTO_MPTCP]);

/** The kernel has no TCP-AO for a Multipath TCP socket, nor for the TCP connection that it falls back to. */
function withoutKey(keyed: Keyed): KeySocketOutcome {
  const { session, keys = [] } = keyed;
  const mayBeUnsigned = session.mode === "observe" || (!mustBeSigned(keyed) && keys.length === 0);
  if (mayBeUnsigned) return { kind: "unsigned", session: session.name };
  const reason = `its socket is one of Multipath TCP, which cannot be signed; switch that off in the daemon (GODEBUG=multipathtcp=0 for one in Go)`;
  return { kind: "refused", errno: "EPROTONOSUPPORT", reason };
}

function keyFor(keyer: SocketKeyer, keyed: Keyed, open: OpenSocket): KeySocketOutcome {
  const { session, keys = [] } = keyed;
  const { name } = session;
  if (session.mode === "observe") return { kind: "unsigned", session: name };
  keyer.want(name);
  // A SYN with a key that the peer has not confirmed, or cannot have, would be dropped: nobody prefers alone
  if (!keys.some(({ use, isPlaceholder }) => use === "preferred" && isPlaceholder !== true)) {
    return { kind: mustBeSigned(keyed) || keys.length > 0 ? "waiting" : "unsigned", session: name };
  }
  const wish = keyedOn(keyer, keyed);
  const failure = makeRoom(open, wish) ?? addMissing(open, wish) ?? openWithPreferred(open, wish);
  if (failure !== undefined) return { kind: "refused", errno: "EKEYREJECTED", reason: failure.reason };
  deleteUnwanted(open, wish);
  return { kind: "keyed", session: name };
}

function refusal(error: unknown): KeySocketOutcome {
  if (codeOf(error) === undefined) throw error;
  return { kind: "refused", errno: errnoOf(error) ?? "EKEYREJECTED", reason: messageOf(error) };
}
