import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import {
  connectTcpAo,
  fdOf,
  interfaceIndexOf,
  LinuxTcpAoError,
  type LinuxTcpAoErrorCode,
  listenTcpAo,
  listKeys,
  observeTcpAo,
  type PeerKey,
  PeerKeys,
  readInfo,
  updateInfo,
} from "../../linux/index.ts";
import { onLinux } from "./foreignSupport.ts";
import { exchange, keyPair, onKernel, portOf, until } from "./kernelSupport.ts";

const limits = { timeout: 30_000 };
const HOST = "127.0.0.1";

function refusedWith(code: LinuxTcpAoErrorCode) {
  return (error: unknown): boolean => error instanceof LinuxTcpAoError && error.code === code;
}

interface Ends {
  readonly server: Server;
  readonly ours: PeerKeys;
  readonly theirs: PeerKeys;
  connect(localPort?: number): Promise<{ readonly client: Socket; readonly accepted: Socket; readonly server: Server }>;
}

/** Two programs with the public API alone: one listens, one connects; both have key 1. */
async function twoEnds(context: TestContext): Promise<Ends> {
  const server = createServer();
  context.after(() => server.close());
  await listenTcpAo(server, { host: HOST, port: 0, keys: [] });
  const [ours, theirs] = [new PeerKeys({ peer: HOST }), new PeerKeys({ peer: "::ffff:127.0.0.1" })];
  theirs.protect(server);
  addAtBothEnds(ours, theirs, 1);
  const connect = async (localPort?: number) => {
    const accepting = once(server, "connection");
    const source = localPort === undefined ? {} : { localAddress: HOST, localPort };
    const client = await ours.connect({ host: HOST, port: portOf(server), ...source });
    const [accepted] = (await accepting) as [Socket];
    theirs.accept(accepted);
    context.after(() => [client, accepted].map((socket) => socket.destroy()));
    return { client, accepted, server };
  };
  return { server, ours, theirs, connect };
}

function addAtBothEnds(ours: PeerKeys, theirs: PeerKeys, id: number): void {
  const { client, server } = keyPair(id, `key ${id}`);
  ours.add(withoutPeer(client));
  theirs.add(withoutPeer(server));
}

function withoutPeer({ sendId, recvId, algorithm, masterKey }: PeerKey): PeerKey {
  return { sendId, recvId, algorithm, masterKey };
}

test("PeerKeys: rotation on several connections between two hosts, each from its own port", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const { server, ours, theirs, connect } = await twoEnds(context);
  const free = await portsThatAreFree(2);
  const connections = [await connect(free[0]), await connect(free[1])];
  assert.deepEqual(
    connections.map(({ client }) => client.localPort),
    free,
  );
  for (const next of [2, 3]) {
    addAtBothEnds(ours, theirs, next);
    assert.throws(() => ours.remove(100 + next - 1), refusedWith("keyInUse"));
    // Keepalives of a routing protocol move the rollover
    let isOver = false;
    const both = Promise.all([ours.rotate(100 + next), theirs.rotate(next)]).then(() => {
      isOver = true;
    });
    while (!isOver) {
      for (const ends of connections) await exchange(ends, "keepalive");
      await new Promise((resolve) => setImmediate(resolve));
    }
    await both;
    for (const { client, accepted } of connections) {
      assert.deepEqual([readInfo(fdOf(client)).currentKey, readInfo(fdOf(accepted)).currentKey], [next, 100 + next]);
    }
    assert.deepEqual([ours.recvIds, theirs.recvIds], [[100 + next], [next]]);
    for (const socket of [server, ...ours.connections, ...theirs.connections]) {
      assert.equal(listKeys(fdOf(socket)).length, 1);
    }
  }
  for (const { counters } of [...ours.observe().values(), ...theirs.observe().values()]) {
    assert.equal(counters.bad + counters.keyNotFound + counters.required, 0n);
  }
});

test("PeerKeys: one direction alone is not settled", { ...onKernel, ...limits }, async (context) => {
  const { ours, theirs, connect } = await twoEnds(context);
  const ends = await connect();
  addAtBothEnds(ours, theirs, 2);
  theirs.prefer(2);
  await exchange(ends, "we follow");
  assert.equal(readInfo(fdOf(ends.client)).currentKey, 2);
  ours.prefer(102);
  assert.ok(!ours.isSettled(), "we send with key 2, and have not received with it");
  await exchange(ends, "they follow");
  await exchange(ends, "and send with it");
  assert.ok(ours.isSettled() && theirs.isSettled());
});

test("PeerKeys: new connections start with the preferred key", { ...onKernel, ...limits }, async (context) => {
  const { ours, theirs, connect } = await twoEnds(context);
  addAtBothEnds(ours, theirs, 2);
  for (const [ring, id] of [
    [ours, 102],
    [theirs, 2],
  ] as const) {
    ring.prefer(id);
    assert.ok(ring.isSettled(), "without a connection nobody has to follow");
  }
  const { client, accepted } = await connect();
  assert.deepEqual([readInfo(fdOf(client)).currentKey, readInfo(fdOf(accepted)).currentKey], [2, 102]);
  const observation = observeTcpAo(client);
  assert.deepEqual([observation.keys.length, observation.rnextKey], [2, 102]);
  // What is said about keys has no key in it
  assert.doesNotMatch(
    JSON.stringify(observation, (_, value) => (typeof value === "bigint" ? "" : value)),
    /key \d/,
  );
});

test("PeerKeys: an accepted connection gets what came, and loses what went, while it was being opened", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const { server, ours, theirs } = await twoEnds(context);
  addAtBothEnds(ours, theirs, 2);
  const accepting = once(server, "connection");
  const client = await ours.connect({ host: HOST, port: portOf(server) });
  const [accepted] = (await accepting) as [Socket];
  context.after(() => [client, accepted].map((socket) => socket.destroy()));
  theirs.remove(2);
  const { client: __, server: third } = keyPair(3, "key 3");
  theirs.add(withoutPeer(third));
  theirs.accept(accepted);
  const ids = listKeys(fdOf(accepted)).map(({ recvId }) => recvId);
  assert.deepEqual(ids.sort(), [1, 3]);
});

test("PeerKeys: a key is added everywhere or nowhere, and IDs of other peers on a listener are theirs", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const { server, ours, theirs, connect } = await twoEnds(context);
  const { client } = await connect();
  const neighbour = new PeerKeys({ peer: "192.0.2.7" });
  neighbour.protect(server);
  neighbour.add(withoutPeer(keyPair(1, "another peer's").server));
  assert.equal(listKeys(fdOf(server)).length, 2);
  neighbour.remove(1);
  assert.equal(listKeys(fdOf(server)).length, 1);
  const taken = { ...withoutPeer(keyPair(9, "x").client), sendId: 1 };
  assert.throws(() => ours.add(taken), refusedWith("keyExists"));
  assert.throws(() => ours.add(withoutPeer(keyPair(1, "x").client)), refusedWith("keyExists"));
  assert.throws(() => theirs.prefer(7), refusedWith("keyNotFound"));
  assert.throws(() => theirs.remove(7), refusedWith("keyNotFound"));
  assert.deepEqual([ours.recvIds, listKeys(fdOf(client)).length], [[101], 1]);
});

test("PeerKeys: a rotation that the peer does not follow can be given up, and both keys stay", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const { ours, theirs, connect } = await twoEnds(context);
  const ends = await connect();
  // Only our end has key 2: what asks for it is not followed, and nothing is lost
  ours.add(withoutPeer(keyPair(2, "key 2").client));
  const giveUp = new AbortController();
  const rotation = ours.rotate(102, { signal: giveUp.signal, pollMilliseconds: 1 });
  await exchange(ends, "asked for in vain");
  giveUp.abort();
  await assert.rejects(rotation, { name: "AbortError" });
  assert.deepEqual([ours.recvIds, ours.preferred, readInfo(fdOf(ends.client)).currentKey], [[101, 102], 102, 1]);
  ours.prefer(101);
  await exchange(ends, "as before");
  assert.ok(ours.isSettled());
  assert.equal(theirs.recvIds.length, 1);
});

test("PeerKeys: connections and servers that have ended are forgotten", { ...onKernel, ...limits }, async (context) => {
  const { server, ours, theirs, connect } = await twoEnds(context);
  const { client } = await connect();
  client.destroy();
  assert.deepEqual(ours.connections, []);
  await until(() => theirs.connections.length === 0 || theirs.connections[0]?.readableEnded === true);
  server.close();
  for (const socket of theirs.connections) socket.destroy();
  addAtBothEnds(ours, theirs, 2);
  ours.remove(101);
  assert.deepEqual(ours.recvIds, [102]);
  assert.equal(ours.preferred, 102);
});

test("PeerKeys: a connection that was opened without TCP-AO is refused", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const server = createServer();
  context.after(() => server.close());
  await listenTcpAo(server, { host: HOST, port: 0, keys: [] });
  const accepting = once(server, "connection");
  const plain = await connectTcpAo({ host: HOST, port: portOf(server), keys: [] });
  const [accepted] = (await accepting) as [Socket];
  context.after(() => [plain, accepted].map((socket) => socket.destroy()));
  const keys = new PeerKeys({ peer: HOST });
  keys.add(withoutPeer(keyPair(1, "late").server));
  assert.throws(() => keys.accept(accepted), refusedWith("connectionNotAuthenticated"));
  assert.deepEqual(keys.connections, []);
});

test("listenTcpAo: two listeners share a port when the IPv6 one leaves IPv4 alone", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const [six, four] = [createServer(), createServer()];
  context.after(() => [six, four].map((server) => server.close()));
  await listenTcpAo(six, { host: "::", port: 0, keys: [], ipv6Only: true });
  await listenTcpAo(four, { host: "0.0.0.0", port: portOf(six), keys: [keyPair(1, "x").server] });
  updateInfo(fdOf(four), { isRequired: true });
  assert.equal(listKeys(fdOf(four)).length, 1);
});

test("a device that is not there is noSuchDevice", { ...onLinux, ...limits }, async () => {
  for (const device of ["karp-no-device", "", "a-name-that-is-far-too-long"]) {
    assert.throws(() => interfaceIndexOf(device), refusedWith("noSuchDevice"));
    await assert.rejects(connectTcpAo({ host: HOST, port: 9, keys: [], device }), refusedWith("noSuchDevice"));
    await assert.rejects(
      listenTcpAo(createServer(), { host: HOST, port: 0, keys: [], device }),
      refusedWith("noSuchDevice"),
    );
  }
  assert.equal(interfaceIndexOf("lo"), 1);
});

async function portsThatAreFree(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  for (const server of servers) await once(server.listen(0, HOST), "listening");
  const ports = servers.map(portOf);
  for (const server of servers) await once(server.close(), "close");
  return ports;
}
