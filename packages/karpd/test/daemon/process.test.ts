import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import type { KeyView } from "../../src/core/views.ts";
import { cannotBeNobody, giveAway, Karp, karp, NOBODY, type Router, Site, until } from "./site.ts";

/** `karp run`, to its end: it must not start. */
async function refused(router: Router, uid?: number) {
  return await Karp.run(["run", "--config", router.configurationFile], uid === undefined ? {} : { uid });
}

/** One sentence for people, no stack. */
function assertSentence(stderr: string, sentence: RegExp): void {
  assert.match(stderr, sentence);
  assert.doesNotMatch(stderr, /^ {4}at /m, "no stack");
}

async function keysOf(router: Router): Promise<readonly KeyView[]> {
  return (await router.client.get("/v1/keys").catch(() => [])) as readonly KeyView[];
}

describe("karp run as a process", { concurrency: 3 }, () => {
  test("SIGTERM leaves the key where it is, and the next start goes on with it", async (t) => {
    const { r1, r2 } = await Site.create(t);
    for (const router of [r1, r2]) {
      router.configure({
        session: { driver: "keychain", endpoint: undefined, keychain: { file: `${router.home}/keys.json` } },
      });
    }
    await r2.start();
    const first = await Karp.daemon(t, r1);
    // Where both ends began at once there are two keys for a moment, in no order
    const inUse = async () => (await keysOf(r1)).find(({ state }) => state === "preferred" || state === "current");
    const before = await until(inUse, () => first.stderr);
    first.child.kill("SIGTERM");
    const { code, stderr } = await first.ended;
    assert.equal(code, 0);
    assert.match(stderr, /"event":"stopping".*karp stops; keys stay in place/);
    assert.ok(existsSync(`${r1.home}/keys.json`));
    assert.ok(!existsSync(r1.socket), "the socket is gone");
    const second = await Karp.daemon(t, r1);
    const after = await until(inUse, () => second.stderr);
    assert.equal(after.fingerprint, before.fingerprint, second.stderr);
  });

  test("SIGHUP reads the configuration again; what is wrong with it is logged, and nothing is changed", async (t) => {
    const { r1 } = await Site.create(t);
    const daemon = await Karp.daemon(t, r1);
    r1.configure({ session: { "on-expiry": "fail-closed" } });
    daemon.child.kill("SIGHUP");
    await until(
      () => /1 change\(s\) took effect/.test(daemon.stderr),
      () => daemon.stderr,
    );
    r1.configure({ session: { mode: "requird" } });
    daemon.child.kill("SIGHUP");
    await until(
      () => /"level":50.*nothing was changed: .*requird/.test(daemon.stderr),
      () => daemon.stderr,
    );
    assert.equal(daemon.child.exitCode, null);
  });

  test("signals: SIGUSR1 opens no debugger, SIGHUP while it starts ends nothing, SIGTERM twice is once", async (t) => {
    const { r1 } = await Site.create(t);
    const early = new Karp(t, [karp, "run", "--config", r1.configurationFile]);
    // Its first sign of life is the key of the store: the signals come in the middle of the start
    await until(
      () => existsSync(`${r1.home}/store`),
      () => early.stderr,
    );
    early.child.kill("SIGHUP");
    early.child.kill("SIGUSR1");
    await until(
      () => /nothing has changed/.test(early.stderr) && /SIGUSR1 opens no debugger here/.test(early.stderr),
      () => early.stderr,
    );
    assert.doesNotMatch(early.stderr, /Debugger listening/);
    early.child.kill("SIGTERM");
    early.child.kill("SIGTERM");
    early.child.kill("SIGINT");
    const { code, signal, stderr } = await early.ended;
    assert.deepEqual([code, signal], [0, null]);
    assert.equal(stderr.split('"event":"stopping"').length, 2);
  });

  test("a log that nobody reads ends no daemon", async (t) => {
    const { r1 } = await Site.create(t);
    const daemon = await Karp.daemon(t, r1);
    daemon.child.stderr?.destroy();
    const client = r1.client;
    for (let count = 0; count < 20; count++) await client.post("/v1/thaw", {}).catch(() => undefined);
    await client.post("/v1/reload", {});
    assert.equal(((await client.get("/v1/status")) as { router: string }).router, r1.identity);
  });

  test("store locked: a second daemon is refused with the first one's process id, and the first goes on", async (t) => {
    const { r1, r2 } = await Site.create(t);
    const first = await Karp.daemon(t, r1);
    // Same store, everything else its own
    r2.configure({ top: { store: `${r1.home}/store/keys.db` } });
    const { code, stderr } = await refused(r2);
    assert.equal(code, 1);
    assertSentence(
      stderr,
      new RegExp(`^karp: .*is in use by process ${first.child.pid}.*: only one karp at a time`, "m"),
    );
    assert.equal(first.child.exitCode, null);
  });

  test("killed with SIGKILL: neither its lock nor its socket keeps the next one out", async (t) => {
    const { r1 } = await Site.create(t);
    const first = await Karp.daemon(t, r1);
    first.child.kill("SIGKILL");
    await first.ended;
    assert.ok(existsSync(r1.socket), "the socket is left behind");
    await Karp.daemon(t, r1);
  });

  test("port in use: said with what may use it and what to do", async (t) => {
    const { r1 } = await Site.create(t);
    const other = createSocket("udp4");
    await new Promise<void>((resolve) => {
      other.bind(r1.self.ike, r1.self.address, resolve);
    });
    t.after(() => other.close());
    const { code, stderr } = await refused(r1);
    assert.equal(code, 1);
    assertSentence(
      stderr,
      /^karp: cannot receive IKE on UDP 127\.[0-9.]+:\d+: another program has this port \(strongSwan, libreswan or a second karp\?\); stop it, or choose other ports with `listen:`$/m,
    );
  });

  test("no permission for the port: said with what to do", { skip: cannotBeNobody }, async (t) => {
    const { r1 } = await Site.create(t);
    r1.configure({ top: { listen: [`${r1.self.address}:500`] } });
    giveAway(r1);
    const { code, stderr } = await refused(r1, NOBODY);
    assert.equal(code, 1);
    assertSentence(
      stderr,
      /^karp: cannot receive IKE on UDP 127\.[0-9.]+:500: ports below 1024 need privileges; let systemd hand the port over \(karp\.socket\), start karp as root, or choose other ports with `listen:`$/m,
    );
  });

  test("karp check says before the start what would keep karp from listening; the running daemon's ports are its own", {
    skip: cannotBeNobody,
  }, async (t) => {
    const { r1 } = await Site.create(t);
    const check = async (uid?: number) => {
      const { stdout } = await Karp.run(["check", "--json", "--config", r1.configurationFile], { ...(uid && { uid }) });
      const findings = JSON.parse(stdout) as { severity: string; about: string; text: string }[];
      return findings.filter(({ about }) => about === "listen").map(({ severity, text }) => `${severity}: ${text}`);
    };
    const own = `${r1.self.address}:${r1.self.ike}`;
    assert.deepEqual(await check(), [`ok: IKE on UDP ${own}`]);
    await r1.start();
    assert.deepEqual(await check(), [`ok: IKE on UDP ${own}`]);
    await r1.stop();
    const other = createSocket("udp4");
    await new Promise<void>((resolve) => {
      other.bind(r1.self.ike, r1.self.address, resolve);
    });
    assert.match((await check()).join(), /^error: cannot receive IKE on UDP .*: another program has this port/);
    other.close();
    r1.configure({ top: { listen: ["192.0.2.1:5500", own] } });
    assert.deepEqual(await check(), [
      "error: cannot receive IKE on UDP 192.0.2.1:5500: this address is not on any interface; correct `local:` or " +
        "`listen:`, or wait until the interface is up",
    ]);
    r1.configure({ top: { listen: [`${r1.self.address}:500`] } });
    giveAway(r1);
    assert.match(
      (await check(NOBODY)).join(),
      /^warning: cannot receive IKE on UDP .*:500: ports below 1024 need privileges; .* CAP_NET_BIND_SERVICE or sockets that are handed over; the user of this command has neither$/,
    );
  });

  test("no permission for the store: said whose it should be", { skip: cannotBeNobody }, async (t) => {
    const { r1 } = await Site.create(t);
    giveAway(r1);
    mkdirSync(`${r1.home}/store`, { mode: 0o700 }); // root's
    const { code, stderr } = await refused(r1, NOBODY);
    assert.equal(code, 1);
    assertSentence(stderr, /^karp: no permission .*\/store\/keys\.db/m);
  });

  test("control socket of a living daemon: refused, and it goes on", async (t) => {
    const { r1, r2 } = await Site.create(t);
    await Karp.daemon(t, r1);
    r2.configure({ top: { control: r1.socket } });
    const { code, stderr } = await refused(r2);
    assert.equal(code, 1);
    assertSentence(
      stderr,
      /^karp: another karp answers on .*karp\.sock; stop it first, or give this one its own `control:` path$/m,
    );
    assert.equal(((await r1.client.get("/v1/status")) as { router: string }).router, r1.identity);
  });

  test("control socket path that is a file: refused, the file stays", async (t) => {
    const { r1 } = await Site.create(t);
    writeFileSync(r1.socket, "notes");
    const { code, stderr } = await refused(r1);
    assert.equal(code, 1);
    assertSentence(
      stderr,
      /^karp: .*karp\.sock exists and is not a socket; remove it or choose another `control:` path$/m,
    );
    assert.ok(existsSync(r1.socket));
  });

  test("control socket in a directory of its own that is not there yet, as after a reboot: made for karp and its group", async (t) => {
    const { r1 } = await Site.create(t);
    const control = `${r1.home}/run/karp.sock`;
    r1.configure({ top: { control } });
    // For the moment of the spawn alone: a umask that keeps nobody out
    const umask = process.umask(0);
    const daemon = new Karp(t, [karp, "run", "--config", r1.configurationFile]);
    process.umask(umask);
    await until(
      () => existsSync(control) && /"event":"started"/.test(daemon.stderr),
      () => daemon.stderr,
    );
    assert.equal(statSync(`${r1.home}/run`).mode & 0o027, 0, "nobody else looks in, and no group writes");
    const inside = readFileSync(`/proc/${daemon.child.pid}/status`, "utf8");
    assert.match(inside, /^Umask:\s+0022$/m, "nobody else writes what it makes");
  });

  test("control socket in a directory that does not exist: said with what to do", async (t) => {
    const { r1 } = await Site.create(t);
    r1.configure({ top: { control: `${r1.home}/no/run/karp.sock` } });
    const { code, stderr } = await refused(r1);
    assert.equal(code, 1);
    assertSentence(
      stderr,
      /^karp: cannot open the control socket .*run\/karp\.sock: its directory does not exist; create it/m,
    );
  });

  test("control socket of a program that is not karp's: in the way, and said so", async (t) => {
    const { r1 } = await Site.create(t);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(r1.socket, resolve));
    t.after(() => other.close());
    const { code, stderr } = await refused(r1);
    assert.equal(code, 1);
    assertSentence(stderr, /^karp: .*answers on .*karp\.sock/m);
  });

  test("world-readable secret: nothing starts, with the chmod to type", async (t) => {
    const { r1 } = await Site.create(t);
    chmodSync(`${r1.home}/private.key`, 0o644);
    const { code, stderr, stdout } = await refused(r1);
    assert.equal(code, 1);
    assert.match(stderr, /error: .*private\.key has mode 0644: everyone on this machine may use it/);
    assert.match(stderr, /= .*chmod 600/);
    assert.match(
      stderr,
      /^karp: nothing was started; keys that are in place stay there\. Correct .*karp\.yaml and start again\.$/m,
    );
    assertSentence(stderr, /karp: nothing was started/);
    assert.equal(stdout, "");
    assert.ok(!existsSync(`${r1.home}/store`));
  });
});
