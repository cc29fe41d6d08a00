import type { Reply } from "./replies.ts";

/** What `show protocols all` tells of one BGP protocol. Absent is not zero. */
export interface ProtocolDetails {
  readonly name: string;
  /** "BGP", "Static" and so on. */
  readonly kind: string;
  /** "up", "start", "down" and so on. */
  readonly state: string;
  /** Milliseconds since 1970 of the last change of state. */
  readonly since?: number;
  /** The last column: "Established", "Error: Authentication failed". */
  readonly info: string;
  readonly bgpState?: string;
  readonly neighborAddress?: string;
  readonly neighborRange?: string;
  /** Absent: the default one. */
  readonly vrf?: string;
  readonly tcpAo?: TcpAoDetails;
}

/** Of the established connection. */
export interface TcpAoDetails {
  /** SendID of current_key. */
  readonly currentSendId?: number;
  /** RecvID of rnext_key. */
  readonly rnextRecvId?: number;
  readonly goodPackets?: number;
  readonly badPackets?: number;
}

export function isEstablished(details: ProtocolDetails): boolean {
  return details.state === "up" && details.bgpState === "Established";
}

/** BIRD took the keys off, or never got them into the kernel. It does not try again by itself. */
export function hasAuthenticationFailed(details: ProtocolDetails): boolean {
  return details.state === "down" && /Authentication failed/.test(details.info);
}

const PROTOCOL_LINE = /^(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\d+\.\d+)\s*(.*)$/;

/** By name; empty when BIRD has no such protocol, or the reply is something else. */
export function parseProtocols(reply: Reply): ReadonlyMap<string, ProtocolDetails> {
  const found = new Map<string, ProtocolDetails>();
  for (const [index, { code, text }] of reply.lines.entries()) {
    const columns = code === 1002 ? PROTOCOL_LINE.exec(text) : null;
    if (columns !== null) found.set(columns[1] ?? "", parseProtocol(columns, detailLines(reply, index + 1)));
  }
  return found;
}

function parseProtocol(columns: RegExpExecArray, details: readonly string[]): ProtocolDetails {
  const bgpState = field(details, "BGP state");
  const neighborAddress = field(details, "Neighbor address")?.replace(/ onlink$/, "");
  const neighborRange = field(details, "Neighbor range");
  const vrf = field(details, "VRF");
  const tcpAo = tcpAoDetails(details);
  return {
    name: columns[1] ?? "",
    kind: columns[2] ?? "",
    state: columns[4] ?? "",
    since: Number(columns[5]) * 1000,
    info: (columns[6] ?? "").trim(),
    ...(bgpState !== undefined && { bgpState }),
    ...(neighborAddress !== undefined && { neighborAddress }),
    ...(neighborRange !== undefined && { neighborRange }),
    ...(vrf !== undefined && { vrf }),
    ...(tcpAo && { tcpAo }),
  };
}

/** The lines of one protocol, without those of its channels. */
function detailLines(reply: Reply, start: number): readonly string[] {
  let end = start;
  for (; end < reply.lines.length; end++) {
    const { code, text = "" } = reply.lines[end] ?? {};
    if (code !== 1006 || text === "" || /^ {2}Channel /.test(text)) break;
  }
  return reply.lines.slice(start, end).map(({ text }) => text);
}

function field(lines: readonly string[], label: string): string | undefined {
  const line = lines.find((text) => text.trimStart().startsWith(`${label}:`));
  return line?.slice(line.indexOf(":") + 1).trim();
}

function tcpAoDetails(lines: readonly string[]): TcpAoDetails | undefined {
  const start = lines.findIndex((text) => text.trim() === "TCP-AO:");
  if (start === -1) return undefined;
  const block = lines.slice(start + 1, start + 5);
  const currentSendId = keyId(field(block, "Current key"));
  const rnextRecvId = keyId(field(block, "RNext key"));
  const goodPackets = counter(field(block, "Good packets"));
  const badPackets = counter(field(block, "Bad packets"));
  return {
    ...(currentSendId !== undefined && { currentSendId }),
    ...(rnextRecvId !== undefined && { rnextRecvId }),
    ...(goodPackets !== undefined && { goodPackets }),
    ...(badPackets !== undefined && { badPackets }),
  };
}

/** BIRD prints -1 where the kernel names no key. */
function keyId(text: string | undefined): number | undefined {
  const value = counter(text);
  return value !== undefined && value <= 255 ? value : undefined;
}

function counter(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
