import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import {
  addKey,
  closeSocket,
  connectTcpAo,
  deleteKey,
  type KernelMkt,
  keyListener,
  LinuxTcpAoError,
  type LinuxTcpAoErrorCode,
  listKeys,
  openSocket,
  probeKernelTcpAo,
  readInfo,
  readKeys,
  updateInfo,
} from "../../linux/index.ts";
import { libc } from "../../linux/libc.ts";
import { encodeAdd } from "../../linux/structs.ts";
import {
  aesCmacPrf128Key,
  type MacAlgorithm,
  parseSegment,
  type SocketPair,
  TcpAoEndpoint,
  type TcpSegment,
} from "../../src/index.ts";
import { crypto, toHex, unwrap } from "../support.ts";
import {
  capture,
  connection,
  exchange,
  fdOf,
  keyPair,
  knock,
  listen,
  onKernel,
  onKernelAsRoot,
  onKernelWithDevices,
  portOf,
  until,
} from "./kernelSupport.ts";

const algorithms: readonly MacAlgorithm[] = ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128"];
const limits = { timeout: 30_000 };

function refusedWith(code: LinuxTcpAoErrorCode, errno: string) {
  return (error: unknown): boolean => error instanceof LinuxTcpAoError && error.code === code && error.errno === errno;
}

function scratch(context: { after(close: () => void): void }, domain: "ipv4" | "ipv6" = "ipv4"): number {
  const fd = openSocket(domain);
  context.after(() => closeSocket(fd));
  return fd;
}

test("the kernel has all three algorithms", { ...onKernel, ...limits }, () => {
  assert.deepEqual(probeKernelTcpAo(), { supported: true, algorithms });
});

const routes = [
  { name: "IPv4", listenOn: "127.0.0.1", host: "127.0.0.1" },
  { name: "IPv6", listenOn: "::1", host: "::1" },
  { name: "IPv4 on a dual-stack listener", listenOn: "::", host: "127.0.0.1" },
];
for (const algorithm of algorithms) {
  for (const { name, listenOn, host } of routes) {
    for (const coversTcpOptions of [true, false]) {
      const options = coversTcpOptions ? "with" : "without";
      test(`two sockets exchange data: ${algorithm}, ${name}, ${options} TCP options`, {
        ...onKernel,
        ...limits,
      }, async (context) => {
        const { client, server } = keyPair(1, "a master key", { algorithm, coversTcpOptions, peer: host });
        const ends = await connection(context, { client: [client], server: [server] }, { listenOn, host });
        await exchange(ends, "keepalive");
        const [key, ...others] = listKeys(fdOf(ends.client));
        assert.ok(key && others.length === 0);
        assert.deepEqual([key.peer, key.algorithm, key.coversTcpOptions], [host, algorithm, coversTcpOptions]);
        // For AES-128-CMAC the kernel keeps the 16 octets that RFC 5926 section 3.1.1.2 makes of any other length
        assert.equal(key.keyLengthBytes, algorithm === "aes-128-cmac-96" ? 16 : "a master key".length);
        assert.equal(key.macLengthBytes, algorithm === "hmac-sha-256-128" ? 16 : 12);
        assert.ok(key.isCurrent && key.isRnext && key.good > 0n && key.bad === 0n);
        assert.equal(listKeys(fdOf(ends.accepted))[0]?.peer, host, "accepted sockets inherit the key of their peer");
        const { currentKey, rnextKey, counters } = readInfo(fdOf(ends.accepted));
        assert.deepEqual([currentKey, rnextKey], [101, 1]);
        assert.equal(counters.bad + counters.keyNotFound + counters.required, 0n);
      });
    }
  }
}

test("the kernel hands out the octets that it keeps: of AES-128-CMAC those of RFC 4615 section 3, of HMAC what it was given", {
  ...onKernel,
  ...limits,
}, (context) => {
  const fd = scratch(context);
  const secrets = ["16 octets of key", "a key of 18 octets", "ten octets"];
  const given = algorithms.flatMap((algorithm) => secrets.map((secret) => ({ algorithm, secret })));
  for (const [id, { algorithm, secret }] of given.entries()) addKey(fd, keyPair(id, secret, { algorithm }).client);
  const lent: Uint8Array[] = [];
  const read = readKeys(fd, ({ sendId }, octets) => {
    lent.push(octets);
    return [sendId, toHex(octets)] as const;
  });
  const expected = given.map(({ algorithm, secret }, id) => {
    const octets = new TextEncoder().encode(secret);
    return [id, toHex(algorithm === "aes-128-cmac-96" ? aesCmacPrf128Key(crypto, octets) : octets)];
  });
  assert.deepEqual(
    read.toSorted(([one], [other]) => one - other),
    expected,
  );
  assert.ok(lent.length === given.length && lent.flatMap((octets) => [...octets]).every((octet) => octet === 0));
});

test("rollover: add key 2, move rnext_key, see current_key follow, delete key 1 (RFC 5925 section 6.1)", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const first = keyPair(1, "first key");
  const second = keyPair(2, "second key");
  const ends = await connection(context, { client: [first.client], server: [first.server] });
  const [client, accepted, listener] = [fdOf(ends.client), fdOf(ends.accepted), fdOf(ends.server)];
  await exchange(ends, "under key 1");
  addKey(client, second.client);
  for (const fd of [accepted, listener]) addKey(fd, second.server);
  await exchange(ends, "still under key 1");
  assert.deepEqual([readInfo(client).currentKey, readInfo(accepted).currentKey], [1, 101]);
  // Only the client asks: the server's current_key follows, its own does not
  updateInfo(client, { rnextKey: 102 });
  await exchange(ends, "server to key 2");
  assert.deepEqual([readInfo(client).currentKey, readInfo(accepted).currentKey], [1, 102]);
  assert.throws(() => deleteKey(accepted, first.server), refusedWith("keyInUse", "EBUSY"), "it is rnext_key");
  updateInfo(accepted, { rnextKey: 2 });
  await exchange(ends, "client to key 2");
  assert.deepEqual([readInfo(client).currentKey, readInfo(accepted).currentKey], [2, 102]);
  deleteKey(client, first.client);
  for (const fd of [accepted, listener]) deleteKey(fd, first.server);
  await exchange(ends, "under key 2");
  assert.deepEqual(
    listKeys(client).map(({ sendId }) => sendId),
    [2],
  );
  for (const fd of [client, accepted]) {
    const { bad, keyNotFound, required } = readInfo(fd).counters;
    assert.equal(bad + keyNotFound + required, 0n);
  }
});

test("a current key can be deleted when its replacement is named", { ...onKernel, ...limits }, async (context) => {
  const [first, second] = [keyPair(1, "first key"), keyPair(2, "second key")];
  const ends = await connection(context, {
    client: [first.client, second.client],
    server: [first.server, second.server],
  });
  const client = fdOf(ends.client);
  const old = listKeys(client).find(({ isCurrent }) => isCurrent);
  assert.ok(old);
  const successor = old.sendId === 1 ? second.client : first.client;
  assert.throws(() => deleteKey(client, old), refusedWith("keyInUse", "EBUSY"));
  deleteKey(client, { ...old, newCurrent: successor.sendId, newRnext: successor.recvId });
  const { currentKey, rnextKey } = readInfo(client);
  assert.deepEqual([currentKey, rnextKey], [successor.sendId, successor.recvId]);
  await exchange(ends, "under the successor");
});

test("a wrong key: SYNs are not answered, and counted as bad", { ...onKernel, ...limits }, async (context) => {
  const server = await listen(context, [keyPair(1, "right").server]);
  const isBad = () => (listKeys(fdOf(server))[0]?.bad ?? 0n) > 0n;
  assert.equal(await knock(portOf(server), [keyPair(1, "wrong").client], isBad), "unanswered");
  assert.ok(readInfo(fdOf(server)).counters.bad > 0n);
});

test("a missing key: SYNs are not answered, and counted as key not found", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const server = await listen(context, [keyPair(1, "right").server]);
  const isMissed = () => readInfo(fdOf(server)).counters.keyNotFound > 0n;
  assert.equal(await knock(portOf(server), [keyPair(2, "right").client], isMissed), "unanswered");
});

test("an unsigned SYN to a peer with a key is refused, and counted as required", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const server = await listen(context, [keyPair(1, "right").server]);
  const plain = connect(portOf(server), "127.0.0.1");
  context.after(() => plain.destroy());
  let isConnected = false;
  plain.on("connect", () => {
    isConnected = true;
  });
  plain.on("error", () => undefined);
  await until(() => readInfo(fdOf(server)).counters.required > 0n);
  assert.ok(!isConnected);
});

test("a listener with a key for another peer takes plain connections, unless TCP-AO is required", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const server = await listen(context, [keyPair(1, "x", { peer: "192.0.2.1" }).server]);
  const first = connect(portOf(server), "127.0.0.1");
  await once(first, "connect");
  first.destroy();
  updateInfo(fdOf(server), { isRequired: true });
  const second = connect(portOf(server), "127.0.0.1");
  context.after(() => second.destroy());
  second.on("error", () => undefined);
  await until(() => readInfo(fdOf(server)).counters.required > 0n);
  assert.ok(second.connecting);
});

test("updateInfo writes only what it is told to: required and ICMP flags stay", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const [first, second] = [keyPair(1, "first key"), keyPair(2, "second key")];
  const ends = await connection(context, {
    client: [first.client, second.client],
    server: [first.server, second.server],
  });
  const fd = fdOf(ends.client);
  updateInfo(fd, { isRequired: true, acceptsIcmps: true });
  updateInfo(fd, { rnextKey: 102 });
  updateInfo(fd, { rnextKey: 101, currentKey: 1 });
  const { isRequired, acceptsIcmps, counters } = readInfo(fd);
  assert.deepEqual([isRequired, acceptsIcmps], [true, true]);
  assert.ok(counters.good > 0n, "counters are not cleared");
  updateInfo(fd, { acceptsIcmps: false });
  assert.deepEqual([readInfo(fd).isRequired, readInfo(fd).acceptsIcmps], [true, false]);
});

test("a socket can require TCP-AO before it has a key", { ...onKernel, ...limits }, (context) => {
  const fd = scratch(context);
  assert.throws(() => readInfo(fd), refusedWith("socketHasNoTcpAo", "ENOENT"));
  assert.throws(() => listKeys(fd), refusedWith("socketHasNoTcpAo", "ENOENT"));
  updateInfo(fd, { isRequired: true });
  assert.ok(readInfo(fd).isRequired);
});

test("all keys are listed, 256 for one peer, and what fits into the option memory is told from what does not", {
  ...onKernel,
  ...limits,
}, (context) => {
  const fd = scratch(context);
  const key = (index: number, peer: string): KernelMkt => ({
    ...keyPair(1, "k", { peer }).client,
    sendId: index,
    recvId: 255 - index,
  });
  for (let index = 0; index < 256; index++) addKey(fd, key(index, "10.0.0.1"));
  const listed = listKeys(fd);
  assert.deepEqual(
    listed.map(({ sendId }) => sendId).sort((a, b) => a - b),
    Array.from({ length: 256 }, (_, index) => index),
  );
  assert.ok(listed.every(({ sendId, recvId }) => sendId + recvId === 255));
  const fill = () => {
    for (let peer = 2; peer < 256; peer++)
      for (let index = 0; index < 256; index++) addKey(fd, key(index, `10.0.0.${peer}`));
  };
  assert.throws(fill, refusedWith("optionMemoryExhausted", "ENOMEM"));
  assert.ok(listKeys(fd).length > 256);
});

test("an ID that is taken is EEXIST, and the old key stays (RFC 5925 section 3.1)", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const { client, server } = keyPair(1, "right");
  const ends = await connection(context, { client: [client], server: [server] });
  const other = { ...client, masterKey: new TextEncoder().encode("another") };
  for (const ids of [{}, { sendId: 9 }, { recvId: 9 }]) {
    assert.throws(() => addKey(fdOf(ends.client), { ...other, ...ids }), refusedWith("keyExists", "EEXIST"));
  }
  await exchange(ends, "still the old key");
});

test("a connection without TCP-AO stays so: EISCONN", { ...onKernel, ...limits }, async (context) => {
  const server = createServer();
  context.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const plain = connect(portOf(server), "127.0.0.1");
  context.after(() => plain.destroy());
  await once(plain, "connect");
  assert.throws(
    () => addKey(fdOf(plain), keyPair(1, "late").client),
    refusedWith("connectionNotAuthenticated", "EISCONN"),
  );
});

test("a peer with a TCP MD5 password gets no key: EKEYREJECTED (RFC 5925 section 2.2)", {
  ...onKernel,
  ...limits,
}, (context) => {
  const fd = scratch(context);
  const [SOL_TCP, TCP_MD5SIG] = [6, 14];
  // struct tcp_md5sig: addr[128] flags prefixlen keylen:u16 ifindex:s32 key[80]
  const md5 = new Uint8Array(216);
  md5.set(encodeAdd(keyPair(1, "x").client, "ipv4").subarray(0, 128));
  md5[130] = 3;
  md5.set([1, 2, 3], 136);
  libc().setsockopt("TCP_AO_ADD_KEY", fd, SOL_TCP, TCP_MD5SIG, md5);
  assert.throws(() => addKey(fd, keyPair(1, "x").client), refusedWith("md5Conflict", "EKEYREJECTED"));
  addKey(fd, keyPair(1, "x", { peer: "127.0.0.2" }).client);
});

test("an algorithm that the kernel does not have is ENOENT", { ...onKernel, ...limits }, (context) => {
  const fd = scratch(context);
  const [SOL_TCP, TCP_AO_ADD_KEY] = [6, 38];
  const bytes = encodeAdd(keyPair(1, "x").client, "ipv4");
  bytes.set(new TextEncoder().encode("hmac(nosuchhash)"), 128);
  const add = () => libc().setsockopt("TCP_AO_ADD_KEY", fd, SOL_TCP, TCP_AO_ADD_KEY, bytes);
  assert.throws(add, refusedWith("algorithmUnknown", "ENOENT"));
});

test("a MAC that does not fit into a SYN is EMSGSIZE", { ...onKernel, ...limits }, (context) => {
  const fd = scratch(context);
  const key = keyPair(1, "x", { algorithm: "hmac-sha-256-128", macLengthBytes: 32 }).client;
  assert.throws(() => addKey(fd, key), refusedWith("macTooLong", "EMSGSIZE"));
});

test("a key that is not there is ENOENT, to delete as to prefer", { ...onKernel, ...limits }, (context) => {
  const fd = scratch(context);
  const { client } = keyPair(1, "x");
  addKey(fd, client);
  for (const other of [{ sendId: 2 }, { recvId: 2 }, { peer: "127.0.0.2" }, { prefixLength: 24 }]) {
    assert.throws(() => deleteKey(fd, { ...client, ...other }), refusedWith("keyNotFound", "ENOENT"));
  }
  assert.throws(() => updateInfo(fd, { rnextKey: 7 }), refusedWith("keyNotFound", "ENOENT"));
  deleteKey(fd, client);
  assert.deepEqual(listKeys(fd), []);
});

test("a listener has no current key, and an interface must be a VRF: EINVAL", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const server = await listen(context, [keyPair(1, "x").server]);
  const { server: second } = keyPair(2, "y");
  assert.throws(() => addKey(fdOf(server), { ...second, setsRnext: true }), refusedWith("invalidArgument", "EINVAL"));
  assert.throws(() => updateInfo(fdOf(server), { currentKey: 101 }), refusedWith("invalidArgument", "EINVAL"));
  assert.throws(() => addKey(fdOf(server), { ...second, ifindex: 1 }), refusedWith("invalidArgument", "EINVAL"));
  assert.throws(() => addKey(fdOf(server), { ...second, prefixLength: 33 }), refusedWith("invalidArgument", "EINVAL"));
});

test("a key for a prefix holds for its addresses; one for all addresses has prefix 0", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const net = keyPair(1, "shared", { peer: "127.0.0.0", prefixLength: 8 });
  const ends = await connection(context, { client: [net.client], server: [net.server] });
  await exchange(ends, "by prefix");
  assert.deepEqual(
    [listKeys(fdOf(ends.client))[0]?.peer, listKeys(fdOf(ends.client))[0]?.prefixLength],
    ["127.0.0.0", 8],
  );
  const fd = scratch(context, "ipv6");
  addKey(fd, keyPair(1, "any", { peer: "::", prefixLength: 0 }).client);
  assert.equal(listKeys(fd)[0]?.prefixLength, 0);
});

test("a key for a VRF names its device", { ...onKernelWithDevices, ...limits }, (context) => {
  const device = "karp-test-vrf";
  execFileSync("ip", ["link", "add", device, "type", "vrf", "table", "7210"]);
  context.after(() => execFileSync("ip", ["link", "del", device]));
  const ifindex = Number(readFileSync(`/sys/class/net/${device}/ifindex`, "utf8"));
  const fd = scratch(context);
  const { client } = keyPair(1, "in the VRF", { ifindex });
  addKey(fd, client);
  addKey(fd, keyPair(2, "in any VRF", { coversTcpOptions: false }).client);
  const listed = listKeys(fd).map((key) => [key.sendId, key.ifindex, key.coversTcpOptions]);
  assert.deepEqual(listed.sort(), [
    [1, ifindex, true],
    [2, undefined, false],
  ]);
  const { ifindex: _, ...anywhere } = client;
  assert.throws(() => deleteKey(fd, anywhere), refusedWith("keyNotFound", "ENOENT"));
  deleteKey(fd, client);
  assert.equal(listKeys(fd).length, 1);
});

test("connectTcpAo keys the first SYN and gives up when told to", { ...onKernel, ...limits }, async (context) => {
  const fdsBefore = scratch(context);
  const server = await listen(context, [keyPair(1, "x").server]);
  const gone = connectTcpAo({
    host: "127.0.0.1",
    port: portOf(server),
    keys: [keyPair(1, "x").client],
    signal: AbortSignal.abort(),
  });
  await assert.rejects(gone, { name: "AbortError" });
  const twice = connectTcpAo({
    host: "127.0.0.1",
    port: portOf(server),
    keys: [keyPair(1, "x").client, keyPair(1, "y").client],
  });
  await assert.rejects(twice, refusedWith("keyExists", "EEXIST"));
  const socket = await connectTcpAo({
    host: "127.0.0.1",
    port: portOf(server),
    localAddress: "127.0.0.1",
    keys: [keyPair(1, "x").client],
  });
  context.after(() => socket.destroy());
  assert.equal(socket.localAddress, "127.0.0.1");
  assert.ok(fdOf(socket) < fdsBefore + 16, "refused attempts leave no descriptor behind");
});

test("keyListener keys a server that listens already, all keys or none", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const server = createServer();
  context.after(() => server.close());
  await once(server.listen(0), "listening");
  const [first, second] = [keyPair(1, "first"), keyPair(2, "second")];
  assert.throws(
    () => keyListener(server, [first.server, second.server, second.server]),
    refusedWith("keyExists", "EEXIST"),
  );
  assert.deepEqual(listKeys(fdOf(server)), []);
  keyListener(server, [first.server, second.server]);
  assert.equal(listKeys(fdOf(server)).length, 2);
  const accepting = once(server, "connection");
  const client = await connectTcpAo({ host: "127.0.0.1", port: portOf(server), keys: [second.client] });
  const [accepted] = await accepting;
  context.after(() => void [client.destroy(), accepted.destroy()]);
  await exchange({ server, client, accepted }, "keyed");
});

for (const algorithm of algorithms) {
  for (const coversTcpOptions of [true, false]) {
    const options = coversTcpOptions ? "with" : "without";
    test(`the endpoint verifies every segment of the kernel: ${algorithm}, ${options} TCP options`, {
      ...onKernelAsRoot,
      ...limits,
    }, async (context) => {
      const wire = capture(context);
      const [first, second] = [
        keyPair(1, "first", { algorithm, coversTcpOptions }),
        keyPair(2, "second", { algorithm, coversTcpOptions }),
      ];
      const ends = await connection(context, { client: [first.client], server: [first.server] });
      await exchange(ends, "under key 1");
      addKey(fdOf(ends.client), second.client);
      addKey(fdOf(ends.accepted), second.server);
      updateInfo(fdOf(ends.client), { rnextKey: 102 });
      updateInfo(fdOf(ends.accepted), { rnextKey: 2 });
      await exchange(ends, "under keys 1 and 2");
      await exchange(ends, "under key 2");
      const clientPort = ends.client.localPort ?? 0;
      const segments = wire
        .packets()
        .map((packet) => unwrap(parseSegment(packet)))
        .filter(({ sourcePort, destinationPort }) => [sourcePort, destinationPort].includes(clientPort));
      const observers = observe(segments, clientPort, [first, second]);
      const seen = new Set<string>();
      for (const { packet, sourcePort } of segments) {
        const verdict = (sourcePort === clientPort ? observers.server : observers.client).receive(packet);
        assert.ok(verdict.kind === "authenticated", JSON.stringify(verdict));
        seen.add(`${sourcePort === clientPort ? "client" : "server"} ${verdict.keyId}`);
      }
      assert.deepEqual([...seen].sort(), ["client 1", "client 2", "server 101", "server 102"]);
    });
  }
}

/** Two endpoints that know the keys and ISNs of a captured connection. */
function observe(segments: readonly TcpSegment[], clientPort: number, keys: readonly ReturnType<typeof keyPair>[]) {
  const syn = segments.find(({ isSyn, isAck }) => isSyn && !isAck);
  const synAck = segments.find(({ isSyn, isAck }) => isSyn && isAck);
  assert.ok(syn && synAck);
  const local = { localAddress: syn.sourceAddress, remoteAddress: synAck.sourceAddress };
  const clientPair: SocketPair = { ...local, localPort: clientPort, remotePort: synAck.sourcePort };
  const serverPair: SocketPair = {
    localAddress: local.remoteAddress,
    remoteAddress: local.localAddress,
    localPort: synAck.sourcePort,
    remotePort: clientPort,
  };
  // The loopback device leaves checksums to nobody
  const client = new TcpAoEndpoint({ crypto, validatesChecksum: false, unmatched: "discard" });
  const server = new TcpAoEndpoint({ crypto, validatesChecksum: false, unmatched: "discard" });
  const any = [{ localAddress: "*", localPort: "*", remoteAddress: "*", remotePort: "*" }] as const;
  for (const key of keys) {
    client.addMkt({ ...key.client, connectionIdentifier: any });
    server.addMkt({ ...key.server, connectionIdentifier: any });
  }
  client.open(clientPair, { localIsn: syn.sequenceNumber, remoteIsn: synAck.sequenceNumber });
  server.open(serverPair, { localIsn: synAck.sequenceNumber, remoteIsn: syn.sequenceNumber });
  return { client, server };
}
