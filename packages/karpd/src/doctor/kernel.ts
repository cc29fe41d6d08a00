import type { SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";
import { type DoctorFinding, linesAbout } from "./finding.ts";
import { kernelKeys } from "./kernelKeys.ts";
import type { Attempt, KernelProbes } from "./kernelProbes.ts";

/** Drivers that reach no kernel's TCP-AO here, or do without. */
const WITHOUT_KERNEL: ReadonlySet<string> = new Set(["keychain", "exec", "endpoint"]);
/** Drivers that key the sockets of other processes through the keyer. */
const BY_THE_KEYER: ReadonlySet<string> = new Set(["linux", "frr", "gobgp"]);

export function usesKernel(session: Pick<SessionConfiguration, "driver">): boolean {
  return !WITHOUT_KERNEL.has(session.driver);
}

/** `karp doctor --kernel`: what karp needs of this machine's kernel. `sessions` are those configured; their needs decide what is an error. */
export async function examineKernel(
  probes: KernelProbes,
  sessions: readonly SessionConfiguration[],
): Promise<readonly DoctorFinding[]> {
  const onKernel = sessions.filter(usesKernel);
  const isKeyerNeeded = sessions.some(({ driver }) => BY_THE_KEYER.has(driver));
  const tcpAo = probes.tcpAo();
  const findings = [...tcpAoLines(probes, onKernel), ...vrfLines(probes, onKernel)];
  if (tcpAo.supported) findings.push(...kernelKeys(probes, tcpAo.algorithms, onKernel));
  findings.push(
    facility("pidfd_getfd", probes.pidfdGetfd(), isKeyerNeeded),
    facility("inet_diag", await probes.listSockets(), isKeyerNeeded),
    facility("SOCK_DESTROY", await probes.destroySocket(), isKeyerNeeded),
    seccomp(probes.sysctl("kernel.seccomp.actions_avail")),
  );
  return findings;
}

const BOOT = "boot Linux 6.7 or newer built with CONFIG_TCP_AO=y (`mode: observe` works without)";

function tcpAoLines(probes: KernelProbes, sessions: readonly SessionConfiguration[]): readonly DoctorFinding[] {
  const { ok, warning, error } = linesAbout("TCP_AO");
  const found = probes.tcpAo();
  const release = `Linux ${probes.release()}`;
  const fault = sessions.length > 0 ? error : warning;
  if (!found.supported) {
    const isAbsent = found.code === "kernelLacksTcpAo";
    return [
      fault(`${release}: ${isAbsent ? "no TCP-AO" : found.reason}`, isAbsent ? BOOT : "make that work, then ask again"),
    ];
  }
  const wanted = new Set(sessions.flatMap(({ algorithms }) => algorithms));
  const lacking = [...wanted].filter((algorithm) => !found.algorithms.includes(algorithm));
  if (lacking.length === 0) return [ok(`${release} has it, with ${found.algorithms.join(", ")}`)];
  return [warning(`${release} has it, without ${lacking.join(", ")}`, advice(lacking))];
}

function advice(lacking: readonly MktAlgorithm[]): string {
  const words = {
    "aes-128-cmac-96": "CRYPTO_CMAC and CRYPTO_AES",
    "hmac-sha-1-96": "CRYPTO_SHA1",
    "hmac-sha-256-128": "CRYPTO_SHA256",
  };
  const modules = lacking.map((algorithm) => words[algorithm]).join(", ");
  return `build ${modules} into the kernel or load them, or take the algorithms out of \`algorithms:\` at both ends`;
}

function vrfLines(probes: KernelProbes, sessions: readonly SessionConfiguration[]): readonly DoctorFinding[] {
  const { ok, warning, error } = linesAbout("VRF");
  const users = sessions.filter(({ vrf }) => vrf !== undefined).map(({ name }) => name);
  const accepts = probes.sysctl("net.ipv4.tcp_l3mdev_accept");
  const driver = probes.configured("NET_VRF");
  if (accepts === undefined) {
    if (users.length === 0) return [ok("the kernel has no VRFs, and no session is in one")];
    return [error(`the kernel has no VRFs: ${users.join(", ")} cannot be keyed`, "boot a kernel with CONFIG_NET_VRF")];
  }
  if (driver === "n" && users.length > 0)
    return [
      error(`the kernel was built without VRF devices: ${users.join(", ")}`, "boot a kernel with CONFIG_NET_VRF"),
    ];
  if (accepts !== "0" && users.length > 0) {
    const text =
      "net.ipv4.tcp_l3mdev_accept is on: one listener serves all VRFs, and a peer address in two of them is one peer to it";
    return [
      warning(
        text,
        "give addresses that occur in several VRFs different KeyIDs, or: sysctl -w net.ipv4.tcp_l3mdev_accept=0",
      ),
    ];
  }
  return [ok("the kernel has VRFs; each needs a listener of its own, bound to its device")];
}

const USES = {
  pidfd_getfd: { what: "keys the sockets of a daemon that does not know TCP-AO", word: "Linux 5.6 or newer" },
  inet_diag: { what: "finds a daemon's sockets", word: "CONFIG_INET_DIAG and CONFIG_INET_TCP_DIAG" },
  SOCK_DESTROY: { what: "ends a connection whose key is revoked", word: "CONFIG_INET_DIAG_DESTROY" },
} as const;

/** A right that we lack is no fault of the kernel: the keyer has more. */
function facility(name: keyof typeof USES, attempt: Attempt, isNeeded: boolean): DoctorFinding {
  const { ok, warning, error } = linesAbout(name);
  const { what, word } = USES[name];
  if (attempt.works) return ok(`works: ${what}`);
  if (attempt.code === "notPermitted")
    return warning(`not allowed to this user, so not tried (${what})`, "run karp doctor --kernel as root to know");
  const fault = isNeeded ? error : warning;
  const whom = isNeeded ? "" : " (no session needs it)";
  return fault(`does not work${whom}: ${attempt.reason}`, `boot a kernel with ${word}: it ${what}`);
}

function seccomp(actions: string | undefined): DoctorFinding {
  const { ok, warning } = linesAbout("seccomp");
  const todo = "boot a kernel with CONFIG_SECCOMP_FILTER, 5.0 or newer, or let the daemon be the passive end";
  if (actions === undefined) return warning("no seccomp: `karp wrap` cannot hold a daemon's connect()", todo);
  if (actions.split(/\s+/).includes("user_notif")) return ok("has user notification: `karp wrap` works");
  return warning("no user notification: `karp wrap` cannot hold a daemon's connect()", todo);
}
