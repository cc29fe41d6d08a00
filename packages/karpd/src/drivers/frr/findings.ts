import type { SessionConfiguration } from "../../core/configuration.ts";
import type { DriverFinding } from "../../ports/routingDriver.ts";

/** What vtysh printed. */
export interface FrrFacts {
  /** `show version` */
  readonly version: string;
  /** `find tcp-ao`: commands in which the word occurs. */
  readonly commands: string;
  /** `show running-config` */
  readonly running: string;
}

/** What an operator should know of this FRR, in sentences without any of its secrets. */
export function findingsOf(session: SessionConfiguration, facts: FrrFacts): readonly DriverFinding[] {
  const version = /FRRouting (\d[\w.]*)/.exec(facts.version)?.[1] ?? "of unknown version";
  const lines = facts.running.split("\n").map((line) => line.trim());
  const found: DriverFinding[] = [];
  if (/^\s.*\btcp-ao\b/m.test(facts.commands)) {
    const text = `FRR ${version} has commands for TCP-AO; karp keys it from outside, so give it no key for ${session.remoteAddress} of its own`;
    found.push({ severity: "warning", text });
  }
  found.push(...neighborFindings(session, lines), ...secretFindings(lines));
  if (found.every(({ severity }) => severity !== "error")) {
    found.push({
      severity: "ok",
      text: `FRR ${version} is keyed from outside: it never sees a key, and frr-reload cannot remove one`,
    });
  }
  return found;
}

function neighborFindings(
  { remoteAddress, protocol }: SessionConfiguration,
  lines: readonly string[],
): readonly DriverFinding[] {
  if (protocol !== "bgp") return [];
  const own = lines.filter((line) => line.startsWith(`neighbor ${remoteAddress} `));
  if (own.length === 0) {
    return [{ severity: "warning", text: `FRR's configuration has no \`neighbor ${remoteAddress}\`` }];
  }
  const found: DriverFinding[] = [];
  if (own.some((line) => line.startsWith(`neighbor ${remoteAddress} password `))) {
    const text = `FRR has an MD5 password for ${remoteAddress}, and the kernel takes no TCP-AO key beside it: type \`no neighbor ${remoteAddress} password\` when both ends are ready (the session restarts)`;
    found.push({ severity: "error", text });
  }
  if (!own.includes(`neighbor ${remoteAddress} passive`)) {
    const text = `FRR may open the connection with ${remoteAddress} itself, unsigned, which a keyed neighbour refuses: start bgpd with \`karp wrap\`, or type \`neighbor ${remoteAddress} passive\` and let the neighbour connect`;
    found.push({ severity: "warning", text });
  }
  return found;
}

/** Whatever people do with keys in FRR by hand stays there in plain text. */
function secretFindings(lines: readonly string[]): readonly DriverFinding[] {
  const found: DriverFinding[] = [];
  if (lines.includes("log commands")) {
    const text =
      "FRR writes every command into its log (`log commands`), passwords and key-strings included: type `no log commands`";
    found.push({ severity: "warning", text });
  }
  const saved = lines.filter((line) =>
    /^(key-string |neighbor \S+ password |msdp peer \S+ password )/.test(line),
  ).length;
  if (saved > 0) {
    const text = `FRR's configuration holds ${saved} password(s) or key-string(s), which \`write memory\` saves in plain text: keep frr.conf at mode 0640`;
    found.push({ severity: "warning", text });
  }
  return found;
}
