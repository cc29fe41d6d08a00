// Which sockets carry which session.
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

/** A socket on which connections of the session are accepted. */
export function isListenerOf(pairing: Pairing, vrfIndex: number | undefined, socket: KernelSocket): boolean {
  if (socket.state !== "listen" || socket.localPort !== pairing.port) return false;
  if (!isInVrf(vrfIndex, socket.interfaceIndex)) return false;
  const isIpv4 = !pairing.localAddress.includes(":");
  if (isIpv4 ? socket.isIpv6Only === true : socket.domain === "ipv4") return false;
  return isWildcard(socket.localAddress) || socket.localAddress === pairing.localAddress;
}

/**
 * A connection of the session, whoever opened it. One that is only half open belongs to no process, and gets the
 * listener's keys once it stands.
 */
export function isConnectionOf(pairing: Pairing, vrfIndex: number | undefined, socket: KernelSocket): boolean {
  if (socket.state === "listen" || socket.state === "syn-received") return false;
  if (!isInVrf(vrfIndex, socket.interfaceIndex)) return false;
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
  if (!isInVrf(vrfIndex, socket.interfaceIndex)) return false;
  const { localAddress } = socket;
  return localAddress === undefined || isWildcard(localAddress) || localAddress === pairing.localAddress;
}

/** Sockets of the default VRF are bound to no device; a socket without one may serve all VRFs (net.ipv4.tcp_l3mdev_accept). */
function isInVrf(vrfIndex: number | undefined, interfaceIndex: number): boolean {
  return interfaceIndex === 0 || interfaceIndex === vrfIndex;
}

function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}
