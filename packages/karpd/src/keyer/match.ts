// Which sockets carry which session.
import { BlockList } from "node:net";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { DescribedSocket, KernelSocket } from "./kernel.ts";

/** Index of a network device by name; undefined: there is none now. */
export type InterfaceIndex = (name: string) => number | undefined;

/** What of a session says which sockets are its own. */
export type Pairing = Pick<SessionConfiguration, "localAddress" | "remoteAddress" | "port" | "vrf">;

/** The VRF device of the session; undefined: none, the default VRF. */
export function vrfIndexOf(
  { vrf }: Pairing,
  indexOf: InterfaceIndex,
): { readonly index: number | undefined } | "missing" {
  if (vrf === undefined) return { index: undefined };
  const index = indexOf(vrf);
  return index === undefined ? "missing" : { index };
}

/**
 * Whether the listener's owner may have the session's keys: whoever has a socket can read the keys that are on it. From port
 * 1024 on any local user can listen while the routing daemon is down.
 */
function isOfUsers(
  { port, driverSettings }: Pick<SessionConfiguration, "port" | "driverSettings">,
  { uid }: KernelSocket,
): boolean {
  const users = driverSettings["socket-users"];
  if (uid === 0) return true;
  return Array.isArray(users) ? users.includes(uid) : port < FIRST_FREE_PORT;
}

/** What people are told of it. */
export function strangersListener({ driver }: Pick<SessionConfiguration, "driver">, socket: KernelSocket): string {
  const { localPort, uid } = socket;
  const advice = `if it is the routing daemon's, write \`${driver}: { socket-users: [${uid}] }\``;
  return `the listener of user ${uid} on port ${localPort} gets no key: ${advice}`;
}

/** net.ipv4.ip_unprivileged_port_start, unless somebody changes it. */
const FIRST_FREE_PORT = 1024;

/** A socket on which connections of the session are accepted. */
function isListenerOf(pairing: Pairing, vrfIndex: number | undefined, socket: KernelSocket): boolean {
  if (socket.state !== "listen" || socket.localPort !== pairing.port) return false;
  // One that is bound to no device may serve all VRFs (net.ipv4.tcp_l3mdev_accept)
  if (socket.interfaceIndex !== 0 && socket.interfaceIndex !== vrfIndex) return false;
  const isIpv4 = !pairing.localAddress.includes(":");
  if (isIpv4 ? socket.isIpv6Only === true : socket.domain === "ipv4") return false;
  return isWildcard(socket.localAddress) || socket.localAddress === pairing.localAddress;
}

/**
 * A connection of the session, whoever opened it. One that is only half open belongs to no process, and gets the
 * listener's keys once it stands.
 */
function isConnectionOf(pairing: Pairing, vrfIndex: number | undefined, socket: KernelSocket): boolean {
  if (socket.state === "listen" || socket.state === "syn-received") return false;
  if (!isInVrf(vrfIndex, socket)) return false;
  if (socket.remoteAddress !== pairing.remoteAddress || socket.localAddress !== pairing.localAddress) return false;
  return socket.localPort === pairing.port || socket.remotePort === pairing.port;
}

/** A socket of a supervised daemon that is about to be connected to `destination`. */
export function isConnectOf(
  pairing: Pairing,
  vrfIndex: number | undefined,
  socket: DescribedSocket,
  destination: { readonly address: string; readonly port: number },
): boolean {
  if (destination.address !== pairing.remoteAddress || destination.port !== pairing.port) return false;
  if (!isInVrf(vrfIndex, socket)) return false;
  const { localAddress } = socket;
  return localAddress === undefined || isWildcard(localAddress) || localAddress === pairing.localAddress;
}

/** A connection is bound to the device of its VRF, also where a listener of all VRFs has accepted it. */
function isInVrf(vrfIndex = 0, { interfaceIndex }: Pick<KernelSocket, "interfaceIndex">): boolean {
  return interfaceIndex === vrfIndex;
}

export interface SessionSocketsFound {
  readonly listeners: readonly KernelSocket[];
  /** Listeners whose owner is not to have the session's keys. */
  readonly strangers: readonly KernelSocket[];
  readonly connections: readonly KernelSocket[];
}

/** Those of `sockets` that carry the session. */
export function findSockets(
  session: SessionConfiguration,
  vrfIndex: number | undefined,
  sockets: readonly KernelSocket[],
): SessionSocketsFound {
  const listening = sockets.filter((socket) => isListenerOf(session, vrfIndex, socket));
  return {
    listeners: listening.filter((socket) => isOfUsers(session, socket)),
    strangers: listening.filter((socket) => !isOfUsers(session, socket)),
    connections: sockets.filter((socket) => isConnectionOf(session, vrfIndex, socket)),
  };
}

function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** Whether the socket has a TCP MD5 key for the session's neighbour: then the kernel takes none of TCP-AO for it. */
export function hasMd5For({ remoteAddress }: Pairing, { md5Peers = [] }: KernelSocket): boolean {
  const family = remoteAddress.includes(":") ? "ipv6" : "ipv4";
  return md5Peers.some(({ address, prefixLength }) => {
    if (address.includes(":") !== (family === "ipv6")) return false;
    const range = new BlockList();
    range.addSubnet(address, prefixLength, family);
    return range.check(remoteAddress, family);
  });
}
