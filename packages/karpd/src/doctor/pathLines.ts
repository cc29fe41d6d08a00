import { type IkePeer, KeyExchangeMethod, nameOf } from "@karp/ikev2";
import { type DoctorFinding, linesAbout } from "./finding.ts";
import { isReached, type PathReport, type ProbeOutcome, WHOLE_PACKET_BYTES } from "./path.ts";

const { ok, warning, error } = linesAbout("path");

/** What the probes of a path mean, and what to do. */
export function pathLines(peer: IkePeer, report: PathReport): readonly DoctorFinding[] {
  const findings = [reachability(peer, report)];
  if (!isReached(report.short)) return findings;
  findings.push(suites(report.short));
  const broken = report.long.find(({ outcome }) => !isReached(outcome));
  if (broken === undefined) {
    const sizes = report.long.map(({ packetBytes }) => thousands(packetBytes)).join(" and ");
    findings.push(ok(`packets of ${sizes} octets arrive, the longer one in fragments where the links are Ethernet`));
  } else findings.push(tooLong(peer, broken.packetBytes));
  return findings;
}

function reachability(peer: IkePeer, { short, sourcePort, hadCookieRound }: PathReport): DoctorFinding {
  const there = `UDP ${place(peer.remote)}`;
  const here = `${peer.local.address} port ${sourcePort ?? peer.local.port}`;
  switch (short.kind) {
    case "mirrored":
      return error(
        `something mirrors packets to ${there} back`,
        "find what does that: a loop, a test service, an attacker",
      );
    case "silence": {
      const todo = `open UDP between ${peer.local.address} and ${place(peer.remote)} both ways; see that karp runs there and has ${peer.local.address} as \`remote\` of a session, for it answers nobody else`;
      return error(`${there} does not answer ${here}${elsewhere(peer, sourcePort)}`, todo);
    }
    case "unreachable":
      return unreachable(peer, short.code);
    default: {
      const cookie = hadCookieRound ? ", after a cookie: it is under load or attack" : "";
      return ok(`IKE answers at ${there}, asked from ${here}${cookie}`);
    }
  }
}

/** The daemon holds its own port while it runs, and filters may look at the source's. */
function elsewhere(peer: IkePeer, sourcePort: number | undefined): string {
  if (sourcePort === undefined || sourcePort === peer.local.port) return "";
  return ` (asked from there since port ${peer.local.port} is taken; a filter that wants that source port drops it)`;
}

function unreachable(peer: IkePeer, code: string): DoctorFinding {
  const there = `UDP ${place(peer.remote)}`;
  switch (code) {
    case "ECONNREFUSED":
      return error(
        `nothing receives at ${there}: the machine there says so`,
        "start karp there, or correct `peer-port` here or `listen` there",
      );
    case "EADDRNOTAVAIL":
      return error(`${peer.local.address} is no address of this machine`, "correct `local`, or bring the interface up");
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return error(
        `there is no way to ${there} (${code})`,
        `look at: ip route get ${peer.remote.address} from ${peer.local.address}`,
      );
    case "EPERM":
    case "EACCES":
      return error(
        `this machine's own firewall forbids UDP to ${there} (${code})`,
        "allow it; look at: nft list ruleset",
      );
    default:
      return error(
        `packets to ${there} do not leave (${code})`,
        `look at: ip route get ${peer.remote.address} from ${peer.local.address}`,
      );
  }
}

function suites(short: ProbeOutcome): DoctorFinding {
  const { ok: good, error: bad, warning: unclear } = linesAbout("IKE suite");
  switch (short.kind) {
    case "suiteInCommon":
      return good(`there is one in common; the peer takes ${nameOf(KeyExchangeMethod, short.keyExchangeMethod)}`);
    case "noSuiteInCommon":
      return bad(
        "the peer accepts none of those offered",
        "make `ike:` (encryption, prf, key-exchange) overlap at both ends",
      );
    default: {
      const notify =
        short.kind === "otherAnswer" && short.notifyType !== undefined ? ` (notify ${short.notifyType})` : "";
      return unclear(`not known: the peer answers otherwise than asked${notify}`, "look at the log there");
    }
  }
}

function tooLong(peer: IkePeer, packetBytes: number): DoctorFinding {
  const what = `short packets arrive, those of ${thousands(packetBytes)} octets do not`;
  const own = certificateBytes(peer);
  // Ours does not arrive at all; of the peer's nobody knows
  const fault = own + AUTH_BYTES > WHOLE_PACKET_BYTES ? error : warning;
  if (packetBytes <= WHOLE_PACKET_BYTES)
    return error(
      what,
      "lower the MTU of the tunnel's interface, and let ICMP `fragmentation needed` (IPv6: packet too big) through",
    );
  const why = own > 0 ? `: our IKE_AUTH with certificates has about ${thousands(own + AUTH_BYTES)}` : "";
  return fault(
    `${what}: fragments of IP packets are dropped on the way${why}`,
    "let fragments of UDP through, or use what fits in one packet: ECDSA or Ed25519 without intermediate certificates, raw public keys (`fingerprint:`), a PSK",
  );
}

/** IKE_AUTH without certificates: identities, AUTH, SA, traffic selectors, notifies, headers. */
const AUTH_BYTES = 700;

function certificateBytes({ localAuthentication }: IkePeer): number {
  if (localAuthentication.kind !== "signature") return 0;
  return localAuthentication.certificates.reduce((sum, { length }) => sum + length, 0);
}

function place({ address, port }: IkePeer["remote"]): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function thousands(count: number): string {
  return count.toLocaleString("en-US");
}
