import { readFileSync } from "node:fs";
import type { SessionConfiguration } from "../core/configuration.ts";
import { md5InTheWay } from "../drivers/shared/md5InTheWay.ts";
import { messageOf, printable } from "../drivers/text.ts";
import type { DriverFinding } from "../ports/routingDriver.ts";
import type { Kernel, KernelSocket } from "./kernel.ts";
import { findSockets, hasMd5For, type InterfaceIndex, strangersListener, vrfIndexOf } from "./match.ts";
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
  const { listeners, strangers, connections } = findSockets(session, vrf.index, table.sockets);
  found.push(...strangers.map((socket) => error(strangersListener(session, socket))));
  found.push(...listeners.flatMap((socket) => examineSocket(table, socket)));
  if ([...listeners, ...connections].some((socket) => hasMd5For(session, socket))) {
    found.push(error(md5InTheWay(session)));
  }
  const opened = connections.filter(({ remotePort }) => remotePort === session.port);
  const signed = opened.filter((socket) => isSigned(table, socket));
  if (signed.length > 0)
    found.push(ok(`the connection that the routing daemon opened with ${session.remoteAddress} is signed`));
  if (listeners.length === 0 && signed.length === 0) {
    const text = `no process listens on TCP port ${session.port} for ${session.remoteAddress}: only what \`karp wrap\` starts can be keyed`;
    found.push(warning(text));
  }
  if (signed.length < opened.length) {
    const text = `the routing daemon itself opens the connection with ${session.remoteAddress}: start it with \`karp wrap\`, or make it wait for the neighbour (passive)`;
    found.push(warning(text));
  }
  return found;
}

function examineKernel({ algorithms }: SessionConfiguration, kernel: Kernel): readonly DriverFinding[] {
  const probed = kernel.probe();
  // A keyer that may not open sockets of its own (systemd's RestrictAddressFamilies): the listener's has the answer
  if (!probed.supported && probed.code === "addressFamilyMismatch") return [];
  if (!probed.supported) return [error(`this kernel cannot do TCP-AO: ${probed.reason}`)];
  const missing = algorithms.filter((algorithm) => !probed.algorithms.includes(algorithm));
  return missing.map((algorithm) => error(`this kernel has no TCP-AO with ${algorithm}`));
}

/** Only `karp wrap` can have signed it: the keys were there before the SYN. */
function isSigned(table: SocketTable, socket: KernelSocket): boolean {
  try {
    return table.borrow(socket, (open) => open.isSigned()) === true;
  } catch {
    // Why it cannot be looked at is said of the listener
    return false;
  }
}

function examineSocket(table: SocketTable, socket: KernelSocket): readonly DriverFinding[] {
  try {
    if (table.borrow(socket, (open) => open.isSigned()) === GONE) {
      return [error(`nobody seems to hold the listener on port ${socket.localPort}: does the keyer see all of /proc?`)];
    }
    const holder = table.holderOf(socket);
    const process = holder === undefined ? "a process" : `${nameOf(holder.pid)} (process ${holder.pid})`;
    const address = socket.domain === "ipv6" ? `[${socket.localAddress}]` : socket.localAddress;
    return [ok(`${process} listens on ${address}:${socket.localPort}, and its socket can be keyed`)];
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

function ok(text: string): DriverFinding {
  return { severity: "ok", text };
}

function error(text: string): DriverFinding {
  return { severity: "error", text };
}

function warning(text: string): DriverFinding {
  return { severity: "warning", text };
}
