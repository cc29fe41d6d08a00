import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Secret } from "@karp/ikev2";
import { kernelError } from "../../../tcp-ao/linux/errors.ts";
import type { SessionConfiguration, SessionMode } from "../../src/core/configuration.ts";
import { keptFingerprint } from "../../src/keyer/keptKey.ts";
import { keySocket } from "../../src/keyer/keySocket.ts";
import { Ledger } from "../../src/keyer/ledger.ts";
import { SocketKeyer } from "../../src/keyer/socketKeyer.ts";
import { FakeKernel, FakeSocket, key, REMOTE, statusOf } from "./fakeKernel.ts";
import { session } from "./session.ts";

interface Bench {
  readonly kernel: FakeKernel;
  readonly keyer: SocketKeyer;
  readonly log: string[];
  /** Milliseconds. */
  readonly clock: { now: number };
  /** As after the keyer was killed: only the ledger's file is left. */
  restart(): SocketKeyer;
  /** Not even that. */
  loseLedger(): SocketKeyer;
}

function bench(t: TestContext, mode: SessionMode = "opportunistic", sessions = [session(mode)]): Bench {
  const folder = mkdtempSync(join(tmpdir(), "karp-keyer-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const kernel = new FakeKernel();
  const log: string[] = [];
  const clock = { now: 0 };
  const file = join(folder, "written.json");
  const make = (): SocketKeyer =>
    new SocketKeyer({
      sessions,
      ledger: new Ledger(file, (text) => log.push(text)),
      indexOf: (name) => (name === "red" ? 9 : undefined),
      log: (_, text) => log.push(text),
      kernel,
      now: () => clock.now,
    });
  const loseLedger = (): SocketKeyer => {
    rmSync(file, { force: true });
    return make();
  };
  return { kernel, keyer: make(), log, clock, restart: make, loseLedger };
}

/** A key that somebody typed. */
function operatorsKey(id: number) {
  const masterKey = new TextEncoder().encode("typed by hand");
  return statusOf({ peer: REMOTE, sendId: id, recvId: id, algorithm: "aes-128-cmac-96", masterKey });
}

const listener = (cookie = 1n): FakeSocket => new FakeSocket({ cookie, state: "listen" });
const connection = (cookie = 2n, isSigned = true): FakeSocket =>
  new FakeSocket({ cookie, state: "established" }, isSigned);

test("a rollover: added everywhere, then asked for, then the old one is deleted where nobody uses it", async (t) => {
  const { kernel, keyer } = bench(t);
  const [a, b] = [listener(), connection()];
  kernel.sockets = [a, b];
  assert.deepEqual(await keyer.apply("r2", [key(1, "preferred")]), { kind: "installed" });
  b.use(1);
  assert.deepEqual(await keyer.apply("r2", [key(1, "deprecated"), key(2, "preferred")]), { kind: "installed" });
  assert.deepEqual(kernel.calls.splice(0), ["add 1 1/1", "add 2 1/1", "ask 2 1", "add 1 2/2", "add 2 2/2", "ask 2 2"]);
  b.use(2);
  assert.deepEqual(await keyer.apply("r2", [key(2, "preferred")]), { kind: "installed" });
  assert.deepEqual(kernel.calls, ["delete 2 1/1", "delete 1 1/1"]);
});

test("a key that is current or rnext is never deleted", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = connection();
  kernel.sockets = [one];
  await keyer.apply("r2", [key(1, "preferred")]);
  one.use(1);
  const outcome = await keyer.apply("r2", [key(2, "preferred")]);
  assert.equal(outcome.kind, "pending");
  assert.deepEqual(one.ids, ["1/1", "2/2"]);
  assert.ok(!kernel.calls.some((call) => call.startsWith("delete")));
});

test("a key that a connection still uses stays on the listener until none does: its peer may come back with it", async (t) => {
  const { kernel, keyer } = bench(t);
  const [a, b, c] = [listener(), connection(), connection(3n)];
  kernel.sockets = [a, b, c];
  await keyer.apply("r2", [key(1, "preferred")]);
  for (const one of [b, c]) one.use(1);
  assert.equal((await keyer.apply("r2", [key(2, "preferred")])).kind, "pending");
  b.use(2);
  keyer.tick();
  assert.deepEqual([a.ids, b.ids], [["1/1", "2/2"], ["2/2"]], "the other connection uses it still");
  c.use(2);
  keyer.tick();
  assert.deepEqual([a.ids, c.ids], [["2/2"], ["2/2"]]);
});

test("a connection that cannot be looked at may use any key: the listener keeps all of them", async (t) => {
  const { kernel, keyer } = bench(t);
  const [a, b] = [listener(), connection()];
  kernel.sockets = [a, b];
  await keyer.apply("r2", [key(1, "preferred"), key(2)]);
  b.use(1);
  kernel.refusesToAsk = true;
  assert.equal((await keyer.apply("r2", [key(2, "preferred")])).kind, "pending");
  assert.deepEqual(a.ids, ["1/1", "2/2"]);
});

test("a connection that is only half open is in no process, and nobody waits for it", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = listener();
  kernel.sockets = [one, new FakeSocket({ cookie: 2n, state: "syn-received", inode: 0 })];
  assert.deepEqual(await keyer.apply("r2", [key(1)]), { kind: "installed" });
  assert.deepEqual([one.ids, kernel.calls], [["1/1"], ["add 1 1/1"]]);
});

test("a SYN that nobody has answered is sent again with the preferred key, and the one before it goes", async (t) => {
  const { kernel, keyer } = bench(t, "required");
  const one = new FakeSocket({ cookie: 2n, state: "syn-sent" });
  kernel.sockets = [one];
  await keyer.apply("r2", [key(1, "preferred")]);
  assert.equal(one.current, 1);
  assert.deepEqual(await keyer.apply("r2", [key(2, "preferred")]), { kind: "installed" });
  assert.deepEqual([one.ids, one.current, one.rnext], [["2/2"], 2, 2]);
});

test("keys that karp did not write stay, and one in the way is foreign", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  await keyer.apply("r2", [key(5)]);
  one.keys.push(operatorsKey(9));
  assert.deepEqual(await keyer.apply("r2", [key(6)]), { kind: "installed" });
  assert.deepEqual(one.ids, ["9/9", "6/6"]);
  const outcome = await keyer.apply("r2", [key(6), key(9)]);
  assert.equal(outcome.kind, "foreign");
  assert.deepEqual(one.ids, ["9/9", "6/6"]);
});

test("an operator's key with IDs that a key of ours had is foreign: karp never deletes it", async (t) => {
  const { kernel, keyer, restart } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  await keyer.apply("r2", [key(5), key(6)]);
  await keyer.apply("r2", [key(6)]);
  assert.deepEqual(one.ids, ["6/6"]);
  one.keys.push(operatorsKey(5));
  for (const karp of [keyer, restart()]) {
    assert.deepEqual(await karp.apply("r2", [key(6), key(7)]), { kind: "installed" });
    assert.deepEqual(await karp.apply("r2", [key(6)]), { kind: "installed" });
    assert.deepEqual(one.ids, ["6/6", "5/5"]);
    const outcome = await karp.apply("r2", [key(6), key(5, "preferred")]);
    assert.equal(outcome.kind, "foreign", "one of ours with these IDs does not take its place");
  }
});

test("an older key of ours on a socket that was out of reach is still ours after its IDs came again", async (t) => {
  const { kernel, keyer, restart } = bench(t);
  const [a, b] = [listener(), connection()];
  kernel.sockets = [a, b];
  await keyer.apply("r2", [key(1, "accept", 1), key(2, "preferred")]);
  kernel.sockets = [a];
  await keyer.apply("r2", [key(2, "preferred")]);
  await keyer.apply("r2", [key(2, "preferred"), key(1, "accept", 9)]);
  kernel.sockets = [a, b];
  const again = restart();
  assert.deepEqual(await again.apply("r2", [key(2, "preferred"), key(1, "accept", 9)]), { kind: "installed" });
  assert.equal(b.octets.get("1/1"), "09".repeat(16));
});

test("the ledger is lost: what karpd asks for is recognised by its octets, and deleted when it is no longer asked for", async (t) => {
  const { kernel, keyer, loseLedger } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  await keyer.apply("r2", [key(1), key(2), key(3)]);
  one.keys.push(operatorsKey(9));
  const again = loseLedger();
  kernel.calls.length = 0;
  assert.deepEqual(await again.apply("r2", [key(1), key(2)]), { kind: "installed" });
  assert.deepEqual(kernel.calls, [], "both are there, and nobody knows of the third");
  assert.deepEqual(await again.apply("r2", [key(2)]), { kind: "installed" });
  assert.deepEqual(one.ids, ["2/2", "3/3", "9/9"]);
});

test("AES-128-CMAC: the kernel keeps 16 octets of a longer key, and it is ours all the same (RFC 5926 section 3.1.1.2)", async (t) => {
  const { kernel, loseLedger } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  const masterKey = new Secret(new TextEncoder().encode("twenty-seven printable ones"));
  const long = { ...key(1), masterKey };
  await loseLedger().apply("r2", [long]);
  kernel.calls.length = 0;
  assert.deepEqual(await loseLedger().apply("r2", [long]), { kind: "installed" });
  assert.deepEqual(kernel.calls, []);
});

test("a local user's own signed SYN between the session's addresses gets no key, and holds nothing up", async (t) => {
  const { kernel, keyer, log } = bench(t);
  const trap = new FakeSocket({ cookie: 5n, state: "syn-sent", uid: 1000 });
  trap.keys = [operatorsKey(77)];
  const [a, b] = [listener(), connection()];
  kernel.sockets = [trap, a, b];
  assert.deepEqual(await keyer.apply("r2", [key(1, "preferred")]), { kind: "installed" });
  assert.deepEqual([trap.ids, a.ids, b.ids], [["77/77"], ["1/1"], ["1/1"]]);
  keyer.tick();
  assert.deepEqual(trap.ids, ["77/77"]);
  assert.ok(log.some((line) => /only keys of somebody else \(uid 1000\) is not keyed/.test(line)));
  const established = connection(6n);
  established.keys = [operatorsKey(78)];
  kernel.sockets = [a, b, established];
  assert.equal((await keyer.apply("r2", [key(1, "preferred")])).kind, "foreign");
  assert.deepEqual(established.ids, ["78/78"]);
});

test("a local user's SYN that is signed with a key for a whole prefix gets no key either", async (t) => {
  const { kernel, keyer } = bench(t);
  const wide = { ...operatorsKey(77), peer: "10.0.0.0", prefixLength: 8 };
  const anywhere = { ...operatorsKey(78), peer: "0.0.0.0", prefixLength: 0 };
  for (const trick of [wide, anywhere]) {
    for (const state of ["syn-sent", "established"] as const) {
      const trap = new FakeSocket({ cookie: 5n, state, uid: 1000 });
      trap.keys = [trick];
      kernel.sockets = [trap, listener()];
      await keyer.apply("r2", [key(1, "preferred")]);
      keyer.tick();
      assert.deepEqual(trap.ids, [`${trick.sendId}/${trick.recvId}`], `${state}, ${trick.peer}/${trick.prefixLength}`);
    }
  }
});

test("one socket that cannot be keyed keeps no other from it, and none open that must be closed", async (t) => {
  const { kernel, keyer } = bench(t, "required");
  const foreign = connection(4n);
  foreign.keys = [operatorsKey(1)]; // in the way of ours
  const [fresh, unsigned] = [listener(8n), connection(9n, false)];
  kernel.sockets = [foreign, fresh, unsigned];
  assert.equal((await keyer.apply("r2", [key(1, "preferred")])).kind, "foreign");
  assert.deepEqual([fresh.ids, unsigned.isDestroyed], [["1/1"], true]);
});

test("the same octets with another algorithm or without TCP options are another key, and ours makes room", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  await keyer.apply("r2", [key(1)]);
  const excluded = { ...key(1), coversTcpOptions: false };
  assert.deepEqual(await keyer.apply("r2", [excluded]), { kind: "installed" });
  assert.equal(one.keys[0]?.coversTcpOptions, false);
  assert.deepEqual(await keyer.apply("r2", [{ ...excluded, algorithm: "hmac-sha-1-96" }]), { kind: "installed" });
  assert.equal(one.keys[0]?.algorithm, "hmac-sha-1-96");
});

test("the same IDs with another secret: the older key of ours makes room", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  await keyer.apply("r2", [key(1, "accept", 1)]);
  assert.deepEqual(await keyer.apply("r2", []), { kind: "installed" });
  assert.deepEqual(await keyer.apply("r2", [key(1, "accept", 2)]), { kind: "installed" });
  assert.equal(one.octets.get("1/1"), "02".repeat(16));
});

test("the keys of a socket that comes later are there with the next look; nothing is walked for known ones", async (t) => {
  const { kernel, keyer } = bench(t);
  kernel.sockets = [listener(1n)];
  await keyer.apply("r2", [key(1, "preferred")]);
  // bgpd restarts
  kernel.sockets = [listener(3n)];
  keyer.tick();
  assert.deepEqual(kernel.sockets[0]?.ids, ["1/1"]);
  const { walks } = kernel;
  keyer.tick();
  assert.equal(kernel.walks, walks);
});

test("an opportunistic session that had a key stays closed over the keyer's restart, until karpd has spoken", async (t) => {
  for (const [keys, isClosed] of [
    [[key(1, "preferred")], true],
    [[key(1)], false],
  ] as const) {
    const { kernel, keyer, restart } = bench(t);
    kernel.sockets = [listener()];
    await keyer.apply("r2", keys);
    const again = restart();
    const [fresh, unsigned] = [listener(3n), connection(4n, false)];
    const opened = new FakeSocket({ cookie: 5n, state: "closing", localAddress: "0.0.0.0" });
    kernel.sockets = [fresh, unsigned, opened];
    again.tick();
    const ask = keySocket(again, { pid: 7, fd: opened.socket.inode }, { address: REMOTE, port: 179 }).kind;
    assert.deepEqual([fresh.ids.length, unsigned.isDestroyed], isClosed ? [1, true] : [0, false]);
    assert.equal(ask, isClosed ? "waiting" : "unsigned");
    await again.apply("r2", keys);
    assert.deepEqual(fresh.ids, ["1/1"], "the closed key has left");
  }
});

test("a session that was without karp meanwhile, or only observed, is not closed for having been keyed once", async (t) => {
  for (const meanwhile of [[], [session("observe")]]) {
    const { kernel, keyer, restart } = bench(t);
    await keyer.apply("r2", [key(1, "preferred")]);
    restart().reconfigure(meanwhile);
    const again = restart();
    const [fresh, unsigned] = [listener(3n), connection(4n, false)];
    kernel.sockets = [fresh, unsigned];
    again.tick();
    assert.deepEqual([fresh.ids, unsigned.isDestroyed], [[], false]);
  }
});

test("after the keyer's own restart keys that it wrote before are deleted, on the word of its ledger", async (t) => {
  const { kernel, keyer, restart } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  await keyer.apply("r2", [key(1), key(2)]);
  const again = restart();
  again.tick();
  assert.deepEqual(one.ids, ["1/1", "2/2"], "nothing is touched before karpd has spoken");
  assert.deepEqual(await again.apply("r2", [key(2)]), { kind: "installed" });
  assert.deepEqual(one.ids, ["2/2"]);
});

test("the ledger holds fingerprints and never octets", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "karp-keyer-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "written.json");
  const written = key(1, "accept", 0xab);
  new Ledger(file, () => undefined).note("r2", { ...written, fingerprint: keptFingerprint(written) });
  const text = readFileSync(file, "utf8");
  assert.match(text, /^\{"r2":\{"1\/1":"[0-9a-f]{16}"\}\}$/);
  assert.ok(!text.includes("abab"));
});

test("required: an unsigned connection is closed and a listener refuses unsigned SYNs before karpd has spoken", (t) => {
  const { kernel, keyer } = bench(t, "required");
  const [a, b] = [listener(), connection(2n, false)];
  kernel.sockets = [a, b];
  keyer.tick();
  assert.equal(a.keys.length, 1);
  assert.equal(b.isDestroyed, true);
});

test("opportunistic: an unsigned connection stays until both ends are ready for a key", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = connection(2n, false);
  kernel.sockets = [listener(), one];
  assert.deepEqual(await keyer.apply("r2", [key(1)]), { kind: "installed" });
  assert.equal(one.isDestroyed, false);
  assert.deepEqual(await keyer.apply("r2", [key(1, "preferred")]), { kind: "installed" });
  assert.equal(one.isDestroyed, true);
});

test("other peers' connections and listeners on other ports are never touched", async (t) => {
  const { kernel, keyer } = bench(t, "required");
  const other = new FakeSocket({ cookie: 5n, state: "established", remoteAddress: "10.0.0.3" }, false);
  const web = new FakeSocket({ cookie: 6n, state: "listen", localPort: 80 });
  const v6 = new FakeSocket({ cookie: 7n, state: "listen", domain: "ipv6", localAddress: "::", isIpv6Only: true });
  kernel.sockets = [other, web, v6];
  await keyer.apply("r2", [key(1, "preferred")]);
  keyer.tick();
  assert.deepEqual(kernel.calls, []);
});

test("a dual-stack listener gets the key of an IPv4 peer", async (t) => {
  const { kernel, keyer } = bench(t);
  const mapped = new FakeSocket({ cookie: 7n, state: "listen", domain: "ipv6", localAddress: "::", isIpv6Only: false });
  kernel.sockets = [mapped];
  assert.deepEqual(await keyer.apply("r2", [key(1)]), { kind: "installed" });
  assert.deepEqual(mapped.ids, ["1/1"]);
});

test("a session in a VRF is keyed there and nowhere else", async (t) => {
  const { kernel, keyer } = bench(t, "required", [session("required", { vrf: "red" })]);
  const inside = new FakeSocket({ cookie: 8n, state: "listen", interfaceIndex: 9 });
  const blue = new FakeSocket({ cookie: 9n, state: "listen", interfaceIndex: 10 });
  kernel.sockets = [inside, blue];
  assert.deepEqual(await keyer.apply("r2", [key(1)]), { kind: "installed" });
  assert.deepEqual([inside.ids, blue.ids], [["1/1"], []]);
});

test("the same addresses in two VRFs: each connection has its own session's key, a listener of all VRFs both", async (t) => {
  const red = session("required", { name: "red-r2", vrf: "red" });
  const { kernel, keyer } = bench(t, "required", [session("required"), red]);
  const shared = listener();
  const inside = new FakeSocket({ cookie: 8n, state: "established", interfaceIndex: 9 });
  const outside = new FakeSocket({ cookie: 9n, state: "established" });
  kernel.sockets = [shared, inside, outside];
  assert.deepEqual(await keyer.apply("r2", [key(1)]), { kind: "installed" });
  assert.deepEqual(await keyer.apply("red-r2", [key(2)]), { kind: "installed" });
  assert.deepEqual(
    [inside.keys.map(({ ifindex }) => ifindex), outside.keys.map(({ ifindex }) => ifindex)],
    [[9], [undefined]],
  );
  assert.deepEqual(
    shared.keys.map(({ ifindex }) => ifindex),
    [undefined, 9],
  );
  assert.deepEqual(await keyer.apply("red-r2", [key(3)]), { kind: "installed" });
  assert.deepEqual([inside.ids, outside.ids], [["3/3"], ["1/1"]]);
  assert.deepEqual(shared.ids, ["1/1", "3/3"], "the other session's key stays");
});

test("who else may have a session's keys: nobody's listener but root's on a port that any user can have", async (t) => {
  const users = (...uids: number[]) => ({ driverSettings: { "socket-users": uids } });
  const cases: { readonly more: Partial<SessionConfiguration>; readonly uid: number; readonly keyed: boolean }[] = [
    { more: {}, uid: 101, keyed: true },
    { more: users(101), uid: 101, keyed: true },
    { more: users(101), uid: 102, keyed: false },
    { more: users(), uid: 0, keyed: true },
    { more: { port: 3323 }, uid: 0, keyed: true },
    { more: { port: 3323 }, uid: 101, keyed: false },
    { more: { port: 3323, ...users(101) }, uid: 101, keyed: true },
  ];
  for (const { more, uid, keyed } of cases) {
    const { kernel, keyer, log } = bench(t, "required", [session("required", more)]);
    const one = new FakeSocket({ cookie: 1n, state: "listen", localPort: more.port ?? 179, uid });
    kernel.sockets = [one];
    const outcome = await keyer.apply("r2", [key(1, "preferred")]);
    keyer.tick();
    assert.deepEqual([one.ids.length, outcome.kind], keyed ? [1, "installed"] : [0, "pending"], JSON.stringify(more));
    const advice = `the listener of user ${uid} on port ${more.port ?? 179} gets no key: if it is the routing daemon's, write \`linux: { socket-users: [${uid}] }\``;
    assert.deepEqual(log, keyed ? [] : [`r2: ${advice}`]);
    const found = (await keyer.examine("r2")).filter(({ severity }) => severity === "error");
    assert.deepEqual(
      found.map(({ text }) => text),
      keyed ? [] : [advice],
    );
    assert.equal((await keyer.revoke("r2", [])).kind, "revoked");
  }
});

test("several connections of one session: the one that lags behind speaks for all", async (t) => {
  const { kernel, keyer } = bench(t);
  const [a, b] = [connection(2n), connection(3n)];
  kernel.sockets = [a, b];
  await keyer.apply("r2", [key(1, "deprecated"), key(2, "preferred")]);
  a.use(2);
  b.use(1);
  for (const one of [...a.keys, ...b.keys]) one.good = one.recvId === 2 ? 4n : 7n;
  for (const one of b.keys) if (one.recvId === 2) one.good = 0n;
  const outcome = await keyer.observe("r2");
  assert.ok(outcome.kind === "observed");
  assert.deepEqual(outcome.observation, {
    connections: 2,
    currentSendId: 1,
    rnextRecvId: 2,
    recvIdsPresent: [1, 2],
    goodByRecvId: new Map([
      [1, 14],
      [2, 0],
    ]),
    badTotal: 0,
  });
});

test("an algorithm that the kernel lacks is refused by the key's name; an MD5 password is waited for to go", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  kernel.lacks.add("aes-128-cmac-96");
  const outcome = await keyer.apply("r2", [key(1)]);
  assert.ok(outcome.kind === "refused");
  assert.deepEqual(outcome.adminKeyNames, [key(1).adminKeyName]);
  kernel.lacks.clear();
  one.md5Peer = REMOTE;
  assert.equal((await keyer.apply("r2", [key(1)])).kind, "pending");
  one.md5Peer = undefined;
  assert.equal((await keyer.apply("r2", [key(1)])).kind, "installed");
});

test("what protects the session's sockets: nothing, MD5, keys of somebody else, karp's", async (t) => {
  const { kernel, keyer } = bench(t);
  const nothing = { isUp: false, isKeyed: false, hasMd5: false, othersKeyIds: [], hasKeys: false };
  assert.deepEqual(await keyer.survey("r2"), nothing);
  const md5 = (address: string, prefixLength: number): FakeSocket =>
    new FakeSocket({ cookie: 1n, state: "listen", md5Peers: [{ address, prefixLength }] });
  for (const [socket, hasMd5] of [
    [md5(REMOTE, 32), true],
    [md5("10.0.0.0", 8), true],
    [md5("10.0.0.3", 32), false],
    [md5("2001:db8::", 32), false],
  ] as const) {
    kernel.sockets = [socket, connection(2n, false)];
    assert.deepEqual(await keyer.survey("r2"), { ...nothing, isUp: true, hasMd5 });
    const isSaid = (await keyer.examine("r2")).some(({ text }) =>
      /MD5 password for .*karp migrate r2 --plan/.test(text),
    );
    assert.equal(isSaid, hasMd5);
  }
  const [one, two] = [listener(), connection()];
  kernel.sockets = [one, two];
  two.keys.push({ ...operatorsKey(9), isCurrent: true });
  assert.deepEqual(await keyer.survey("r2"), { ...nothing, isUp: true, othersKeyIds: [9] });
  kernel.sockets = [listener(3n), connection(4n)];
  await keyer.apply("r2", [key(1, "preferred")]);
  kernel.sockets[1]?.use(1);
  assert.deepEqual(await keyer.survey("r2"), { ...nothing, isUp: true, isKeyed: true, hasKeys: true });
});

test("in mode observe keys are refused, and let go of", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = listener();
  kernel.sockets = [one];
  await keyer.apply("r2", [key(1, "preferred")]);
  keyer.reconfigure([session("observe")]);
  const refused = await keyer.apply("r2", [key(2, "preferred")]);
  assert.ok(refused.kind === "refused" && /mode observe/.test(refused.reason));
  assert.equal((await keyer.apply("r2", [])).kind, "installed");
  assert.deepEqual(one.ids, []);
});

test("whatever the kernel says, the outcome has its error number and what to do about it", async (t) => {
  const errnos = {
    EINVAL: "refused",
    EKEYREJECTED: "pending",
    ENOENT: "refused",
    EMSGSIZE: "refused",
    EISCONN: "pending",
    EEXIST: "pending",
    ENOMEM: "pending",
    ENOPROTOOPT: "pending",
    EPERM: "pending",
  };
  for (const [errno, kind] of Object.entries(errnos)) {
    const { kernel, keyer } = bench(t);
    kernel.sockets = [listener()];
    const error = kernelError("TCP_AO_ADD_KEY", errno);
    kernel.refusesToAdd = error;
    const outcome = await keyer.apply("r2", [key(1)]);
    assert.ok(outcome.kind === kind && outcome.kind !== "installed", errno);
    assert.equal(outcome.reason, `the kernel: TCP_AO_ADD_KEY: ${errno}: ${error.advice}`);
  }
});

test("revoke closes connections that use the key and leaves the listener closed", async (t) => {
  const { kernel, keyer } = bench(t);
  const [a, b] = [listener(), connection()];
  kernel.sockets = [a, b];
  await keyer.apply("r2", [key(1, "preferred")]);
  b.use(1);
  assert.deepEqual(await keyer.revoke("r2", []), { kind: "revoked" });
  assert.equal(b.isDestroyed, true);
  assert.equal(a.keys.length, 1);
  assert.notEqual(a.ids[0], "1/1");
});

test("revoke closes a connection that waits to be accepted: the daemon would take it with the revoked key", async (t) => {
  const { kernel, keyer } = bench(t);
  const waiting = new FakeSocket({ cookie: 3n, state: "established", inode: 0 });
  kernel.sockets = [listener(), waiting];
  await keyer.apply("r2", [key(1, "preferred")]);
  assert.deepEqual(await keyer.revoke("r2", []), { kind: "revoked" });
  assert.equal(waiting.isDestroyed, true);
});

test("revoke does not say so while a listener still accepts the key", async (t) => {
  const { kernel, keyer } = bench(t);
  const [a, b] = [listener(1n), listener(2n)];
  kernel.sockets = [a, b];
  await keyer.apply("r2", [key(1, "preferred")]);
  kernel.refusesToAdd = kernelError("TCP_AO_ADD_KEY", "ENOMEM");
  const open = await keyer.revoke("r2", []);
  assert.match(
    open.kind === "failed" ? open.reason : "",
    /^2 listener\(s\) do not have just the keys that are left: .*ENOMEM/,
  );
  assert.deepEqual([a.ids, b.ids], [[], []], "the key goes though the closed one does not come");
  kernel.refusesToAdd = undefined;
  await keyer.apply("r2", [key(2, "preferred")]);
  kernel.refusesToDelete = kernelError("TCP_AO_DEL_KEY", "EPERM");
  const outcome = await keyer.revoke("r2", []);
  assert.match(outcome.kind === "failed" ? outcome.reason : "", /^2 listener\(s\) do not have just .*EPERM/);
});

test("revoke keeps a connection that already uses another key", async (t) => {
  const { kernel, keyer } = bench(t);
  const one = connection();
  kernel.sockets = [listener(), one];
  await keyer.apply("r2", [key(1), key(2, "preferred")]);
  one.use(2);
  assert.deepEqual(await keyer.revoke("r2", [key(2, "preferred")]), { kind: "revoked" });
  assert.deepEqual([one.isDestroyed, one.ids], [false, ["2/2"]]);
});

test("a session that the keyer's own configuration does not have is refused", async (t) => {
  const { keyer } = bench(t);
  assert.equal((await keyer.apply("other", [key(1)])).kind, "refused");
  assert.equal((await keyer.revoke("other", [])).kind, "failed");
});

test("without a socket the keys wait for one", async (t) => {
  const { keyer } = bench(t);
  assert.equal((await keyer.apply("r2", [key(1)])).kind, "pending");
});

test("a supervised connect: keyed, held, unsigned or none of ours", async (t) => {
  const { kernel, keyer } = bench(t, "required");
  const wanted: string[] = [];
  keyer.onWanted((name) => wanted.push(name));
  const fresh = new FakeSocket({ cookie: 4n, state: "syn-sent", localAddress: "0.0.0.0" });
  kernel.sockets = [fresh];
  const ask = (address: string, port = 179) => keySocket(keyer, { pid: 7, fd: fresh.socket.inode }, { address, port });
  assert.deepEqual(ask("10.0.0.3"), { kind: "notOurs" });
  assert.deepEqual(ask(REMOTE, 80), { kind: "notOurs" });
  assert.deepEqual(ask(REMOTE), { kind: "waiting", session: "r2" });
  assert.deepEqual(wanted, ["r2"]);
  await keyer.apply("r2", [key(1)]);
  assert.deepEqual(ask(REMOTE), { kind: "waiting", session: "r2" }, "the peer has not confirmed it");
  await keyer.apply("r2", [{ ...key(9, "preferred"), isPlaceholder: true }]);
  assert.deepEqual(ask(REMOTE), { kind: "waiting", session: "r2" }, "a placeholder, which the peer cannot have");
  await keyer.apply("r2", [key(1, "preferred")]);
  assert.deepEqual(ask(REMOTE), { kind: "keyed", session: "r2" });
  assert.deepEqual([fresh.ids, fresh.rnext], [["1/1"], 1]);
  assert.deepEqual(wanted, ["r2", "r2", "r2", "r2"], "whether a key is there that both ends have is for karpd to say");
  await keyer.apply("r2", [key(1, "preferred"), key(2)]);
  assert.deepEqual(ask(REMOTE), { kind: "keyed", session: "r2" });
  assert.deepEqual([fresh.ids, fresh.current], [["1/1", "2/2"], 1], "the SYN has the one that the peer has confirmed");
  const { keyer: lax } = bench(t, "opportunistic");
  const outcome = keySocket(lax, { pid: 7, fd: 1 }, { address: REMOTE, port: 179 });
  assert.equal(outcome.kind, "refused", "a descriptor that is not there");
});

test("a key for a daemon that only connects: accepted while a connect() waits for it, and no longer", async (t) => {
  const { kernel, keyer, clock } = bench(t, "required");
  const held = new FakeSocket({ cookie: 4n, state: "syn-sent", localAddress: "0.0.0.0" });
  assert.equal((await keyer.apply("r2", [key(1)])).kind, "pending");
  kernel.sockets = [held];
  const ask = () => keySocket(keyer, { pid: 7, fd: held.socket.inode }, { address: REMOTE, port: 179 }).kind;
  assert.equal(ask(), "waiting");
  // Not connected, it is in no table of sockets
  kernel.sockets = [];
  assert.deepEqual(await keyer.apply("r2", [key(1)]), { kind: "installed" });
  clock.now = 4999;
  assert.deepEqual(await keyer.apply("r2", [key(1)]), { kind: "installed" });
  clock.now = 5000;
  assert.equal((await keyer.apply("r2", [key(1)])).kind, "pending", "the supervisor has not asked again");
});

test("a connect() of Multipath TCP cannot be signed: refused where it must be, left alone where it need not", async (t) => {
  for (const mode of ["required", "opportunistic"] as const) {
    const { kernel, keyer } = bench(t, mode);
    const fresh = new FakeSocket({ cookie: 4n, state: "syn-sent", localAddress: "0.0.0.0" });
    kernel.sockets = [fresh];
    kernel.protocol = 262;
    const ask = (address: string) => keySocket(keyer, { pid: 7, fd: fresh.socket.inode }, { address, port: 179 });
    assert.deepEqual(ask("10.0.0.3"), { kind: "notOurs" });
    assert.equal(ask(REMOTE).kind, mode === "required" ? "refused" : "unsigned");
    await keyer.apply("r2", [key(1, "preferred")]);
    const outcome = ask(REMOTE);
    assert.ok(outcome.kind === "refused");
    assert.match(outcome.reason, /Multipath TCP/);
  }
});

test("examine: a keyer that may open no socket of its own says nothing of the kernel but by the daemon's sockets", async (t) => {
  const { kernel, keyer } = bench(t);
  kernel.sockets = [listener()];
  kernel.refusesToOpen = kernelError("socket", "EAFNOSUPPORT");
  const texts = async () => (await keyer.examine("r2")).map(({ severity, text }) => `${severity}: ${text}`);
  assert.match((await texts()).join("\n"), /^ok: .* \(process 7\) listens on .* can be keyed$/);
  kernel.refusesToRead = kernelError("TCP_AO_GET_KEYS", "ENOPROTOOPT");
  assert.match((await texts()).join("\n"), /^error: TCP_AO_GET_KEYS: ENOPROTOOPT: this kernel has no TCP-AO/);
});

test("examine: a connection that the daemon opened is a fault while it is unsigned, and none once karp wrap signs it", async (t) => {
  const opened = (isSigned: boolean): FakeSocket =>
    new FakeSocket({ cookie: 2n, state: "established", localPort: 40_000, remotePort: 179 }, isSigned);
  const found = async (...sockets: FakeSocket[]): Promise<readonly string[]> => {
    const { kernel, keyer } = bench(t);
    kernel.sockets = sockets;
    return (await keyer.examine("r2")).map(({ severity, text }) => `${severity}: ${text}`);
  };
  const isWrap = /^warning: the routing daemon itself opens .*karp wrap/;
  const isNobody = /^warning: no process listens/;
  const isSigned = /^ok: .* opened with 10\.0\.0\.2 is signed$/;
  const kinds = (texts: readonly string[]): boolean[] =>
    [isNobody, isWrap, isSigned].map((kind) => texts.some((text) => kind.test(text)));
  assert.deepEqual(kinds(await found()), [true, false, false]);
  assert.deepEqual(kinds(await found(opened(false))), [true, true, false]);
  assert.deepEqual(kinds(await found(listener(), opened(false))), [false, true, false]);
  assert.deepEqual(kinds(await found(opened(true))), [false, false, true]);
  assert.deepEqual(kinds(await found(listener(), opened(true))), [false, false, true]);
});
