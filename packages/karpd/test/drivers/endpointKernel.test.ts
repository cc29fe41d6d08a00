// The endpoint driver on a kernel with TCP-AO. Elsewhere these are left out; the lab's scenario `demo` runs them in its guest.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { probeKernelTcpAo } from "@karp/tcp-ao/linux";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import { createEndpointDriver, type EndpointDriver } from "../../src/drivers/endpoint/driver.ts";
import { type KernelConnection, type KernelSockets, linuxSockets } from "../../src/drivers/endpoint/kernelSockets.ts";
import type { DriverKey } from "../../src/ports/routingDriver.ts";
import { context, eventually, kernelAlgorithms, key, mirrored, sessionOf } from "./support.ts";

const kernel = probeKernelTcpAo();
const onKernel = { timeout: 180_000, skip: kernel.supported ? false : kernel.reason };

const families = [
  { name: "IPv4", addresses: ["127.0.0.1", "127.0.0.2"], shown: (address: string) => address },
  { name: "IPv6, one address", addresses: ["::1", "::1"], shown: (address: string) => `[${address}]` },
] as const;

async function freePort(address: string): Promise<number> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

async function sessions(family: (typeof families)[number] = families[0]): Promise<readonly SessionConfiguration[]> {
  const ends = await Promise.all(
    family.addresses.map(async (address) => `${family.shown(address)}:${await freePort(address)}`),
  );
  const ids = [
    { localAddress: "127.0.0.1", remoteAddress: "127.0.0.2" },
    { localAddress: "127.0.0.2", remoteAddress: "127.0.0.1" },
  ];
  return ids.map((addresses, own) =>
    sessionOf("endpoint", { bind: ends[own], remote: ends[1 - own], interval: "50ms" }, addresses),
  );
}

type Counts = Readonly<Record<string, number>>;

const trouble = ({ kernelResets, kernelGaps, kernelRejected, kernelErrors, segmentsRejected, gaps }: Counts) => ({
  kernelResets,
  kernelGaps,
  kernelRejected,
  kernelErrors,
  segmentsRejected,
  gaps,
});
const none = { kernelResets: 0, kernelGaps: 0, kernelRejected: 0, kernelErrors: 0, segmentsRejected: 0, gaps: 0 };

/** Two drivers in this process. */
async function pair(t: TestContext, both: readonly SessionConfiguration[], sockets = linuxSockets) {
  const drivers = both.map(() => createEndpointDriver(context({ kernelAlgorithms }), sockets));
  t.after(() => Promise.all(drivers.map((driver) => driver.close())));
  const each = <T>(use: (driver: EndpointDriver, session: SessionConfiguration, own: number) => Promise<T>) =>
    Promise.all(
      both.map((session, own) => {
        const driver = drivers[own];
        assert.ok(driver);
        return use(driver, session, own);
      }),
    );
  const apply = (...keys: readonly DriverKey[]) =>
    each(async (driver, session, own) =>
      assert.deepEqual(await driver.apply(session, own === 0 ? keys : keys.map(mirrored)), { kind: "installed" }),
    );
  const counts = (): readonly Counts[] => drivers.map((driver) => driver.statistics()["r2"] ?? {});
  /** Both connections at both ends use it, both ways. */
  const moved = (n: number) =>
    eventually(`key ${n} in use on both paths`, async () => {
      const seen = await each(async (driver, session, own) => {
        const outcome = await driver.observe(session);
        assert.ok(outcome.kind === "observed");
        const { sendId, recvId } = own === 0 ? key(n, "accept") : mirrored(key(n, "accept"));
        const { connections, currentSendId, rnextRecvId, goodByRecvId } = outcome.observation;
        const isUsed = currentSendId === sendId && rnextRecvId === recvId && (goodByRecvId?.get(recvId) ?? 0) > 1;
        return connections === 2 && isUsed;
      });
      return seen.every(Boolean) || undefined;
    });
  return { each, apply, counts, moved };
}

for (const family of families) {
  test(`ten rollovers with the kernel's connection up: ${family.name}`, onKernel, async (t) => {
    const { apply, counts, moved } = await pair(t, await sessions(family));
    await apply(key(1, "preferred"));
    await moved(1);
    for (let n = 1; n <= 10; n++) {
      await apply(key(n, "preferred"), key(n + 1, "accept"));
      await apply(key(n, "deprecated"), key(n + 1, "preferred"));
      await moved(n + 1);
      await apply(key(n + 1, "preferred"));
    }
    for (const each of counts()) {
      assert.deepEqual(trouble(each), none);
      assert.equal(each["kernelConnections"], 1);
      assert.ok((each["kernelKeepalives"] ?? 0) > 20);
    }
  });
}

test("revoke: the connection moves to what is kept at once; with nothing kept none is left", onKernel, async (t) => {
  const { each, apply, counts, moved } = await pair(t, await sessions());
  await apply(key(1, "preferred"), key(2, "accept"));
  await moved(1);
  const keep = key(2, "preferred");
  await each(async (driver, session, own) =>
    assert.deepEqual(await driver.revoke(session, [own === 0 ? keep : mirrored(keep)]), { kind: "revoked" }),
  );
  await moved(2);
  for (const one of counts()) assert.equal(one["kernelConnections"], 1, "the same connection");
  await each(async (driver, session) => assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" }));
  await each(async (driver, session) => {
    const outcome = await driver.observe(session);
    assert.ok(outcome.kind === "observed");
    assert.deepEqual(outcome.observation, { connections: 0, recvIdsPresent: [] });
  });
});

/** An end in a process of its own, and what it counted last. */
class End {
  readonly #session: SessionConfiguration;
  readonly #own: number;
  #child: ChildProcess | undefined;
  counts: Counts = {};

  constructor(session: SessionConfiguration, own: number) {
    this.#session = session;
    this.#own = own;
  }

  start(): void {
    const script = fileURLToPath(new URL("endpointEnd.ts", import.meta.url));
    const args = [script, JSON.stringify(this.#session), this.#own === 0 ? "own" : "mirrored"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.counts = JSON.parse(line) as Counts;
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await gone;
    this.counts = {};
  }
}

async function processes(
  t: TestContext,
): Promise<{ ends: readonly End[]; isUp: (times: number, own: number) => Promise<true> }> {
  const ends = (await sessions()).map((session, own) => new End(session, own));
  t.after(() => Promise.all(ends.map((end) => end.kill())));
  const isUp = (times: number, own: number) =>
    eventually(`end ${own} has had ${times} connections`, async () => {
      const { kernelConnections = 0, kernelKeepalives = 0 } = ends[own]?.counts ?? {};
      return (kernelConnections >= times && kernelKeepalives > 10 * times) || undefined;
    });
  for (const end of ends) end.start();
  return { ends, isUp };
}

for (const victim of [0, 1] as const) {
  const who = victim === 0 ? "connects" : "listens";
  test(
    `kill -9 of the end that ${who}: its TCP dies with it, the other end counts a reset and no gap`,
    onKernel,
    async (t) => {
      const { ends, isUp } = await processes(t);
      const survivor = 1 - victim;
      await Promise.all([isUp(1, 0), isUp(1, 1)]);
      await ends[victim]?.kill();
      ends[victim]?.start();
      await Promise.all([isUp(2, survivor), isUp(1, victim)]);
      assert.deepEqual(trouble(ends[survivor]?.counts ?? {}), { ...none, kernelResets: 1 });
      assert.deepEqual(trouble(ends[victim]?.counts ?? {}), none);
    },
  );
}

test("a connection that breaks while both ends run is a gap at both", onKernel, async (t) => {
  const opened: KernelConnection[] = [];
  const sockets: KernelSockets = {
    listen: linuxSockets.listen,
    connect: async (...how) => {
      const connection = await linuxSockets.connect(...how);
      opened.push(connection);
      return connection;
    },
  };
  const { apply, counts } = await pair(t, await sessions(), sockets);
  await apply(key(1, "preferred"));
  const haveHad = (connections: number) =>
    eventually(`both have had ${connections} connections`, async () => {
      return counts().every(({ kernelConnections }) => kernelConnections === connections) || undefined;
    });
  await haveHad(1);
  // A signed RST, and no Cease
  opened[0]?.reset();
  await haveHad(2);
  for (const each of counts()) assert.deepEqual(trouble(each), { ...none, kernelResets: 1, kernelGaps: 1, gaps: 1 });
});
