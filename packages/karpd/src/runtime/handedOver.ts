// Sockets that systemd has bound for us, so that we need no privilege to have them (sd_listen_fds(3)).
import { readFileSync, readlinkSync } from "node:fs";
import { endianness } from "node:os";
import { formatAddress, type UdpAddress } from "@karp/ikev2";
import { type HandedOverSocket, ListenError } from "@karp/ikev2/node";

/** SD_LISTEN_FDS_START: descriptors from here on, in the order of the unit's `Listen…=` lines. */
const FIRST = 3;
/** More than any router has addresses, fewer than would make a start slow. */
const MOST = 4096;

const ADVICE = "hand over one UDP socket for each address and port of `listen:`, as karp.socket does";

/**
 * The UDP sockets that were handed to this process; none when nobody did. Takes the words out of the environment, so
 * that no program that we start believes them to be for it.
 * @throws ListenError when what was handed over is no UDP socket, or not there
 */
export function takeHandedOver(environment: NodeJS.ProcessEnv = process.env): readonly HandedOverSocket[] {
  const { LISTEN_FDS: count, LISTEN_PID: pid, LISTEN_FDNAMES: names = "" } = environment;
  for (const word of ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"]) delete environment[word];
  // They are for a process before us that did not clean up
  if (count === undefined || Number(pid) !== process.pid) return [];
  if (!/^\d+$/.test(count) || Number(count) > MOST) throw refused(`LISTEN_FDS=${count} is no number of sockets`);
  const labels = names.split(":");
  const bound = boundUdpSockets();
  const sockets = Array.from({ length: Number(count) }, (_, place) => {
    const descriptor = FIRST + place;
    return { descriptor, local: addressOf(descriptor, labels[place], bound) };
  });
  refuseRepeated(sockets);
  return sockets;
}

function addressOf(descriptor: number, label: string | undefined, bound: ReadonlyMap<string, UdpAddress>): UdpAddress {
  const name = label === undefined || label === "" ? `descriptor ${descriptor}` : `descriptor ${descriptor} (${label})`;
  const link = linkOf(descriptor);
  const local = bound.get(link);
  if (local === undefined) throw refused(`${name}, which was handed over, is not a bound UDP socket (${link})`);
  return local;
}

function refuseRepeated(sockets: readonly HandedOverSocket[]): void {
  const seen = new Set<string>();
  for (const { local, descriptor } of sockets) {
    const name = `${local.address} port ${local.port}`;
    if (seen.has(name))
      throw refused(`descriptor ${descriptor}, which was handed over, is ${name} for the second time`);
    seen.add(name);
  }
}

function refused(what: string): ListenError {
  return new ListenError("LISTEN_FDS", `${what}; ${ADVICE}`);
}

function linkOf(descriptor: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return "not open";
  }
}

/**
 * Where each UDP socket of this network namespace is bound, by what /proc/self/fd says of it. Node.js has to be told the
 * family before it takes a descriptor, and says the address only after.
 */
function boundUdpSockets(): ReadonlyMap<string, UdpAddress> {
  const bound = new Map<string, UdpAddress>();
  for (const table of ["udp", "udp6"]) {
    for (const line of linesOf(`/proc/self/net/${table}`)) {
      // sl local_address rem_address st queues tr:when retrnsmt uid timeout inode …
      const [, local = "", , , , , , , , inode] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      if (inode === undefined || port === "") continue;
      bound.set(`socket:[${inode}]`, { address: formatAddress(octetsOf(address)), port: Number.parseInt(port, 16) });
    }
  }
  return bound;
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8").split("\n").slice(1);
  } catch {
    // A kernel without that family
    return [];
  }
}

/** Words of 32 bits as the machine has them in memory, read as numbers. */
function octetsOf(hexadecimal: string): Uint8Array {
  const octets = Uint8Array.from(Buffer.from(hexadecimal, "hex"));
  return endianness() === "LE" ? Buffer.from(octets).swap32() : octets;
}
