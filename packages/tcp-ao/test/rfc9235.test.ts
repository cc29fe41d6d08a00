import assert from "node:assert/strict";
import { test } from "node:test";
import {
  deriveTrafficKey,
  hasValidTcpChecksum,
  kdfContext,
  type MacAlgorithm,
  macInput,
  parseAddress,
  parseSegment,
  peering,
  type SocketPair,
  signSegment,
  TcpAoEndpoint,
  verifySegment,
} from "../src/index.ts";
import { crypto, hex, toHex, unwrap, vectors } from "./support.ts";

interface Vector {
  readonly section: string;
  readonly ipVersion: 4 | 6;
  readonly macAlgorithm: string;
  readonly coversTcpOptions: boolean;
  readonly sender: "client" | "server";
  readonly segment: "SYN" | "SYN-ACK" | "Non-SYN";
  readonly clientIsn: string;
  readonly serverIsn?: string;
  readonly trafficKey: string;
  readonly packet: string;
  readonly mac: string;
  readonly sourceAddress: string;
  readonly destinationAddress: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly keyId: number;
  readonly rNextKeyId: number;
  readonly kdfContext: string;
  readonly macInput: string;
}

const file = vectors<{ readonly masterKeyHex: string; readonly vectors: readonly Vector[] }>("rfc9235-vectors.json");
const masterKey = hex(file.masterKeyHex);

test("there are 32 packets in RFC 9235", () => assert.equal(file.vectors.length, 32));

for (const vector of file.vectors) {
  const algorithm = vector.macAlgorithm.toLowerCase() as MacAlgorithm;
  const isClient = vector.sender === "client";
  const clientIsn = Number.parseInt(vector.clientIsn, 16);
  const serverIsn = Number.parseInt(vector.serverIsn ?? "0", 16);
  const context = {
    sourceAddress: hex(vector.sourceAddress),
    destinationAddress: hex(vector.destinationAddress),
    sourcePort: vector.sourcePort,
    destinationPort: vector.destinationPort,
    sourceIsn: isClient ? clientIsn : serverIsn,
    destinationIsn: vector.segment === "SYN" ? 0 : isClient ? serverIsn : clientIsn,
  };
  const trafficKey = deriveTrafficKey(crypto, algorithm, masterKey, context);
  const key = { algorithm, trafficKey, coversTcpOptions: vector.coversTcpOptions };
  const name = `${vector.macAlgorithm} IPv${vector.ipVersion} ${vector.segment}`;

  test(`RFC 9235 section ${vector.section}: ${name}: traffic key`, () => {
    assert.equal(toHex(kdfContext(context)), vector.kdfContext);
    assert.equal(toHex(trafficKey), vector.trafficKey);
  });

  test(`RFC 9235 section ${vector.section}: ${name}: MAC`, () => {
    const segment = unwrap(parseSegment(hex(vector.packet)));
    assert.ok(segment.tcpAo);
    assert.equal(toHex(macInput(segment, segment.tcpAo, 0, vector.coversTcpOptions)), vector.macInput);
    const verified = unwrap(verifySegment({ crypto, packet: hex(vector.packet), key, sne: 0 }));
    assert.deepEqual([verified.tcpAo.keyId, verified.tcpAo.rNextKeyId], [vector.keyId, vector.rNextKeyId]);
    assert.equal(toHex(verified.tcpAo.mac), vector.mac);
  });

  test(`RFC 9235 section ${vector.section}: ${name}: signing gives the same MAC, in place and inserted anew`, () => {
    const packet = hex(vector.packet);
    const { tcpOffset, tcpAo } = unwrap(parseSegment(packet));
    assert.ok(tcpAo);
    packet.fill(0, tcpOffset + tcpAo.offset + 2, tcpOffset + tcpAo.offset + tcpAo.lengthBytes);
    const { keyId, rNextKeyId } = vector;
    const signed = unwrap(signSegment({ crypto, packet, key, keyId, rNextKeyId, sne: 0 }));
    const segment = unwrap(parseSegment(signed));
    assert.equal(toHex(segment.tcpAo?.mac ?? hex("")), vector.mac);
    assert.ok(hasValidTcpChecksum(segment));
    // The checksums of the RFC's IPv6 packets are valid; those of its IPv4 packets are not
    if (vector.ipVersion === 6) assert.equal(toHex(signed), vector.packet);
  });
}

for (const section of ["4.1", "4.2", "5.1", "5.2", "6.1", "6.2", "7.1", "7.2"]) {
  test(`RFC 9235 section ${section}: an endpoint follows the whole exchange at both ends`, () => {
    const packets = file.vectors.filter((vector) => vector.section.startsWith(`${section}.`));
    const [syn] = packets;
    assert.ok(syn && packets.length === 4);
    const [local, remote] =
      syn.ipVersion === 4
        ? [parseAddress("10.11.12.13"), parseAddress("172.27.28.29")]
        : [parseAddress("fd00::1"), parseAddress("fd00::2")];
    const clientPair: SocketPair = {
      localAddress: local,
      localPort: syn.sourcePort,
      remoteAddress: remote,
      remotePort: 179,
    };
    const component = {
      algorithm: syn.macAlgorithm.toLowerCase() as MacAlgorithm,
      coversTcpOptions: syn.coversTcpOptions,
      masterKey,
    };
    const client = new TcpAoEndpoint({ crypto, validatesChecksum: false });
    const server = new TcpAoEndpoint({ crypto, validatesChecksum: false });
    client.addMkt({ ...component, sendId: 61, recvId: 84, connectionIdentifier: peering(local, remote, 179) });
    server.addMkt({ ...component, sendId: 84, recvId: 61, connectionIdentifier: peering(remote, local, 179) });
    for (const { packet, sender, mac } of packets) {
      const [from, to] = sender === "client" ? [client, server] : [server, client];
      const outgoing = from.send(hex(packet));
      assert.ok(outgoing.kind === "signed");
      assert.equal(toHex(unwrap(parseSegment(outgoing.packet)).tcpAo?.mac ?? hex("")), mac);
      assert.equal(to.receive(hex(packet)).kind, "authenticated");
    }
    assert.deepEqual(server.counters(), { good: 2, bad: 0, keyNotFound: 0, required: 0 });
    assert.equal(client.connection(clientPair)?.status().received?.keyId, 84);
  });
}
