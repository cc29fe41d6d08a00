import { once } from "node:events";
import { readSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { connectTcpAo, fdOf, type KernelMkt, listenTcpAo, probeKernelTcpAo } from "../../linux/index.ts";
import { libc } from "../../linux/libc.ts";

const probe = probeKernelTcpAo();

/** Options of a test that needs the kernel's TCP-AO: runs there, is skipped with the reason elsewhere. */
export const onKernel = probe.supported ? {} : { skip: `no kernel TCP-AO: ${probe.reason}` };

/** The same for what also needs root. */
export const onKernelAsRoot =
  probe.supported && process.getuid?.() !== 0 ? { skip: "needs root for a raw socket" } : onKernel;

/** The same for what makes network devices: only where that harms nobody, for example in a guest kernel. */
export const onKernelWithDevices =
  probe.supported && process.env["KARP_TEST_DEVICES"] !== "1"
    ? { skip: "makes a network device; set KARP_TEST_DEVICES=1 where that is welcome" }
    : onKernelAsRoot;

/** An MKT of the client (SendID n, RecvID 100 + n); the server has it with the IDs exchanged. */
export function keyPair(id: number, secret: string, more: Partial<KernelMkt> = {}) {
  const masterKey = new TextEncoder().encode(secret);
  const common = { peer: "127.0.0.1", algorithm: "aes-128-cmac-96", masterKey, ...more } as const;
  const client: KernelMkt = { ...common, sendId: id, recvId: 100 + id };
  const server: KernelMkt = { ...common, sendId: 100 + id, recvId: id };
  return { client, server };
}

/** A server that has `keys` from its first moment, and goes with the test. */
export async function listen(context: TestContext, keys: readonly KernelMkt[], host = "127.0.0.1"): Promise<Server> {
  const server = createServer();
  context.after(() => server.close());
  await listenTcpAo(server, { host, port: 0, keys });
  return server;
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

export interface Connection {
  readonly server: Server;
  /** The client's end and the server's. */
  readonly client: Socket;
  readonly accepted: Socket;
}

/** A connection over the loopback device with these keys at the two ends. */
export async function connection(
  context: TestContext,
  keys: { readonly client: readonly KernelMkt[]; readonly server: readonly KernelMkt[] },
  { listenOn = "127.0.0.1", host = "127.0.0.1" } = {},
): Promise<Connection> {
  const server = await listen(context, keys.server, listenOn);
  const accepting = once(server, "connection");
  const client = await connectTcpAo({ host, port: portOf(server), keys: keys.client });
  const [accepted] = (await accepting) as [Socket];
  context.after(() => {
    client.destroy();
    accepted.destroy();
  });
  return { server, client, accepted };
}

/** Sends `text` both ways and waits until both have it. */
export async function exchange({ client, accepted }: Connection, text: string): Promise<void> {
  for (const [from, to] of [
    [client, accepted],
    [accepted, client],
  ] as const) {
    from.write(text);
    let received = "";
    to.resume();
    while (received.length < text.length) {
      const [chunk] = (await once(to, "data")) as [Buffer];
      received += chunk.toString();
    }
    if (received !== text) throw new Error(`sent ${text}, received ${received}`);
    to.pause();
  }
}

/** Polls until `isTrue`: for what the kernel does by itself. The test's own time-out ends it otherwise. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await setImmediate();
}

/** Tries to connect until `isOver`, then gives up: for SYNs that are not answered. */
export async function knock(
  port: number,
  keys: readonly KernelMkt[],
  isOver: () => boolean,
): Promise<"connected" | "unanswered"> {
  const giveUp = new AbortController();
  const attempt = connectTcpAo({ host: "127.0.0.1", port, keys, signal: giveUp.signal }).then(
    (socket) => {
      socket.destroy();
      return "connected" as const;
    },
    () => "unanswered" as const,
  );
  await until(isOver);
  giveUp.abort();
  return attempt;
}

/** All TCP packets over IPv4 that reach this host from now on; needs root. */
export function capture(context: TestContext): { packets(): readonly Uint8Array[] } {
  const [AF_INET, SOCK_RAW_NONBLOCK, IPPROTO_TCP] = [2, 3 | 0o4000, 6];
  const fd = libc().socket(AF_INET, SOCK_RAW_NONBLOCK, IPPROTO_TCP);
  context.after(() => libc().close(fd));
  const packets: Uint8Array[] = [];
  return {
    packets() {
      for (let packet = read(fd); packet !== undefined; packet = read(fd)) packets.push(packet);
      return packets;
    },
  };
}

function read(fd: number): Uint8Array | undefined {
  const buffer = new Uint8Array(65536);
  try {
    return buffer.slice(0, readSync(fd, buffer));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
    throw error;
  }
}

export { fdOf };
