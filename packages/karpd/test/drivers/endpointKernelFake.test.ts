import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import { encodeMessage, MessageReader } from "../../src/drivers/endpoint/bgpMessages.ts";
import { bothObservations, bothOutcomes } from "../../src/drivers/endpoint/bothPaths.ts";
import { createEndpointDriver } from "../../src/drivers/endpoint/driver.ts";
import { nextRnext } from "../../src/drivers/endpoint/kernelKeys.ts";
import { KernelSession, type KernelState } from "../../src/drivers/endpoint/kernelSession.ts";
import { endpointSettings } from "../../src/drivers/endpoint/settings.ts";
import type { DriverKey, Observation } from "../../src/ports/routingDriver.ts";
import { FakeKernel, refusal } from "./fakeKernel.ts";
import { context, key, keyForms, mirrored, sessionOf } from "./support.ts";

const addressing = { local: "127.0.0.1", remote: "127.0.0.2", port: 17_901 };

function session(sockets: FakeKernel, isActive: boolean, identifier: number) {
  const said: string[] = [];
  const log = (_: string, text: string): void => void said.push(text);
  const made = new KernelSession({ sockets, addressing, isActive, intervalMilliseconds: 500, identifier, log });
  return Object.assign(made, { said });
}

/** Two ends on one fake kernel; the first connects. */
class Two {
  readonly kernel = new FakeKernel();
  readonly ends = [session(this.kernel, true, 1), session(this.kernel, false, 2)];

  get active(): KernelSession {
    return this.ends[0] as KernelSession;
  }

  get passive(): KernelSession {
    return this.ends[1] as KernelSession;
  }

  /** As karp does: the end that listens has a key before the other may prefer it. */
  async give(...keys: readonly DriverKey[]): Promise<void> {
    assert.deepEqual(await this.passive.apply(keys.map(mirrored)), { kind: "installed" });
    assert.deepEqual(await this.active.apply(keys), { kind: "installed" });
  }

  async ticks(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      for (const end of this.ends) end.tick();
      await settled();
    }
  }

  counts(name: keyof KernelSession["counts"]): readonly number[] {
    return this.ends.map(({ counts }) => counts[name]);
  }
}

/** All that is promised has happened. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function up(): Promise<Two> {
  const two = new Two();
  await two.give(key(1, "preferred"));
  await two.ticks(2);
  assert.deepEqual(two.counts("kernelConnections"), [1, 1]);
  return two;
}

test("no key, nothing listens and nothing connects; only a preferred key is connected with", async () => {
  const two = new Two();
  await two.ticks(3);
  await two.give();
  assert.equal(two.kernel.listener, undefined, "an open port without a key would let anybody in");
  await two.give(key(1, "accept"));
  await two.ticks(3);
  assert.ok(two.kernel.listener);
  assert.equal(two.kernel.connections.length, 0);
  await two.give(key(1, "preferred"));
  await two.ticks(3);
  assert.equal(two.kernel.connections.length, 2);
  assert.deepEqual(two.counts("kernelKeepalives"), [4, 3], "one with the OPEN, then one a tick of the other end");
});

test("a hundred rollovers: one connection, every message verified, keys leave when nobody uses them", async () => {
  const two = await up();
  for (let n = 1; n <= 100; n++) {
    await two.give(key(n, "preferred"), key(n + 1, "accept"));
    await two.ticks(1);
    await two.give(key(n, "deprecated"), key(n + 1, "preferred"));
    await two.ticks(2);
    assert.equal(two.active.state()?.currentSendId, key(n + 1, "accept").sendId);
    await two.give(key(n + 1, "preferred"));
    assert.deepEqual(two.passive.recvIds(), [key(n + 1, "accept").sendId]);
  }
  assert.deepEqual(two.counts("kernelConnections"), [1, 1]);
  for (const name of ["kernelResets", "kernelGaps", "kernelRejected", "kernelErrors"] as const)
    assert.deepEqual(two.counts(name), [0, 0], name);
});

test("new keys first, then rnext_key, then what is gone (RFC 5925 section 6.1)", async () => {
  const two = await up();
  await two.give(key(1, "preferred"), key(2, "accept"));
  await two.give(key(1, "deprecated"), key(2, "preferred"));
  await two.ticks(2);
  two.kernel.calls = [];
  assert.deepEqual(await two.active.apply([key(2, "accept"), key(3, "preferred")]), {
    kind: "installed",
  });
  assert.deepEqual(two.kernel.calls, ["add 6", "askFor 6", "delete 2"]);
  two.kernel.calls = [];
  const anew = mirrored(key(1, "accept", { masterKey: key(9, "accept").masterKey }));
  await two.passive.apply([mirrored(key(2, "preferred")), anew]);
  const roomFirst = ["delete 3", "delete 3", "add 3", "add 3"];
  assert.deepEqual(two.kernel.calls, roomFirst, "on listener and connection: another key with the IDs of an old one");
});

test("a key that the connection uses stays, also on the listener, and is said to be in use", async () => {
  const two = await up();
  await two.give(key(1, "preferred"), key(2, "accept"));
  const outcome = await two.passive.apply([mirrored(key(2, "accept"))]);
  assert.equal(outcome.kind, "pending");
  assert.match(JSON.stringify(outcome), /3\/2 still in use/);
  assert.deepEqual(two.passive.recvIds(), [2, 4], "the peer may come back with it");
});

test("an ID that still belongs to a key in use is refused before anything is added", async () => {
  const two = await up();
  two.kernel.calls = [];
  const outcome = await two.active.apply([key(1, "preferred", { masterKey: key(9, "accept").masterKey })]);
  assert.equal(outcome.kind, "refused");
  assert.deepEqual(two.kernel.calls, []);
});

test("not installed before the kernel has the key: port in use is pending, unknown algorithm is refused", async () => {
  const two = new Two();
  two.kernel.isPortTaken = true;
  const keys = [mirrored(key(1, "preferred"))];
  assert.equal((await two.passive.apply(keys)).kind, "pending");
  two.kernel.isPortTaken = false;
  assert.deepEqual(await two.passive.apply(keys), { kind: "installed" });
  two.kernel.algorithms.delete("hmac-sha-1-96");
  const lacking = key(2, "accept", { algorithm: "hmac-sha-1-96" });
  const outcome = await two.passive.apply([...keys, lacking]);
  assert.ok(outcome.kind === "refused");
  assert.deepEqual(outcome.adminKeyNames, [lacking.adminKeyName]);
  assert.deepEqual(two.counts("kernelErrors"), [0, 2]);
  for (const form of keyForms([lacking, ...keys])) assert.ok(!JSON.stringify(outcome).includes(form));
});

test("a connection that breaks while both ends stay is one gap at each, and is opened anew", async () => {
  const two = await up();
  two.kernel.breaks();
  assert.deepEqual(two.counts("kernelGaps"), [0, 0], "nobody knows yet why");
  await two.ticks(3);
  assert.deepEqual(two.counts("kernelConnections"), [2, 2]);
  assert.deepEqual(two.counts("kernelResets"), [1, 1]);
  assert.deepEqual(two.counts("kernelGaps"), [1, 1]);
});

test("a peer that died and was started again: a reset, no gap", async () => {
  for (const victim of [0, 1] as const) {
    const two = await up();
    const survivor = 1 - victim;
    two.kernel.dies(two.kernel.connections[victim]);
    if (victim === 1) two.kernel.listener?.close();
    two.ends[victim] = session(two.kernel, victim === 0, 77);
    await two.ticks(2);
    await two.give(key(1, "preferred"), key(2, "accept"));
    await two.ticks(12);
    assert.equal(two.counts("kernelConnections")[survivor], 2, `end ${victim} died`);
    assert.equal(two.counts("kernelResets")[survivor], 1);
    assert.deepEqual(two.counts("kernelGaps"), [0, 0]);
    assert.equal(two.counts("kernelConnections")[victim], 1);
  }
});

test("an end that closes on purpose says so (RFC 4271 section 6.7, Cease): no reset, no gap", async () => {
  const two = await up();
  two.active.close();
  await two.ticks(3);
  assert.deepEqual(two.counts("kernelResets"), [0, 0]);
  two.ends[0] = session(two.kernel, true, 1);
  await two.give(key(1, "preferred"));
  await two.ticks(3);
  assert.deepEqual(two.counts("kernelGaps"), [0, 0], "the same Identifier, but nothing had broken");
});

test("silence breaks a connection; segments under a wrong key are counted as rejected", async () => {
  const two = await up();
  two.kernel.isCut = true;
  await two.ticks(30);
  assert.deepEqual(two.counts("kernelResets"), [1, 1]);
  two.kernel.isCut = false;
  await two.ticks(15);
  assert.deepEqual(two.counts("kernelGaps"), [1, 1]);

  const wrong = await up();
  const [, accepted] = wrong.kernel.connections;
  assert.ok(accepted);
  accepted.installed = accepted.installed.map((one) => ({ ...one, masterKey: key(9, "accept").masterKey }));
  await wrong.ticks(3);
  assert.ok((wrong.counts("kernelRejected")[1] ?? 0) >= 2);
});

test("revoke: the connection moves to what is kept; with nothing kept, none is left and nothing listens", async () => {
  const two = await up();
  await two.give(key(1, "preferred"), key(2, "accept"));
  for (const [end, keep] of [key(2, "preferred"), mirrored(key(2, "preferred"))].entries())
    assert.equal(two.ends[end]?.revoke([keep]), undefined);
  assert.equal(two.active.state()?.currentSendId, 4);
  assert.deepEqual(two.passive.recvIds(), [4]);
  for (const end of two.ends) assert.equal(end.revoke([]), undefined);
  assert.deepEqual(
    two.ends.map((end) => end.state()),
    [undefined, undefined],
  );
  assert.equal(two.kernel.listener, undefined);
  await two.ticks(5);
  assert.equal(two.kernel.connections.length, 2, "and none is opened");
});

test("a key set that changes while a SYN is unanswered: the next SYN has the new keys", async () => {
  const two = new Two();
  await two.active.apply([key(1, "preferred")]);
  await two.ticks(1);
  await two.give(key(1, "deprecated"), key(2, "preferred"));
  await two.ticks(1);
  assert.equal(two.active.state()?.currentSendId, 4);
  assert.deepEqual(two.counts("kernelErrors"), [0, 0], "what is given up is no error");
});

test("rnext_key moves to the preferred key, or off a deprecated one, and else stays", () => {
  const [accept, preferred, deprecated] = [key(1, "accept"), key(2, "preferred"), key(3, "deprecated")];
  assert.equal(nextRnext([accept, preferred], accept), preferred);
  assert.equal(nextRnext([accept, preferred], preferred), undefined);
  assert.equal(nextRnext([accept, deprecated], deprecated), accept);
  assert.equal(nextRnext([accept, deprecated], accept), undefined);
  assert.equal(nextRnext([deprecated], deprecated), undefined);
});

test("messages survive any cut; what is no BGP of ours is refused (RFC 4271 section 4)", () => {
  const sent = [{ kind: "open", identifier: 0xfedcba98 }, { kind: "keepalive" }, { kind: "cease" }] as const;
  const stream = Uint8Array.from(sent.flatMap((message) => [...encodeMessage(message)]));
  for (let cut = 0; cut <= stream.length; cut++) {
    const reader = new MessageReader();
    const read = [reader.read(stream.subarray(0, cut)), reader.read(stream.subarray(cut))].flat();
    assert.deepEqual(read, sent);
  }
  for (const at of [0, 15, 16, 17, 18]) {
    const bent = Uint8Array.from(encodeMessage({ kind: "keepalive" }));
    bent[at] = (bent[at] ?? 0) ^ 0x55;
    assert.equal(new MessageReader().read(bent), undefined, `octet ${at}`);
  }
});

test("installed only when both paths are; the worse outcome is told", () => {
  const installed = { kind: "installed" } as const;
  const pending = { kind: "pending", reason: "p" } as const;
  const refused = { kind: "refused", reason: "r" } as const;
  assert.deepEqual(bothOutcomes(installed, installed), installed);
  assert.deepEqual(bothOutcomes(installed, pending), pending);
  assert.deepEqual(bothOutcomes(pending, refused), refused);
});

test("observed is what both paths agree on: the one that lags behind counts", () => {
  const preferred = key(2, "preferred"); // 4/5, after 2/3
  const stream = (n: number, good: readonly (readonly [number, number])[]): Observation => ({
    connections: 1,
    currentSendId: 2 * n,
    rnextRecvId: 5,
    receivedKeyId: 2 * n + 1,
    goodByRecvId: new Map(good),
    goodTotal: 9,
    badTotal: 0,
    recvIdsPresent: [3, 5],
  });
  const kernel = (n: number, good: readonly (readonly [number, number])[], recvIds = [3, 5]) => ({
    state: (): KernelState => ({
      currentSendId: 2 * n,
      rnextRecvId: 5,
      goodByRecvId: new Map(good),
      good: 7,
      rejected: 1,
    }),
    recvIds: () => recvIds,
  });
  const streamAhead = bothObservations(
    stream(2, [
      [3, 4],
      [5, 5],
    ]),
    kernel(1, [[3, 9]], [3]),
    preferred,
  );
  assert.deepEqual(
    [streamAhead.currentSendId, streamAhead.goodByRecvId, streamAhead.receivedKeyId, streamAhead.recvIdsPresent],
    [
      2,
      new Map([
        [3, 4],
        [5, 0],
      ]),
      undefined,
      [3],
    ],
  );
  const kernelAhead = bothObservations(
    stream(1, [
      [3, 9],
      [5, 0],
    ]),
    kernel(2, [
      [3, 1],
      [5, 3],
    ]),
    preferred,
  );
  assert.deepEqual([kernelAhead.currentSendId, kernelAhead.receivedKeyId], [2, 3]);
  const both = bothObservations(
    stream(2, [
      [3, 9],
      [5, 6],
    ]),
    kernel(2, [
      [3, 1],
      [5, 3],
    ]),
    preferred,
  );
  assert.deepEqual(
    [both.currentSendId, both.rnextRecvId, both.receivedKeyId, both.connections, both.goodTotal, both.badTotal],
    [4, 5, 5, 2, 16, 1],
  );
  const alone = bothObservations({ connections: 0, recvIdsPresent: [3, 5] }, kernel(2, [[5, 3]]), preferred);
  assert.deepEqual([alone.connections, alone.currentSendId, alone.goodByRecvId], [1, 4, new Map([[5, 3]])]);
  const without = bothObservations(stream(2, [[5, 6]]), { state: () => undefined, recvIds: () => [3, 5] }, preferred);
  assert.deepEqual(without, stream(2, [[5, 6]]));
});

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

async function oneSession(words: Record<string, unknown> = {}): Promise<SessionConfiguration> {
  const settings = { bind: `127.0.0.1:${await freePort()}`, remote: "127.0.0.2:9", interval: "20ms", ...words };
  return sessionOf("endpoint", settings, { localAddress: "127.0.0.2", remoteAddress: "127.0.0.1" });
}

test("the kernel takes part where it has every algorithm of the session and nobody has turned it off", async (t) => {
  const all = ["aes-128-cmac-96", "hmac-sha-1-96"] as const;
  const cases = [
    { words: {}, known: all, expected: true },
    { words: { kernel: "auto" }, known: all, expected: true },
    { words: { kernel: "off" }, known: all, expected: false },
    { words: {}, known: ["hmac-sha-1-96"] as const, expected: false },
    { words: {}, known: [], expected: false },
    { words: {}, known: undefined, expected: false },
  ];
  for (const { words, known, expected } of cases) {
    const kernel = new FakeKernel();
    const asked: number[] = [];
    const kernelAlgorithms = async () => {
      asked.push(1);
      return known && new Set(known);
    };
    const driver = createEndpointDriver(context({ kernelAlgorithms }), kernel);
    t.after(() => driver.close());
    assert.equal(asked.length, 0, "not before it is needed");
    const given = await oneSession(words);
    assert.deepEqual(await driver.apply(given, [key(1, "preferred")]), { kind: "installed" });
    assert.equal(kernel.listener !== undefined, expected, JSON.stringify({ words, known }));
    assert.equal("kernelKeepalives" in (driver.statistics()["r2"] ?? {}), expected);
    assert.equal(asked.length, words.kernel === "off" ? 0 : 1);
  }
});

test("the driver does not say installed while the kernel's port is taken", async (t) => {
  const kernel = new FakeKernel();
  kernel.isPortTaken = true;
  const kernelAlgorithms = async () => new Set(["aes-128-cmac-96", "hmac-sha-1-96"] as const);
  const driver = createEndpointDriver(context({ kernelAlgorithms }), kernel);
  t.after(() => driver.close());
  const outcome = await driver.apply(await oneSession(), [key(1, "preferred")]);
  assert.deepEqual(outcome, { kind: "pending", reason: `the kernel: ${refusal("addressInUse").message}` });
});

test("kernel-port is a port; kernel is auto or off", async () => {
  const given = await oneSession({ "kernel-port": 1179 });
  assert.deepEqual([endpointSettings(given).kernelPort, endpointSettings(given).kernel], [1179, "auto"]);
  for (const words of [{ kernel: "on" }, { "kernel-port": 0 }, { "kernel-port": 65_536 }, { "kernel-port": "x" }]) {
    const wrong = await oneSession(words);
    assert.throws(() => endpointSettings(wrong), JSON.stringify(words));
  }
});
