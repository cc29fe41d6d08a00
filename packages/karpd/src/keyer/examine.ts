import { readFileSync } from "node:fs";
import type { SessionConfiguration } from "../core/configuration.ts";
import { messageOf, printable } from "../drivers/text.ts";
import type { DriverFinding } from "../ports/routingDriver.ts";
import type { Kernel, KernelSocket } from "./kernel.ts";
import { type InterfaceIndex, isConnectionOf, isListenerOf, vrfIndexOf } from "./match.ts";
import { GONE, type SocketTable } from "./socketTable.ts";

/** What can be seen of a session's sockets without changing anything. */
export function examineSession(
  session: SessionConfiguration,
  kernel: Kernel,
  table: SocketTable,
  indexOf: InterfaceIndex,
): readonly DriverFinding[] {
  const found = [...examineKernel(session, kernel)];
  const vrf = vrfIndexOf(session, indexOf);
  if (vrf === "missing") return [...found, error(`there is no VRF device ${session.vrf}`)];
  const listeners = table.sockets.filter((socket) => isListenerOf(session, vrf.index, socket));
  const connections = table.sockets.filter((socket) => isConnectionOf(session, vrf.index, socket));
  found.push(...listeners.flatMap((socket) => examineSocket(table, socket)));
  if (listeners.length === 0) {
    const text = `no process listens on TCP port ${session.port} for ${session.remoteAddress}: only what \`karp wrap\` starts can be keyed`;
    found.push(warning(text));
  }
  if (connections.some(({ remotePort }) => remotePort === session.port)) {
    const text = `the routing daemon itself opens the connection with ${session.remoteAddress}: start it with \`karp wrap\`, or make it wait for the neighbour (passive)`;
    found.push(warning(text));
  }
  return found;
}

function examineKernel({ algorithms }: SessionConfiguration, kernel: Kernel): readonly DriverFinding[] {
  const probed = kernel.probe();
  if (!probed.supported) return [error(`this kernel cannot do TCP-AO: ${probed.reason}`)];
  const missing = algorithms.filter((algorithm) => !probed.algorithms.includes(algorithm));
  return missing.map((algorithm) => error(`this kernel has no TCP-AO with ${algorithm}`));
}

function examineSocket(table: SocketTable, socket: KernelSocket): readonly DriverFinding[] {
  try {
    if (table.borrow(socket, () => true) === GONE) {
      return [error(`nobody seems to hold the listener on port ${socket.localPort}: does the keyer see all of /proc?`)];
    }
    const holder = table.holderOf(socket);
    const process = holder === undefined ? "a process" : `${nameOf(holder.pid)} (process ${holder.pid})`;
    const address = socket.domain === "ipv6" ? `[${socket.localAddress}]` : socket.localAddress;
    return [
      { severity: "ok", text: `${process} listens on ${address}:${socket.localPort}, and its socket can be keyed` },
    ];
  } catch (failure) {
    return [error(messageOf(failure))];
  }
}

function nameOf(pid: number): string {
  try {
    return printable(readFileSync(`/proc/${pid}/comm`, "utf8").trim());
  } catch {
    return "a process";
  }
}

function error(text: string): DriverFinding {
  return { severity: "error", text };
}

function warning(text: string): DriverFinding {
  return { severity: "warning", text };
}
