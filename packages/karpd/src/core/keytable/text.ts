import type { UnixMilliseconds } from "@karp/ikev2";
import { hex } from "@karp/ikev2";
import { formatKeyTableTime } from "../time.ts";
import { mktAlgorithms } from "./algorithms.ts";
import type { KeyTableRow } from "./row.ts";

/** Two lowercase hex digits, RFC 7210 section 5.1. */
export function formatKeyName(keyId: number): string {
  return keyId.toString(16).padStart(2, "0");
}

/**
 * A row in the words and formats of RFC 7210 sections 2 and 5, one field a line. The key is left out, unless the caller
 * is entitled to it and says so.
 */
export function formatKeyTableRow(row: KeyTableRow, options: { readonly revealsKey: boolean }): string {
  const { kdf, algId } = mktAlgorithms[row.algorithm];
  const fields: readonly (readonly [string, string])[] = [
    ["AdminKeyName", row.adminKeyName],
    ["LocalKeyName", formatKeyName(row.recvId)],
    ["PeerKeyName", formatKeyName(row.sendId)],
    ["Peers", row.peers.join(" ")],
    ["Interfaces", row.interfaces],
    ["Protocol", row.protocol],
    ["ProtocolSpecificInfo", formatInfo(row)],
    ["KDF", kdf],
    ["AlgID", algId],
    ["Key", formatKey(row, options.revealsKey)],
    ["Direction", row.direction],
    ["SendLifetimeStart", formatTime(row.sendLifetimeStart)],
    ["SendLifeTimeEnd", formatTime(row.sendLifetimeEnd)],
    ["AcceptLifeTimeStart", formatTime(row.acceptLifetimeStart)],
    ["AcceptLifeTimeEnd", formatTime(row.acceptLifetimeEnd)],
  ];
  return fields.map(([name, value]) => `${name}: ${value}\n`).join("");
}

function formatInfo({ protocolSpecificInfo: info }: KeyTableRow): string {
  const options = info.coversTcpOptions ? "covered" : "omitted";
  const vrf = info.vrf === undefined ? "" : ` vrf=${info.vrf}`;
  const addresses = `local=${info.localAddress} remote=${info.remoteAddress}`;
  return `${info.routingProtocol} port=${info.port} ${addresses} tcp-options=${options}${vrf}`;
}

function formatKey(row: KeyTableRow, revealsKey: boolean): string {
  if (row.key === undefined) return "";
  return revealsKey ? row.key.expose(hex) : "(not shown)";
}

function formatTime(at: UnixMilliseconds | undefined): string {
  return at === undefined ? "" : formatKeyTableTime(at);
}
