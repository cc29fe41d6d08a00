import { Secret, type UnixMilliseconds } from "@karp/ikev2";
import type { KeyTableRow } from "../../src/core/keytable/row.ts";

export function at(milliseconds: number): UnixMilliseconds {
  return milliseconds as UnixMilliseconds;
}

/** A full row; `overrides` replace fields. */
export function makeRow(overrides: Partial<KeyTableRow> = {}): KeyTableRow {
  return {
    adminKeyName: "r2/00112233445566aa",
    session: "r2",
    recvId: 61,
    sendId: 7,
    peers: ["10.0.0.2"],
    interfaces: "all",
    protocol: "TCP-AO",
    protocolSpecificInfo: {
      routingProtocol: "bgp",
      port: 179,
      localAddress: "10.0.0.1",
      remoteAddress: "10.0.0.2",
      coversTcpOptions: true,
      vrf: "blue",
    },
    algorithm: "aes-128-cmac-96",
    key: new Secret(Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index)),
    direction: "both",
    sendLifetimeStart: at(1_800_000_000_001),
    sendLifetimeEnd: at(1_800_000_000_002),
    acceptLifetimeStart: at(1_799_999_999_000),
    acceptLifetimeEnd: at(1_800_000_000_003),
    state: "current",
    createdBy: "ike",
    localIdentity: "r1.example.net",
    peerIdentity: "r2.example.net",
    credentialFingerprint: "sha256:00ff",
    generation: 4,
    replaces: "r2/ffeeddccbbaa9988",
    history: { held: at(1_799_999_999_000), current: at(1_800_000_000_000) },
    peerState: 2,
    peerReason: "in use since 12:00 – fine",
    toldState: 2,
    deleteAnsweredAt: at(1_800_000_000_010),
    peerDeletedAt: at(1_800_000_000_011),
    quarantineUntil: at(1_800_000_000_012),
    softExpiresAt: at(1_800_000_000_013),
    hardExpiresAt: at(1_800_000_000_014),
    ...overrides,
  };
}

/** Rows compare by value; a Secret hides its octets, so they are put beside it as hex. */
export function comparable(row: KeyTableRow): unknown {
  const { key, ...open } = row;
  return { ...open, keyHex: key?.expose((octets) => Buffer.from(octets).toString("hex")) };
}
