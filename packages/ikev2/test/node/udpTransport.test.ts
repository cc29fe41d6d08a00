import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { ListenError, type ReceivedDatagram, UdpTransport } from "../../node/index.ts";
import { datagramParts, ikeMessageOf } from "../../node/nonEspMarker.ts";
import type { UdpAddress } from "../../src/index.ts";

/** A transport on a port of 127.0.0.1 that was free a moment ago, and what it said. */
class Listener {
  readonly received: ReceivedDatagram[] = [];
  readonly failures: { readonly remote: UdpAddress; readonly error: Error }[] = [];
  readonly transport = new UdpTransport(
    (datagram) => {
      this.received.push(datagram);
      this.#wake?.();
    },
    (remote, error) => {
      this.failures.push({ remote, error });
      this.#wake?.();
    },
  );
  #wake: (() => void) | undefined;

  /** Resolves at the next datagram or failure. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

async function plainSocket(t: TestContext): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket;
}

async function freeAddress(): Promise<UdpAddress> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return { address: "127.0.0.1", port };
}

async function listening(t: TestContext): Promise<Listener & { readonly local: UdpAddress }> {
  const local = await freeAddress();
  const listener = Object.assign(new Listener(), { local });
  await listener.transport.listen([local]);
  t.after(() => listener.transport.close());
  return listener;
}

test("datagrams come with both addresses, and leave from the address that the peer knows (RFC 7296 section 2.11)", async (t) => {
  const listener = await listening(t);
  const { local, transport } = listener;
  const peer = await plainSocket(t);
  const remote = { address: "127.0.0.1", port: peer.address().port };
  const came = listener.next();
  peer.send(Uint8Array.of(1, 2, 3), local.port, local.address);
  await came;
  assert.deepEqual(
    listener.received.map((datagram) => ({ ...datagram, data: [...datagram.data] })),
    [{ local, remote, data: [1, 2, 3] }],
  );
  const answered = once(peer, "message");
  transport.send(local, remote, Uint8Array.of(4, 5));
  const [data, from] = await answered;
  assert.deepEqual([[...data], from.address, from.port], [[4, 5], local.address, local.port]);
});

test("a datagram that cannot be sent is reported, never thrown: port 0, too long, no such socket", async (t) => {
  const listener = await listening(t);
  const { local, transport, failures } = listener;
  // Who is asked to answer a datagram from port 0 has no port to send to
  transport.send(local, { address: "127.0.0.1", port: 0 }, Uint8Array.of(1));
  assert.equal(failures.length, 1);
  const tooLong = listener.next();
  transport.send(local, { address: "127.0.0.1", port: 9 }, new Uint8Array(70_000));
  await tooLong;
  transport.send({ ...local, port: local.port ^ 1 }, { address: "127.0.0.1", port: 9 }, Uint8Array.of(1));
  assert.equal(failures.length, 3);
  assert.match(failures[2]?.error.message ?? "", /no socket is bound/);
});

test("a datagram from port 0 is not for IKE: nobody could answer it (RFC 768)", () => {
  const message = Uint8Array.of(1, 2, 3, 4, 5);
  assert.equal(ikeMessageOf(message, 500, 0), undefined);
  assert.equal(ikeMessageOf(message, 4500, 0), undefined);
  assert.deepEqual(ikeMessageOf(message, 500, 1), message);
});

test("on port 4500 IKE follows the non-ESP marker; ESP and keepalives are not ours (RFC 3948 section 2.2)", () => {
  const message = Uint8Array.of(9, 8, 7);
  const datagram = Uint8Array.from(datagramParts(message, 4500).flatMap((part) => [...part]));
  assert.deepEqual(datagram, Uint8Array.of(0, 0, 0, 0, 9, 8, 7));
  assert.deepEqual(ikeMessageOf(datagram, 4500, 4500), message);
  assert.deepEqual(datagramParts(message, 500), [message]);
  for (const other of [Uint8Array.of(0xff), Uint8Array.of(0, 0, 0, 1, 9, 9), new Uint8Array(4), new Uint8Array(0)]) {
    assert.equal(ikeMessageOf(other, 4500, 4500), undefined);
  }
});

test("a port that is in use: a ListenError that says what to do, and the sockets are the same as before", async (t) => {
  const listener = await listening(t);
  const other = new Listener();
  t.after(() => other.transport.close());
  const free = await freeAddress();
  await assert.rejects(other.transport.listen([free, listener.local]), (error) => {
    assert.ok(error instanceof ListenError);
    assert.equal(error.code, "EADDRINUSE");
    assert.match(error.message, /another program has this port/);
    return true;
  });
  assert.deepEqual(other.transport.addresses, []);
  assert.deepEqual(listener.transport.addresses, [`127.0.0.1:${listener.local.port}`]);
});
