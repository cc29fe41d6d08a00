/** The sealed key table on disk, WAL with synchronous=FULL: every commit is synced before it resolves. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { Secret, type UnixMilliseconds } from "@karp/ikev2";
import type { KeyTableRow } from "../packages/karpd/src/core/keytable/row.ts";
import type { KeyStore } from "../packages/karpd/src/ports/keyStore.ts";
import { openKeyStore } from "../packages/karpd/src/storage/openKeyStore.ts";
import { type Benchmark, figure, type Row } from "./figure.ts";
import { fileSystemOf, scratchFolder } from "./machine.ts";

const rowCount = 10_000;
const runs = 5;

export const store: Benchmark = {
  title: "store",
  run: async (): Promise<readonly Row[]> => {
    const folder = await mkdtemp(join(await scratchFolder(), "store-"));
    try {
      return await measure(join(folder, "keys.db"), await fileSystemOf(folder));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function measure(path: string, fileSystem: string): Promise<readonly Row[]> {
  const key = new Uint8Array(randomBytes(32));
  const open = (): Promise<KeyStore> => openKeyStore({ path, keyEncryptionKey: new Secret(key.slice()) });
  const first = await open();
  await first.write(Array.from({ length: rowCount }, (_, index) => ({ kind: "put", row: row(index) }) as const));
  await first.close();

  const wall: number[] = [];
  const cpu: number[] = [];
  for (let run = 0; run < runs; run++) await openAndRead(open, wall, cpu);

  const writer = await open();
  const alone: number[] = [];
  const together: number[] = [];
  for (let run = 0; run < runs; run++) {
    alone.push(await writesPerSecond(100, (index) => writer.write([{ kind: "put", row: row(index, run + 1) }])));
    together.push(await inBatches(writer, run + 100));
  }
  await writer.close();
  const rows = rowCount.toLocaleString("en");
  const note = `wall clock; ${fileSystem}; each commit synced (WAL, synchronous=FULL)`;
  return [
    figure(`store: open, check and read ${rows} rows, wall clock`, "ms", wall),
    figure(`store: the same, CPU of both threads`, "ms", cpu),
    figure("store: changes written one after the other", "1/s", alone, { note }),
    figure("store: changes written by 64 at a time (group commit)", "1/s", together, { note }),
  ];
}

async function openAndRead(open: () => Promise<KeyStore>, wall: number[], cpu: number[]): Promise<void> {
  const [cpuBefore, begin] = [process.cpuUsage(), performance.now()];
  const opened = await open();
  const { rows } = await opened.read();
  wall.push(performance.now() - begin);
  const { user, system } = process.cpuUsage(cpuBefore);
  cpu.push((user + system) / 1000);
  await opened.close();
  if (rows.length !== rowCount) throw new Error(`${rows.length} rows instead of ${rowCount}`);
}

async function writesPerSecond(count: number, write: (index: number) => Promise<void>): Promise<number> {
  const begin = performance.now();
  for (let index = 0; index < count; index++) await write(index);
  return (count * 1000) / (performance.now() - begin);
}

async function inBatches(writer: KeyStore, generation: number): Promise<number> {
  const batch = 64;
  const perSecond = await writesPerSecond(20, async (index) => {
    const changes = Array.from({ length: batch }, (_, n) => row(index * batch + n, generation));
    await Promise.all(changes.map((each) => writer.write([{ kind: "put", row: each }])));
  });
  return perSecond * batch;
}

function row(index: number, generation = 0): KeyTableRow {
  const at = (milliseconds: number): UnixMilliseconds => milliseconds as UnixMilliseconds;
  const address = `10.${index >> 16}.${(index >> 8) & 0xff}.${index & 0xff}`;
  return {
    adminKeyName: `peer-${index}/00112233445566aa`,
    session: `peer-${index}`,
    recvId: index & 0xff,
    sendId: (index + 1) & 0xff,
    peers: [address],
    interfaces: "all",
    protocol: "TCP-AO",
    protocolSpecificInfo: {
      routingProtocol: "bgp",
      port: 179,
      localAddress: "10.255.0.1",
      remoteAddress: address,
      coversTcpOptions: true,
    },
    algorithm: "aes-128-cmac-96",
    key: new Secret(new Uint8Array(randomBytes(16))),
    direction: "both",
    sendLifetimeStart: at(1_800_000_000_000),
    acceptLifetimeStart: at(1_799_999_999_000),
    state: "current",
    createdBy: "ike",
    localIdentity: "r1.example.net",
    peerIdentity: `peer-${index}.example.net`,
    credentialFingerprint: `sha256:${"0f".repeat(32)}`,
    generation,
    history: { held: at(1_799_999_999_000), current: at(1_800_000_000_000) },
    peerState: 2,
    peerReason: "",
    toldState: 2,
    softExpiresAt: at(1_802_592_000_000),
    hardExpiresAt: at(1_807_776_000_000),
  };
}
