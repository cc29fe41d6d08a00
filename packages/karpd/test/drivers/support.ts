import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Secret } from "@karp/ikev2";
import { probeKernelTcpAo } from "@karp/tcp-ao/linux";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import type { MktAlgorithm } from "../../src/core/keytable/row.ts";
import { type DriverContext, systemClock } from "../../src/drivers/context.ts";
import type { DriverKey } from "../../src/ports/routingDriver.ts";

/** A folder of the test's own, gone afterwards. */
export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "karp-driver-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A context that remembers all that was logged. */
export function context(extra: Partial<DriverContext> = {}): DriverContext & { readonly lines: string[] } {
  const lines: string[] = [];
  return { clock: systemClock, log: (level, text) => lines.push(`${level} ${text}`), lines, ...extra };
}

export function sessionOf(
  driver: string,
  driverSettings: Record<string, unknown>,
  changes: Partial<SessionConfiguration> = {},
): SessionConfiguration {
  return {
    name: "r2",
    protocol: "bgp",
    port: 179,
    driver,
    driverSettings,
    localAddress: "10.0.0.1",
    remoteAddress: "10.0.0.2",
    peer: "r2.example.net",
    mode: "opportunistic",
    algorithms: ["aes-128-cmac-96", "hmac-sha-1-96"],
    tcpOptions: ["covered"],
    pfs: true,
    reservedKeyIds: [],
    keyReaders: [],
    rollover: {
      everySeconds: 30,
      jitter: 0.1,
      hardSeconds: 90,
      drainSeconds: 1,
      keepOldSeconds: 1,
      settleSeconds: 1,
      quarantineSeconds: 1,
      orphanSeconds: 60,
      preferTimeoutSeconds: 30,
    },
    onExpiry: "keep-and-alarm",
    ...changes,
  };
}

/** Key number `n`: SendID 2n, RecvID 2n+1, octets that are easy to find in a text. */
export function key(n: number, use: DriverKey["use"], changes: Partial<DriverKey> = {}): DriverKey {
  const algorithm = changes.algorithm ?? "aes-128-cmac-96";
  const masterKey = new Secret(keyOctets(n, algorithm === "aes-128-cmac-96" ? 16 : 20));
  const adminKeyName = `r2/${n.toString(16).padStart(16, "0")}`;
  return {
    adminKeyName,
    sendId: 2 * n,
    recvId: 2 * n + 1,
    algorithm,
    coversTcpOptions: true,
    masterKey,
    use,
    ...changes,
  };
}

/** The same MKT at the other end: the IDs change places. */
export function mirrored(own: DriverKey): DriverKey {
  return { ...own, sendId: own.recvId, recvId: own.sendId };
}

function keyOctets(n: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (0xa1 + 37 * n + 11 * index) & 0xff);
}

/** Every form in which a key could get into a text by accident. */
export function keyForms(keys: readonly DriverKey[]): readonly string[] {
  return keys.flatMap((one) =>
    one.masterKey.expose((octets) => {
      const buffer = Buffer.from(octets);
      return [
        buffer.toString("hex"),
        buffer.toString("base64").replace(/=+$/, ""),
        Array.from(octets).join(","),
        buffer.toString("latin1"),
      ];
    }),
  );
}

/** Calls `probe` again until it gives something; the deadline is for what never comes, not for a slow machine. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    // What it waits for may need this very processor
    await setTimeout(5);
  }
}

/** As the daemon asks: what this machine's kernel has. */
export async function kernelAlgorithms(): Promise<ReadonlySet<MktAlgorithm>> {
  return new Set(probeKernelTcpAo().algorithms);
}
