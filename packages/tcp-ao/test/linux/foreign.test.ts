import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import {
  closeSocket,
  describeSocket,
  destroySocket,
  duplicateDescriptor,
  duplicateSocket,
  findSocketHolders,
  type KernelSocket,
  LinuxTcpAoError,
  type LinuxTcpAoErrorCode,
  listTcpSockets,
} from "../../linux/index.ts";
import { libc } from "../../linux/libc.ts";
import { Foreigner, findForeign, hasIpv6, onLinux, onLinuxAsRoot, openDescriptors } from "./foreignSupport.ts";

const limits = { timeout: 30_000 };

function refusedWith(code: LinuxTcpAoErrorCode, errno?: string) {
  return (error: unknown): boolean => error instanceof LinuxTcpAoError && error.code === code && error.errno === errno;
}

async function connected(context: TestContext, port: number, host = "127.0.0.1"): Promise<Socket> {
  const socket = connect(port, host);
  context.after(() => socket.destroy());
  await once(socket, "connect");
  // The foreigner has accepted it when it echoes
  socket.write("hello");
  await once(socket, "data");
  return socket;
}

const routes = [
  { name: "IPv4", listenOn: "127.0.0.1", host: "127.0.0.1", domain: "ipv4", needs: onLinux },
  { name: "IPv6", listenOn: "::1", host: "::1", domain: "ipv6", needs: hasIpv6 ? onLinux : { skip: "no IPv6" } },
  {
    name: "IPv4 on an IPv6 listener",
    listenOn: "::",
    host: "127.0.0.1",
    domain: "ipv6",
    needs: hasIpv6 ? onLinux : { skip: "no IPv6" },
  },
] as const;
for (const { name, listenOn, host, domain, needs } of routes) {
  test(`another process's listener and connection are listed, found and duplicated: ${name}`, {
    ...needs,
    ...limits,
  }, async (context) => {
    const foreigner = new Foreigner(context);
    const port = await foreigner.listen(listenOn);
    const client = await connected(context, port, host);
    const listener = findForeign(foreigner.pid, port, "listen");
    const { cookie: _, inode: __, uid, isIpv6Only, ...listening } = listener.socket;
    assert.deepEqual(listening, {
      domain,
      state: "listen",
      localAddress: listenOn,
      localPort: port,
      remoteAddress: domain === "ipv4" ? "0.0.0.0" : "::",
      remotePort: 0,
      interfaceIndex: 0,
    });
    // The kernel makes a listener IPv6-only when it is bound to an address that is not "::"
    assert.deepEqual([uid, isIpv6Only], [process.getuid?.(), domain === "ipv4" ? undefined : listenOn !== "::"]);
    const accepted = findForeign(foreigner.pid, port, "established");
    assert.deepEqual(
      [accepted.socket.domain, accepted.socket.localAddress, accepted.socket.localPort],
      [domain, host, port],
    );
    assert.deepEqual([accepted.socket.remoteAddress, accepted.socket.remotePort], [host, client.localPort]);
    for (const { socket, holder } of [listener, accepted]) {
      const fd = duplicateSocket(holder, socket);
      context.after(() => closeSocket(fd));
      const found = describeSocket(fd);
      assert.deepEqual([found.cookie, found.domain, found.type, found.protocol], [socket.cookie, domain, "stream", 6]);
      assert.deepEqual([found.localAddress, found.localPort], [socket.localAddress, port]);
    }
  });
}

test("a descriptor that is not the expected socket is closed again and refused", {
  ...onLinux,
  ...limits,
}, async (context) => {
  const foreigner = new Foreigner(context);
  const port = await foreigner.listen("127.0.0.1");
  const client = await connected(context, port);
  const { socket, holder } = findForeign(foreigner.pid, port, "established");
  const before = openDescriptors();
  const changes: Partial<KernelSocket>[] = [
    { cookie: socket.cookie + 1n },
    { domain: "ipv6" },
    { localAddress: "127.0.0.2" },
    { localPort: port + 1 },
    { remoteAddress: "127.0.0.2" },
    { remotePort: (client.localPort ?? 0) + 1 },
    { interfaceIndex: 1 },
  ];
  for (const change of changes) {
    const expected = { ...socket, ...change };
    assert.throws(() => duplicateSocket(holder, expected), refusedWith("socketChanged"), Object.keys(change).join());
  }
  const listener = findForeign(foreigner.pid, port, "listen");
  assert.throws(() => duplicateSocket(holder, listener.socket), refusedWith("socketChanged"), "the process reused it");
  // Its standard input is no socket
  const { pid } = holder;
  assert.throws(() => duplicateSocket({ pid, fd: 0 }, socket), refusedWith("socketChanged", "ENOTSOCK"));
  assert.throws(() => duplicateSocket({ pid, fd: 9999 }, socket), refusedWith("badDescriptor", "EBADF"));
  assert.equal(openDescriptors(), before, "nothing is left open");
});

test("a process that has ended, or is no process, is processGone", { ...onLinux, ...limits }, async (context) => {
  const foreigner = new Foreigner(context);
  const port = await foreigner.listen("127.0.0.1");
  const { socket, holder } = findForeign(foreigner.pid, port, "listen");
  await foreigner.end();
  assert.throws(() => duplicateSocket(holder, socket), refusedWith("processGone", "ESRCH"));
  assert.equal(findSocketHolders(new Set([socket.inode])).size, 0);
});

test("an ordinary user takes nothing from root's processes", { ...onLinuxAsRoot, ...limits }, async (context) => {
  const [owner, thief] = [new Foreigner(context), new Foreigner(context)];
  const port = await owner.listen("127.0.0.1");
  const { holder } = findForeign(owner.pid, port, "listen");
  const { failure } = await thief.obey({ order: "steal", ...holder });
  assert.equal(failure, "notPermitted EPERM");
});

test("a duplicate can be had by thread", { ...onLinux, ...limits }, (context) => {
  // The main thread's id is that of the process
  const take = () => duplicateDescriptor(process.pid, 0, { thread: true });
  let fd: number;
  try {
    fd = take();
  } catch (error) {
    assert.ok(error instanceof LinuxTcpAoError && error.errno === "EINVAL");
    return context.skip("needs Linux 6.9");
  }
  closeSocket(fd);
});

test("for whom a listener of another process has a TCP MD5 key is told to whoever asks, and may", {
  ...onLinuxAsRoot,
  ...limits,
}, async (context) => {
  const foreigner = new Foreigner(context);
  const port = await foreigner.listen("127.0.0.1");
  const { holder, socket } = findForeign(foreigner.pid, port, "listen");
  const fd = duplicateSocket(holder, socket);
  context.after(() => closeSocket(fd));
  // struct tcp_md5sig: sockaddr_storage[128] flags:u8 prefix length:u8 key length:u16 ifindex:s32 key[80]
  const md5 = new Uint8Array(216);
  md5.set([2, 0, 0, 0, 192, 0, 2, 7]);
  md5.set([0, 0, 6, 0], 128);
  md5.set(new TextEncoder().encode("secret"), 136);
  libc().setsockopt("TCP_AO_ADD_KEY", fd, 6, 14, md5);
  const [asked] = listTcpSockets({ port, withMd5Peers: true });
  assert.deepEqual(asked?.md5Peers, [{ address: "192.0.2.7", prefixLength: 32 }]);
  assert.equal(listTcpSockets({ port })[0]?.md5Peers, undefined);
});

test("destroySocket ends a connection, for both ends and at once", { ...onLinuxAsRoot, ...limits }, async (context) => {
  const foreigner = new Foreigner(context);
  const port = await foreigner.listen("127.0.0.1");
  const [client, other] = [await connected(context, port), await connected(context, port)];
  const sockets = listTcpSockets({ port });
  const accepted = sockets.find(({ remotePort }) => remotePort === client.localPort);
  assert.ok(accepted);
  const impostor = { ...accepted, cookie: accepted.cookie + 1_000_000n };
  assert.throws(() => destroySocket(impostor), refusedWith("socketGone", "ENOENT"));
  assert.equal(listTcpSockets({ port }).length, 5, "a wrong cookie ends nothing");
  const ended = once(client, "error");
  destroySocket(accepted);
  const [error] = (await ended) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");
  assert.throws(() => destroySocket(accepted), refusedWith("socketGone", "ENOENT"));
  other.write("still there");
  const [echoed] = (await once(other, "data")) as [Buffer];
  assert.equal(echoed.toString(), "still there");
});

for (const { name, listenOn, host, needs } of routes) {
  test(`destroySocket finds listeners and connections of its family: ${name}`, {
    ...needs,
    ...("skip" in needs ? {} : onLinuxAsRoot),
    ...limits,
  }, async (context) => {
    const foreigner = new Foreigner(context);
    const port = await foreigner.listen(listenOn);
    const client = await connected(context, port, host);
    const ended = once(client, "error");
    destroySocket(findForeign(foreigner.pid, port, "established").socket);
    await ended;
    destroySocket(findForeign(foreigner.pid, port, "listen").socket);
    assert.deepEqual(listTcpSockets({ port }), []);
  });
}

test("a table of many datagrams is read whole", { ...onLinux, timeout: 60_000 }, async (context) => {
  const accepted: Socket[] = [];
  const server = createServer((socket) => accepted.push(socket));
  await once(server.listen(0, "127.0.0.1", 512), "listening");
  const { port } = server.address() as { port: number };
  const clients = await Promise.all(
    Array.from({ length: 400 }, async () => {
      const client = connect(port, "127.0.0.1");
      await once(client, "connect");
      return client;
    }),
  );
  context.after(() => {
    for (const socket of [...clients, ...accepted]) socket.destroy();
    server.close();
  });
  const listed = listTcpSockets({ port });
  const ports = new Set(listed.flatMap(({ localPort, remotePort }) => [localPort, remotePort]));
  for (const { localPort } of clients) assert.ok(localPort !== undefined && ports.has(localPort));
  assert.equal(listed.length, 1 + 2 * clients.length);
  const all = new Set(listTcpSockets().map(({ cookie }) => cookie));
  for (const { cookie } of listed) assert.ok(all.has(cookie), "the filter adds nothing");
});

test("a port that is none is refused; one that nobody has gives nothing", onLinux, () => {
  for (const port of [0, -1, 65_536, 1.5]) {
    assert.throws(() => listTcpSockets({ port }), refusedWith("invalidArgument"));
  }
  assert.deepEqual(listTcpSockets({ port: 9 }), []);
  assert.equal(findSocketHolders(new Set()).size, 0);
});

test("describeSocket: what is closed, not connected, a datagram, or of another family", onLinux, (context) => {
  const open = (domain: number, type: number): number => {
    const fd = libc().socket(domain, type, 0);
    context.after(() => closeSocket(fd));
    return fd;
  };
  const [AF_UNIX, AF_INET, SOCK_STREAM, SOCK_DGRAM, IPPROTO_UDP] = [1, 2, 1, 2, 17];
  assert.throws(() => describeSocket(1 << 20), refusedWith("badDescriptor", "EBADF"));
  const { cookie, ...fresh } = describeSocket(open(AF_INET, SOCK_STREAM));
  assert.ok(cookie > 0n);
  const unbound = { domain: "ipv4", localAddress: "0.0.0.0", localPort: 0, interfaceIndex: 0 };
  assert.deepEqual(fresh, { ...unbound, type: "stream", protocol: 6 });
  const { cookie: _, ...datagrams } = describeSocket(open(AF_INET, SOCK_DGRAM));
  assert.deepEqual(datagrams, { ...unbound, type: "dgram", protocol: IPPROTO_UDP });
  const local = describeSocket(open(AF_UNIX, SOCK_STREAM));
  assert.deepEqual([local.domain, local.localAddress], ["other", undefined]);
});
