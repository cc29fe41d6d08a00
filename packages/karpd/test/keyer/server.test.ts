import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { KeyerClient, KeyerUnavailable } from "../../src/keyer/client.ts";
import { Ledger } from "../../src/keyer/ledger.ts";
import { startKeyerServer } from "../../src/keyer/server.ts";
import { SocketKeyer } from "../../src/keyer/socketKeyer.ts";
import { FakeKernel, FakeSocket, key, LOCAL, REMOTE } from "./fakeKernel.ts";
import { session } from "./session.ts";

interface Site {
  readonly kernel: FakeKernel;
  readonly keyer: SocketKeyer;
  readonly socketPath: string;
  readonly client: KeyerClient;
  readonly log: string[];
  /** Why each of the next reloads is refused. */
  readonly reloads: string[];
  restart(): Promise<void>;
  stop(): Promise<void>;
}

async function site(t: TestContext): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "karp-keyer-"));
  const socketPath = join(folder, "run", "keyer.sock");
  const kernel = new FakeKernel();
  kernel.sockets = [
    new FakeSocket({ cookie: 1n, state: "listen" }),
    new FakeSocket({ cookie: 2n, state: "established" }),
  ];
  const log: string[] = [];
  const reloads: string[] = [];
  const make = () => {
    const ledger = new Ledger(join(folder, "written.json"), (text) => log.push(text));
    const sessions = [session("required")];
    return new SocketKeyer({ sessions, ledger, indexOf: () => undefined, log: (_, text) => log.push(text), kernel });
  };
  const serve = (keyer: SocketKeyer) =>
    startKeyerServer({
      socketPath,
      user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      keyer,
      reload: async () => reloads.shift(),
      log: (_, text) => log.push(text),
    });
  const keyer = make();
  let server = await serve(keyer);
  const client = new KeyerClient({ socketPath, timeoutMilliseconds: 5000 });
  t.after(async () => {
    await client.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const stop = (): Promise<void> => server.close();
  const restart = async (): Promise<void> => {
    server = await serve(make());
  };
  return { kernel, keyer, socketPath, client, log, reloads, restart, stop };
}

test("keys, observations, sessions and findings go over the socket and come back whole", async (t) => {
  const { client, kernel } = await site(t);
  assert.deepEqual(await client.apply("r2", [key(1, "preferred")]), { kind: "installed" });
  assert.equal(kernel.sockets[0]?.octets.get("1/1"), "01".repeat(16));
  const observed = await client.observe("r2");
  assert.ok(observed.kind === "observed");
  assert.deepEqual(observed.observation.goodByRecvId, new Map([[1, 0]]));
  assert.deepEqual(await client.sessions(), [
    { name: "r2", localAddress: LOCAL, remoteAddress: REMOTE, port: 179, mode: "required", onKarpDown: "wait" },
  ]);
  assert.ok((await client.examine("r2")).length > 0);
  const surveyed = { isUp: true, isKeyed: false, hasMd5: false, othersKeyIds: [], hasKeys: true };
  assert.deepEqual(await client.survey("r2"), surveyed);
  await assert.rejects(client.survey("r9"), /no session r9/);
  assert.deepEqual(await client.revoke("r2", []), { kind: "revoked" });
});

test("karpd has read its configuration: the keyer reads it too, or says why it keeps the old one", async (t) => {
  const { client, reloads } = await site(t);
  await client.reload();
  reloads.push("karp.yaml:3:1: no YAML");
  await assert.rejects(
    client.reload(),
    /^KeyerUnavailable: the keyer keeps what it read before: karp.yaml:3:1: no YAML$/,
  );
});

test("a keyer that was restarted is given the last keys again, by itself", async (t) => {
  const { client, kernel, stop, restart } = await site(t);
  await client.apply("r2", [key(1, "preferred")]);
  await stop();
  await assert.rejects(client.observe("r2"), KeyerUnavailable);
  kernel.sockets = [new FakeSocket({ cookie: 9n, state: "listen" })];
  await restart();
  // The client connects again and repeats; its answer to an observation then comes after that
  for (;;) if ((await client.observe("r2").catch(() => undefined)) !== undefined) break;
  assert.ok(kernel.sockets[0]?.ids.includes("1/1"));
});

test("events reach whoever listens: a connect that is held, keys that came", async (t) => {
  const { client, keyer } = await site(t);
  const heard: string[] = [];
  client.onWanted((name) => heard.push(`wanted ${name}`));
  client.onKeyed((name) => heard.push(`keyed ${name}`));
  await client.connect();
  await client.sessions();
  keyer.want("r2");
  await client.apply("r2", [key(1)]);
  assert.deepEqual(heard, ["wanted r2", "keyed r2"]);
});

test("the socket is for its owner and group only, and a second keyer is refused", async (t) => {
  const { socketPath, keyer } = await site(t);
  assert.equal(statSync(socketPath).mode & 0o777, 0o660);
  const second = startKeyerServer({
    socketPath,
    user: undefined,
    keyer,
    reload: async () => undefined,
    log: () => undefined,
  });
  await assert.rejects(second, /another keyer serves/);
});

test("whoever speaks another language, or too long, is cut off, and nothing that was said is logged", async (t) => {
  const { socketPath, log, client } = await site(t);
  const secret = "5ec4e7".repeat(6);
  const lines = [
    `{"id":1,"request":"apply","session":"r2","keys":[{"masterKey":"${secret}"}]}\n`,
    `${secret}\n`,
    "[]\n",
    `{"id":1,"request":"eval","session":"r2"}\n`,
    "x".repeat(70_000),
  ];
  for (const line of lines) {
    await new Promise<void>((resolve) => {
      const socket = connect(socketPath, () => socket.write(line));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
      socket.resume();
    });
  }
  assert.ok(!log.join("\n").includes(secret.slice(0, 12)));
  assert.equal((await client.sessions()).length, 1, "and the others are served as before");
});

test("a folder that the keyer makes itself, and its socket, are for root and karpd's group, at each start", {
  skip: process.getuid?.() === 0 ? false : "only root can give a folder to a group",
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "karp-keyer-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const socketPath = join(folder, "run", "keyer.sock");
  const umask = process.umask(0o117);
  t.after(() => process.umask(umask));
  const log = (): void => undefined;
  const keyer = new SocketKeyer({ sessions: [], ledger: new Ledger(undefined, log), indexOf: () => undefined, log });
  for (const user of [
    { uid: 990, gid: 991 },
    { uid: 990, gid: undefined },
  ]) {
    const server = await startKeyerServer({ socketPath, user, keyer, log, reload: async () => undefined });
    const seen = [dirname(socketPath), socketPath].map((path) => statSync(path));
    await server.close();
    assert.deepEqual(
      seen.map(({ uid, gid, mode }) => [uid, gid, (mode & 0o777).toString(8)]),
      [
        [0, 991, "750"],
        [0, 991, "660"],
      ],
    );
  }
});
