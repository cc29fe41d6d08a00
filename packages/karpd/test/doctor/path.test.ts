import assert from "node:assert/strict";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { type TestContext, test } from "node:test";
import { decodeMessage, encodeMessage, type IkePeer, NotifyType, parseIdentity, Secret } from "@karp/ikev2";
import { probePath } from "../../src/doctor/path.ts";
import { pathLines } from "../../src/doctor/pathLines.ts";

const hasty = { waitMilliseconds: 150, tries: 2 };

function peerAt(port: number, changes: Partial<IkePeer> = {}): IkePeer {
  const identity = parseIdentity("r2.example.net");
  assert.ok(identity);
  const psk = { kind: "psk", secret: new Secret(new Uint8Array(32)) } as const;
  return {
    name: "r2.example.net",
    localIdentity: identity,
    remoteIdentity: identity,
    local: { address: "127.0.0.1", port: 0 },
    remote: { address: "127.0.0.1", port },
    localAuthentication: psk,
    remoteAuthentication: psk,
    suites: [{ encryption: [{ id: 20, keyLengthBits: 128 }], integrity: [], prf: [5], keyExchange: [31] }],
    rekeyAfterSeconds: 1,
    reauthenticateAfterSeconds: 1,
    livenessAfterSeconds: 1,
    ...changes,
  };
}

type Answer = (datagram: Buffer, from: RemoteInfo, socket: Socket) => void;

/** Somebody at a UDP port. */
async function responder(t: TestContext, answer: Answer): Promise<number> {
  const socket = createSocket("udp4");
  socket.on("message", (datagram, from) => answer(datagram, from, socket));
  t.after(() => socket.close());
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return socket.address().port;
}

/** Refuses with this notify, as an IKE responder does. */
const refusing =
  (notifyType: number, data = new Uint8Array(0)): Answer =>
  (datagram, from, socket) => {
    const { header } = decodeMessage(datagram);
    const notify = { kind: "N", protocolId: 0, spi: new Uint8Array(0), notifyType, data } as const;
    socket.send(encodeMessage({ ...header, isInitiator: false, isResponse: true }, [notify]), from.port, from.address);
  };
const wantsX25519 = refusing(NotifyType.INVALID_KE_PAYLOAD, Uint8Array.of(0, 31));

async function diagnosis(peer: IkePeer) {
  const lines = pathLines(peer, await probePath(peer, hasty));
  for (const { todo } of lines) assert.ok(todo.length > 0);
  return lines.map(({ severity, about, text, todo }) => `${severity} ${about}: ${text} -> ${todo}`);
}

test("an IKE responder that takes all sizes", async (t) => {
  const sizes: number[] = [];
  const port = await responder(t, (datagram, from, socket) => {
    sizes.push(datagram.length);
    wantsX25519(datagram, from, socket);
  });
  const lines = await diagnosis(peerAt(port));
  assert.match(
    lines[0] ?? "",
    /^ok path: IKE answers at UDP 127\.0\.0\.1:\d+, asked from 127\.0\.0\.1 port \d+ -> nothing to do$/,
  );
  assert.match(lines[1] ?? "", /^ok IKE suite: there is one in common; the peer takes /);
  assert.match(lines[2] ?? "", /^ok path: packets of 1,400 and 2,900 octets arrive/);
  // IP packets: 20 octets of IPv4 header, 8 of UDP
  assert.deepEqual(sizes.slice(1), [1372, 2872]);
});

test("packets that are too long are dropped on the way", async (t) => {
  const upTo =
    (most: number): Answer =>
    (datagram, from, socket) => {
      if (datagram.length <= most) wantsX25519(datagram, from, socket);
    };
  const tunnel = await diagnosis(peerAt(await responder(t, upTo(1300))));
  assert.match(tunnel.at(-1) ?? "", /^error path: .* those of 1,400 octets do not -> lower the MTU/);
  const port = await responder(t, upTo(1400));
  assert.match(
    (await diagnosis(peerAt(port))).at(-1) ?? "",
    /^warning path: .* 2,900 .* fragments of IP packets are dropped .* -> let fragments of UDP through/,
  );
  const key = { algorithms: [], publicKey: new Uint8Array(0), sign: () => new Uint8Array(0) } as never;
  const certificates = [new Uint8Array(900)];
  const heavy = peerAt(port, { localAuthentication: { kind: "signature", key, certificates } });
  assert.match(
    (await diagnosis(heavy)).at(-1) ?? "",
    /^error path: .* our IKE_AUTH with certificates has about 1,600 ->/,
  );
});

test("nobody there, nobody who answers, and a mirror", async (t) => {
  const silent = await responder(t, () => undefined);
  const [line = "", ...others] = await diagnosis(peerAt(silent));
  assert.match(
    line,
    /^error path: UDP 127\.0\.0\.1:\d+ does not answer .* -> open UDP between .* `remote` of a session/,
  );
  assert.deepEqual(others, []);
  const gone = createSocket("udp4");
  await new Promise<void>((resolve) => gone.bind(0, "127.0.0.1", resolve));
  const { port } = gone.address();
  await new Promise<void>((resolve) => gone.close(resolve));
  assert.match((await diagnosis(peerAt(port)))[0] ?? "", /^error path: nothing receives at .* -> start karp there/);
  const mirror = await responder(t, (datagram, from, socket) => socket.send(datagram, from.port, from.address));
  assert.match((await diagnosis(peerAt(mirror)))[0] ?? "", /^error path: something mirrors packets/);
  const noise = await responder(t, (datagram, from, socket) => {
    socket.send("hello", from.port, from.address);
    wantsX25519(datagram, from, socket);
  });
  assert.match((await diagnosis(peerAt(noise)))[0] ?? "", /^ok path/, "what is no answer is passed over");
});

test("our own end: an address that is not here, and the daemon's port that is taken", async (t) => {
  const port = await responder(t, wantsX25519);
  const elsewhere = peerAt(port, { local: { address: "192.0.2.1", port: 500 } });
  assert.match(
    (await diagnosis(elsewhere))[0] ?? "",
    /^error path: 192\.0\.2\.1 is no address of this machine -> correct `local`/,
  );
  const taken = await responder(t, () => undefined);
  const report = await probePath(peerAt(port, { local: { address: "127.0.0.1", port: taken } }), hasty);
  assert.equal(report.short.kind, "suiteInCommon");
  assert.notEqual(report.sourcePort, taken);
  const silent = peerAt(await responder(t, () => undefined), { local: { address: "127.0.0.1", port: taken } });
  assert.match((await diagnosis(silent))[0] ?? "", /asked from there since port \d+ is taken/);
});

test("no suite in common is said with what to compare; a cookie is followed (RFC 7296 section 2.6)", async (t) => {
  const none = await diagnosis(peerAt(await responder(t, refusing(NotifyType.NO_PROPOSAL_CHOSEN))));
  assert.match(none[1] ?? "", /^error IKE suite: .* -> make `ike:`/);
  const cookie = new Uint8Array(20).fill(9);
  const port = await responder(t, (datagram, from, socket) => {
    const [first] = decodeMessage(datagram).payloads;
    const isCookie = first?.kind === "N" && first.notifyType === NotifyType.COOKIE && first.data[0] === 9;
    (isCookie ? wantsX25519 : refusing(NotifyType.COOKIE, cookie))(datagram, from, socket);
  });
  assert.match((await diagnosis(peerAt(port)))[0] ?? "", /^ok path: IKE answers .* after a cookie/);
  const other = await diagnosis(peerAt(await responder(t, refusing(NotifyType.INVALID_SYNTAX))));
  assert.match(other[1] ?? "", /^warning IKE suite: not known: .* \(notify 7\)/);
});
