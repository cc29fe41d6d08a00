import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import {
  addKey,
  connectTcpAo,
  deleteKey,
  describeSocket,
  destroySocket,
  interfaceIndexOf,
  type KernelMkt,
  LinuxTcpAoError,
  listKeys,
  listTcpSockets,
  readInfo,
  updateInfo,
} from "../../linux/index.ts";
import { Foreigner, findForeign, takeForeign } from "./foreignSupport.ts";
import { fdOf, keyPair, onKernel, onKernelWithDevices, until } from "./kernelSupport.ts";

const limits = { timeout: 30_000 };

/** Sends `text` and waits for its echo. */
async function echo(socket: Socket, text: string): Promise<void> {
  socket.write(text);
  const [data] = (await once(socket, "data")) as [Buffer];
  assert.equal(data.toString(), text);
}

async function keyedConnection(
  context: TestContext,
  options: { readonly host: string; readonly port: number; readonly device?: string },
  keys: readonly KernelMkt[],
): Promise<Socket> {
  const socket = await connectTcpAo({ ...options, keys });
  context.after(() => socket.destroy());
  return socket;
}

const routes = [
  { name: "IPv4", listenOn: "127.0.0.1", host: "127.0.0.1", domain: "ipv4" },
  { name: "IPv6", listenOn: "::1", host: "::1", domain: "ipv6" },
  { name: "IPv4 on an IPv6 listener", listenOn: "::", host: "127.0.0.1", domain: "ipv6" },
] as const;
for (const { name, listenOn, host, domain } of routes) {
  test(`a program that knows no TCP-AO is keyed from outside, and rolled over: ${name}`, {
    ...onKernel,
    ...limits,
  }, async (context) => {
    const foreigner = new Foreigner(context);
    const port = await foreigner.listen(listenOn);
    const [first, second] = [keyPair(1, "first", { peer: host }), keyPair(2, "second", { peer: host })];
    const listener = takeForeign(context, foreigner.pid, port, "listen");
    addKey(listener, first.server);
    const client = await keyedConnection(context, { host, port }, [first.client]);
    await echo(client, "under key 1");
    const accepted = takeForeign(context, foreigner.pid, port, "established");
    assert.equal(describeSocket(accepted).domain, domain);
    assert.deepEqual([listKeys(accepted)[0]?.peer, readInfo(accepted).currentKey], [host, 101]);
    // A rollover: both ends add, both ask, both follow, both delete
    for (const fd of [listener, accepted]) addKey(fd, second.server);
    addKey(fdOf(client), second.client);
    updateInfo(accepted, { acceptsIcmps: true });
    updateInfo(accepted, { rnextKey: second.server.recvId });
    updateInfo(fdOf(client), { rnextKey: second.client.recvId });
    await echo(client, "asked for");
    await echo(client, "under key 2");
    const { currentKey, rnextKey, acceptsIcmps, counters } = readInfo(accepted);
    assert.deepEqual([currentKey, rnextKey, acceptsIcmps], [102, 2, true]);
    for (const fd of [listener, accepted]) deleteKey(fd, first.server);
    deleteKey(fdOf(client), first.client);
    await echo(client, "key 1 is gone");
    assert.deepEqual(
      [listener, accepted].map((fd) => listKeys(fd).map(({ sendId, good }) => [sendId, good > 0n])),
      [[[102, false]], [[102, true]]],
    );
    assert.equal(counters.bad + counters.keyNotFound + counters.required, 0n);
  });
}

test("an unsigned connection stands until it is ended from outside; the next one is refused", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const foreigner = new Foreigner(context);
  const port = await foreigner.listen("127.0.0.1");
  const early = connect(port, "127.0.0.1");
  await once(early, "connect");
  await echo(early, "unsigned");
  const listener = takeForeign(context, foreigner.pid, port, "listen");
  addKey(listener, keyPair(1, "late").server);
  await echo(early, "and it stays");
  const { socket } = findForeign(foreigner.pid, port, "established");
  const accepted = takeForeign(context, foreigner.pid, port, "established");
  const isUnsigned = (error: unknown): boolean =>
    error instanceof LinuxTcpAoError && error.code === "connectionNotAuthenticated";
  assert.throws(() => addKey(accepted, keyPair(1, "late").server), isUnsigned);
  const ended = once(early, "error");
  destroySocket(socket);
  await ended;
  const again = connect(port, "127.0.0.1");
  context.after(() => again.destroy());
  again.on("error", () => undefined);
  await until(() => readInfo(listener).counters.required > 0n);
  assert.ok(again.connecting);
  // Its end of the attempt has no peer's name yet, and is the same socket
  const { socket: listed } = findForeign(process.pid, port, "syn-sent");
  const attempt = describeSocket(takeForeign(context, process.pid, port, "syn-sent"));
  assert.deepEqual([attempt.remoteAddress, attempt.localPort], [undefined, listed.localPort]);
});

test("a keyed connection ends by destroySocket, at both ends: the RST is signed", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const foreigner = new Foreigner(context);
  const port = await foreigner.listen("127.0.0.1");
  const { client: ours, server: theirs } = keyPair(1, "revoked");
  addKey(takeForeign(context, foreigner.pid, port, "listen"), theirs);
  const client = await keyedConnection(context, { host: "127.0.0.1", port }, [ours]);
  await echo(client, "up");
  const ended = once(client, "error");
  destroySocket(findForeign(foreigner.pid, port, "established").socket);
  const [error] = (await ended) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");
});

test("an IPv6-only listener is told from others: the kernel takes keys of IPv4 peers there, in vain", {
  ...onKernel,
  ...limits,
}, async (context) => {
  const foreigner = new Foreigner(context);
  const port = await foreigner.listen("::1");
  assert.equal(findForeign(foreigner.pid, port, "listen").socket.isIpv6Only, true);
  const listener = takeForeign(context, foreigner.pid, port, "listen");
  addKey(listener, keyPair(1, "x").server);
  assert.equal(listKeys(listener)[0]?.peer, "127.0.0.1");
});

for (const { family, address, prefix } of [
  { family: "IPv4", address: "10.99.0.1", prefix: 32 },
  { family: "IPv6", address: "2001:db8:99::1", prefix: 128 },
]) {
  test(`in a VRF: listed with its device, keyed with its index, told from other VRFs: ${family}`, {
    ...onKernelWithDevices,
    ...limits,
  }, async (context) => {
    const [red, blue] = ["karp-red", "karp-blue"];
    for (const [index, device] of [red, blue].entries()) {
      execFileSync("ip", ["link", "add", device, "type", "vrf", "table", String(7300 + index)]);
      context.after(() => execFileSync("ip", ["link", "del", device]));
      execFileSync("ip", ["link", "set", device, "up"]);
      execFileSync("ip", ["addr", "add", `${address}/${prefix}`, "dev", device]);
    }
    const foreigner = new Foreigner(context);
    const ports = { red: await foreigner.listen(address, red), blue: await foreigner.listen(address, blue) };
    const ifindex = interfaceIndexOf(red);
    const listener = takeForeign(context, foreigner.pid, ports.red, "listen");
    assert.equal(describeSocket(listener).interfaceIndex, ifindex);
    const { client, server } = keyPair(1, "red only", { peer: address, ifindex });
    addKey(listener, server);
    const socket = await keyedConnection(context, { host: address, port: ports.red, device: red }, [client]);
    await echo(socket, "in the VRF");
    const sockets = listTcpSockets({ port: ports.red });
    assert.deepEqual(
      sockets.map(({ interfaceIndex }) => interfaceIndex),
      [ifindex, ifindex, ifindex],
    );
    const accepted = takeForeign(context, foreigner.pid, ports.red, "established");
    assert.deepEqual([listKeys(accepted)[0]?.ifindex, listKeys(accepted)[0]?.sendId], [ifindex, 101]);
    const other = takeForeign(context, foreigner.pid, ports.blue, "listen");
    assert.equal(describeSocket(other).interfaceIndex, interfaceIndexOf(blue));
    // The kernel takes a key for one VRF on a socket of another, where it guards nothing
    addKey(other, server);
    const inBlue = { host: address, port: ports.blue, device: blue };
    const unsigned = await keyedConnection(context, inBlue, []);
    await echo(unsigned, "unsigned");
    // A key that names no VRF holds in all
    const anywhere = keyPair(2, "any VRF", { peer: address });
    addKey(other, anywhere.server);
    await echo(await keyedConnection(context, inBlue, [anywhere.client]), "signed");
    const ended = once(socket, "error");
    destroySocket(findForeign(foreigner.pid, ports.red, "established").socket);
    await ended;
  });
}

test("link-local addresses: listed, keyed and connected through their device", {
  ...onKernelWithDevices,
  ...limits,
}, async (context) => {
  const [device, host] = ["karp-link", "fe80::99"];
  execFileSync("ip", ["link", "add", device, "type", "dummy"]);
  context.after(() => execFileSync("ip", ["link", "del", device]));
  execFileSync("ip", ["link", "set", device, "up"]);
  execFileSync("ip", ["addr", "add", `${host}/64`, "dev", device, "nodad"]);
  const foreigner = new Foreigner(context);
  const port = await foreigner.listen(host, device);
  const { client, server } = keyPair(1, "on the link", { peer: host });
  addKey(takeForeign(context, foreigner.pid, port, "listen"), server);
  const socket = await keyedConnection(context, { host, port, device }, [client]);
  await echo(socket, "on the link");
  const { socket: accepted } = findForeign(foreigner.pid, port, "established");
  assert.deepEqual([accepted.remoteAddress, accepted.interfaceIndex], [host, interfaceIndexOf(device)]);
  const ended = once(socket, "error");
  destroySocket(accepted);
  await ended;
});
