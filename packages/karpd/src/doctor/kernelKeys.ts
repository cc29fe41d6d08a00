import type { SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";
import { type DoctorFinding, linesAbout } from "./finding.ts";
import type { KernelProbes } from "./kernelProbes.ts";

/** The key in use, its successor, and one that retires. */
const KEYS_PER_SESSION = 3;
/** More than one listener needs anywhere; trying as many takes about a second. */
const MOST_KEYS_TRIED = 8192;
const PAGE_BYTES = 4096;

/**
 * net.core.optmem_max against the keys on one listener. All sessions of a daemon that share a port and a VRF share its
 * listener, and each key of each of them takes option memory there: 200 octets with AES-128-CMAC, 208 with
 * HMAC-SHA-1, 232 with HMAC-SHA-256 in Linux 7.2. What it takes here is measured.
 */
export function kernelKeys(
  probes: KernelProbes,
  known: readonly MktAlgorithm[],
  sessions: readonly SessionConfiguration[],
): readonly DoctorFinding[] {
  const { ok, warning, error } = linesAbout("option memory");
  const { count: sharing, algorithms } = largestListener(sessions);
  const needed = sharing * KEYS_PER_SESSION;
  const limit = Number(probes.sysctl("net.core.optmem_max") ?? Number.NaN);
  const tried = known
    .filter((algorithm) => sharing === 0 || algorithms.has(algorithm))
    .map((algorithm) => roomFor(probes, algorithm, limit));
  const worst = tried.sort((a, b) => a.count - b.count)[0];
  if (worst === undefined) return [];
  if (worst.reason !== undefined)
    return [error(`a scratch socket takes no key: ${worst.reason}`, "see the kernel's log")];
  const sysctl = Number.isNaN(limit) ? "net.core.optmem_max" : `net.core.optmem_max = ${limit}`;
  const room = `${worst.isFull ? "" : "at least "}${worst.count} keys with ${worst.algorithm}`;
  const cost = worst.isFull && limit > 0 ? `, ${Math.floor(limit / worst.count)} octets each` : "";
  if (sharing === 0) return [ok(`${sysctl}: one listener takes ${room}${cost}`)];
  const need = `the ${sharing} sessions of the largest listener need ${needed} (${KEYS_PER_SESSION} each during a rollover)`;
  if (!worst.isFull || worst.count >= needed) return [ok(`${sysctl}: one listener takes ${room}${cost}; ${need}`)];
  const fault = worst.count < sharing ? error : warning;
  return [fault(`${sysctl}: one listener takes only ${room}${cost}; ${need}`, raiseTo(limit, worst.count, needed))];
}

function raiseTo(limit: number, count: number, needed: number): string {
  if (Number.isNaN(limit) || count === 0) return "raise net.core.optmem_max (in the first network namespace)";
  const wanted = Math.ceil(((limit / count) * needed * 1.1) / PAGE_BYTES) * PAGE_BYTES;
  return `sysctl -w net.core.optmem_max=${wanted}, and the same in /etc/sysctl.d, before the daemon starts`;
}

interface Room {
  readonly algorithm: MktAlgorithm;
  readonly count: number;
  readonly isFull: boolean;
  /** Why not even one fits, for another reason than memory. */
  readonly reason?: string;
}

function roomFor(probes: KernelProbes, algorithm: MktAlgorithm, limit: number): Room {
  // No key takes less than 64 octets: where even that many would fit there is no need to try
  const atMost = Math.min(MOST_KEYS_TRIED, Number.isNaN(limit) ? MOST_KEYS_TRIED : Math.ceil(limit / 64));
  const { count, refusal } = probes.keysOnOneSocket(algorithm, atMost);
  const isFull = refusal?.works === false && refusal.code === "optionMemoryExhausted";
  const reason = refusal?.works === false && !isFull ? { reason: refusal.reason } : {};
  return { algorithm, count, isFull, ...reason };
}

/** Sessions by what they share: driver, port, VRF and address family. */
function largestListener(sessions: readonly SessionConfiguration[]): {
  readonly count: number;
  readonly algorithms: ReadonlySet<MktAlgorithm>;
} {
  const groups = Map.groupBy(sessions, ({ driver, port, vrf, localAddress }) =>
    JSON.stringify([driver, port, vrf, localAddress.includes(":")]),
  );
  const largest = [...groups.values()].sort((a, b) => b.length - a.length)[0] ?? [];
  return { count: largest.length, algorithms: new Set(largest.flatMap(({ algorithms }) => algorithms)) };
}
