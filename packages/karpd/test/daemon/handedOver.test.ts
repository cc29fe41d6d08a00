// A real parent process binds sockets and hands them to `karp run`, as systemd does (sd_listen_fds(3)).
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { cannotBeNobody, freePorts, giveAway, Karp, karp, NOBODY, type Router, Site, until } from "./site.ts";

const launcher = join(import.meta.dirname, "handingOver.py");
const echo = join(import.meta.dirname, "echo.ts");
const notHere = missing();

interface Words {
  readonly uid?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** `karp run` behind a parent that opens these sockets first: udp:ADDRESS:PORT, tcp:ADDRESS:PORT, unix, again, closed. */
function runWith(t: TestContext, router: Router, sockets: readonly string[], words: Words = {}): Karp {
  const command = [karp, "run", "--config", router.configurationFile, "--log-level", "debug"];
  return behindLauncher(t, sockets, command, words);
}

function behindLauncher(
  t: TestContext,
  sockets: readonly string[],
  command: readonly string[],
  { uid, env = {} }: Words = {},
): Karp {
  const user = uid === undefined ? [] : ["--uid", String(uid)];
  const args = [launcher, ...user, ...sockets, "--", process.execPath, ...command];
  return new Karp(t, args, { node: "python3", env: { ...process.env, ...env } });
}

async function answers(router: Router, daemon: Karp): Promise<readonly string[]> {
  const status = await until(
    async () => {
      if (daemon.child.exitCode !== null) throw new Error(`karp run ended: ${daemon.stderr}`);
      return await router.client.get("/v1/status").catch(() => undefined);
    },
    () => daemon.stderr,
  );
  return (status as { listening: readonly string[] }).listening;
}

async function refused(t: TestContext, router: Router, sockets: readonly string[], words: Words = {}): Promise<string> {
  const { code, stderr } = await runWith(t, router, sockets, words).ended;
  assert.equal(code, 1, stderr);
  assert.doesNotMatch(stderr, /^ {4}at /m, "no stack");
  return stderr;
}

/** The socket of a process that is bound there, as its descriptor's link names it. */
function socketsOf(pid: number): ReadonlyMap<string, string> {
  return new Map([0, 1, 2, 3, 4, 5].map((fd) => [String(fd), linkOf(`/proc/${pid}/fd/${fd}`)]));
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

describe("UDP sockets that are handed over", { concurrency: 2, skip: notHere }, () => {
  test("two routers key their session over them, IPv4", async (t) => {
    const { r1, r2 } = await Site.create(t);
    const place = `${r1.self.address}:${r1.self.ike}`;
    const daemon = runWith(t, r1, [`udp:${place}`]);
    assert.deepEqual(await answers(r1, daemon), [place]);
    const pid = await launched(daemon);
    const inode = /^socket:\[(\d+)\]$/.exec(socketsOf(pid).get("3") ?? "")?.[1];
    const bound = readFileSync("/proc/net/udp", "utf8").split("\n");
    const port = r1.self.ike.toString(16).toUpperCase().padStart(4, "0");
    const here = bound.filter((line) => new RegExp(`^ *\\d+: [0-9A-F]+:${port} `).test(line));
    assert.deepEqual(
      here.map((line) => line.trim().split(/\s+/)[9]),
      [inode],
      "the port has one socket, the one that was handed over",
    );
    await r2.start();
    await r2.current();
  });

  test("IPv6 and IPv4 at once: each answer leaves from where the question came to", async (t) => {
    const [port = 0] = await freePorts("127.0.0.1", 1);
    const places = [`[::1]:${port}`, `127.0.0.1:${port}`];
    const program = behindLauncher(
      t,
      places.map((place) => `udp:${place}`),
      [echo, ...places],
    );
    await until(
      () => program.stdout.includes("listening"),
      () => program.stderr,
    );
    for (const [family, address] of [
      ["udp6", "::1"],
      ["udp4", "127.0.0.1"],
    ] as const) {
      const peer = createSocket(family);
      t.after(() => peer.close());
      const answer = once(peer, "message");
      peer.send(Uint8Array.of(1, 2, 3), port, address);
      const [data, from] = (await answer) as [Buffer, RemoteInfo];
      assert.deepEqual([[...data], from.address, from.port], [[1, 2, 3], address, port]);
    }
  });

  test("port 500 for a user without any capability", { skip: cannotBeNobody }, async (t) => {
    const { r1 } = await Site.create(t);
    const place = `${r1.self.address}:500`;
    r1.configure({ top: { listen: [place] } });
    giveAway(r1);
    const daemon = runWith(t, r1, [`udp:${place}`], { uid: NOBODY });
    assert.deepEqual(await answers(r1, daemon), [place]);
    const status = readFileSync(`/proc/${await launched(daemon)}/status`, "utf8");
    assert.match(status, /^Uid:\s+65534\s+65534\s+65534\s+65534$/m);
    for (const set of ["CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      assert.match(status, new RegExp(`^${set}:\\s+0000000000000000$`, "m"));
    }
  });

  test("what is not handed over is bound as ever; where that takes a privilege, the line for karp.socket is said", {
    skip: cannotBeNobody,
  }, async (t) => {
    const { r1 } = await Site.create(t);
    const [own, other] = [`${r1.self.address}:500`, `${r1.self.address}:${r1.self.ike}`];
    r1.configure({ top: { listen: [own, other] } });
    giveAway(r1);
    const stderr = await refused(t, r1, [`udp:${other}`], { uid: NOBODY });
    assert.match(
      stderr,
      /^karp: cannot receive IKE on UDP 127\S+:500: it was not handed over; add `ListenDatagram=127\S+:500` to karp\.socket, then: systemctl restart karp\.socket karp$/m,
    );
    assert.deepEqual(
      [...(await answers(r1, runWith(t, r1, [`udp:${own}`], { uid: NOBODY })))].sort(),
      [own, other].sort(),
    );
  });

  test("a reload that no longer wants a socket is refused, and the socket goes on", async (t) => {
    const { r1 } = await Site.create(t);
    const [port = 0] = await freePorts(r1.self.address, 1);
    const [first, second] = [`${r1.self.address}:${r1.self.ike}`, `${r1.self.address}:${port}`];
    r1.configure({ top: { listen: [first, second] } });
    const daemon = runWith(t, r1, [`udp:${first}`, `udp:${second}`]);
    assert.deepEqual(await answers(r1, daemon), [first, second]);
    r1.configure({ top: { listen: [first] } });
    await assert.rejects(
      r1.client.post("/v1/reload", {}),
      /nothing was changed: UDP \S+ was handed over, and the configuration listens on /,
    );
    assert.deepEqual(await answers(r1, daemon), [first, second]);
    r1.configure({ top: { listen: [first, second] } });
    await r1.client.post("/v1/reload", {});
    assert.deepEqual(await answers(r1, daemon), [first, second]);
  });

  test("programs that karp starts have neither the sockets nor the words for them", async (t) => {
    const { r1, r2 } = await Site.create(t);
    const [seen, program] = [join(r1.home, "seen"), r1.file("driver.sh", "", 0o700)];
    r1.file("driver.sh", `#!/bin/sh\nls -l /proc/self/fd > ${seen}; env >> ${seen}\ncat > /dev/null\n`, 0o700);
    const words = { driver: "exec", endpoint: undefined, exec: { command: [program] } };
    r1.configure({ session: words });
    const daemon = runWith(t, r1, [`udp:${r1.self.address}:${r1.self.ike}`]);
    await answers(r1, daemon);
    const inode = socketsOf(await launched(daemon)).get("3") ?? "nothing";
    assert.match(inode, /^socket:/);
    await r2.start();
    const text = await until(
      () => {
        const content = contentOf(seen);
        return content.includes("PATH=") && content;
      },
      () => `the driver was not called: ${daemon.stderr}`,
    );
    assert.ok(!text.includes(inode), text);
    assert.doesNotMatch(text, /LISTEN_/);
  });

  test("LISTEN_PID of another process: the sockets are not for us", async (t) => {
    const { r1 } = await Site.create(t);
    const [port = 0] = await freePorts(r1.self.address, 1);
    const daemon = runWith(t, r1, [`udp:${r1.self.address}:${port}`], { env: { TEST_LISTEN_PID: "1" } });
    assert.deepEqual(await answers(r1, daemon), [`${r1.self.address}:${r1.self.ike}`]);
  });

  test("karp run says in one sentence what cannot be used, and starts nothing", async (t) => {
    const { r1 } = await Site.create(t);
    const [port = 0] = await freePorts(r1.self.address, 1);
    assert.match(
      await refused(t, r1, [`udp:${r1.self.address}:${port}`]),
      /^karp: UDP 127\S+:\d+ was handed over, and the configuration listens on 127\S+:\d+; make `ListenDatagram=` of karp\.socket and `listen:` agree$/m,
    );
    assert.match(
      await refused(t, r1, [`tcp:${r1.self.address}:${port}`]),
      /^karp: descriptor 3 \(karp\.socket\), which was handed over, is not a bound UDP socket/m,
    );
  });

  test("each thing that cannot be used has its sentence", async (t) => {
    const [port = 0] = await freePorts("127.0.0.1", 1);
    const own = `127.0.0.1:${port}`;
    const cases: readonly [readonly string[], RegExp, Record<string, string>?][] = [
      [
        ["unix"],
        /^descriptor 3 \(karp\.socket\), which was handed over, is not a bound UDP socket \(socket:\[\d+\]\); hand over one UDP socket for each address and port of `listen:`/,
      ],
      [
        [`udp:${own}`, "closed"],
        /^descriptor 4 \(karp\.socket\), which was handed over, is not a bound UDP socket \((?!socket:).*\); /,
      ],
      [[`udp:${own}`, "again"], /^descriptor 4, which was handed over, is 127\.0\.0\.1 port \d+ for the second time; /],
      [[`udp:${own}`], /^LISTEN_FDS=many is no number of sockets; /, { TEST_LISTEN_FDS: "many" }],
      [[`udp:[::]:${port}`], /^UDP \[::\]:\d+ was handed over, and the configuration listens on 127\.0\.0\.1:\d+; /],
    ];
    for (const [sockets, sentence, env = {}] of cases) {
      const { code, stderr } = await behindLauncher(t, sockets, [echo, own], { env }).ended;
      assert.equal(code, 1);
      assert.match(stderr, sentence);
    }
  });
});

function missing(): string | false {
  if (process.platform !== "linux") return "only Linux has systemd";
  if (spawnSync("python3", ["--version"]).error !== undefined) return "no python3 to be the parent process";
  return false;
}

/** The launcher becomes karp by exec: it is the same process. */
async function launched({ child }: Karp): Promise<number> {
  return child.pid ?? 0;
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
