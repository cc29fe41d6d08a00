import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { removeStoredDescriptor } from "../../src/wrap/fdStore.ts";
import { missing, Wrapped, WrapSite } from "./site.ts";

const {
  ECONNREFUSED,
  EHOSTUNREACH,
  EINPROGRESS,
  EKEYREJECTED = 129,
  ENOSYS,
  ETIMEDOUT,
} = constants.errno as Readonly<Record<string, number>>;
const only = missing === undefined ? {} : { skip: missing };

/** What daemon.c prints of one connect(). */
interface Once {
  readonly errno: number;
  readonly final: number;
  readonly changed: number;
  readonly milliseconds: number;
}

function linesOf(stdout: string): readonly Once[] {
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Once);
}

for (const kind of ["blocking", "nonblocking"] as const) {
  test(`a ${kind} socket to the neighbour is keyed, connected, and left as it was`, only, async (t) => {
    const site = await WrapSite.create(t);
    await site.keyer.start();
    const { code, stdout } = await site.wrap([site.daemon, "once", ...site.neighbour.words, kind]).ended;
    const { errno, final, changed } = linesOf(stdout)[0] ?? {};
    assert.deepEqual(
      { code, errno, final, changed },
      {
        code: 0,
        errno: kind === "blocking" ? 0 : EINPROGRESS,
        final: 0,
        changed: 0,
      },
    );
    assert.deepEqual(site.keyer.asked, [{ address: site.neighbour.address, port: site.neighbour.port }]);
    assert.equal(site.neighbour.accepted, 1);
  });

  test(`a ${kind} socket to anybody else connects with no keyer, and none is asked`, only, async (t) => {
    const site = await WrapSite.create(t);
    const closed = ["127.255.255.254", "1"];
    const good = await site.wrap([site.daemon, "once", ...site.stranger.words, kind]).ended;
    const refused = await site.wrap([site.daemon, "once", ...closed, kind]).ended;
    assert.equal(linesOf(good.stdout)[0]?.final, 0);
    assert.equal(linesOf(refused.stdout)[0]?.final, ECONNREFUSED);
    assert.equal(good.stderr + refused.stderr, "");
  });
}

test("the keyer's refusal is connect()'s error, and no packet leaves", only, async (t) => {
  const site = await WrapSite.create(t);
  await site.keyer.start();
  site.keyer.answer = { kind: "refused", errno: "EKEYREJECTED", reason: "the peer has an MD5 password" };
  const { stdout, stderr } = await site.wrap([site.daemon, "once", ...site.neighbour.words, "blocking"]).ended;
  assert.equal(linesOf(stdout)[0]?.errno, EKEYREJECTED);
  assert.match(stderr, /session r2: .*EKEYREJECTED.*MD5 password/);
  assert.equal(site.neighbour.accepted, 0);
});

test("without a keyer, on-karp-down: fail refuses the neighbour's connection at once", only, async (t) => {
  const site = await WrapSite.create(t, { linux: "{ on-karp-down: fail }" });
  const { stdout } = await site.wrap([site.daemon, "once", ...site.neighbour.words, "blocking"]).ended;
  assert.equal(linesOf(stdout)[0]?.errno, EHOSTUNREACH);
  assert.equal(site.neighbour.accepted, 0);
});

test("without a keyer, on-karp-down: wait holds a blocking connect() until the keyer is there", only, async (t) => {
  const site = await WrapSite.create(t, { linux: "{ on-karp-down: wait }" });
  const wrapped = site.wrap([site.daemon, "once", ...site.neighbour.words, "blocking"]);
  wrapped.child.stderr?.once("data", () => void site.keyer.start());
  const { stdout, stderr } = await wrapped.ended;
  assert.equal(linesOf(stdout)[0]?.errno, 0);
  assert.match(
    stderr,
    /session r2: no keyer to ask, its connections wait: .*\n.*session r2: its connections are keyed/,
  );
  assert.equal(site.neighbour.accepted, 1);
});

test("without a keyer, a non-blocking connect() is held for the time of --hold and then fails", only, async (t) => {
  const site = await WrapSite.create(t);
  const command = [site.daemon, "twice", ...site.neighbour.words, "0"];
  const { stdout } = await site.wrap(command, ["--hold", "0.4"]).ended;
  const [first, second] = linesOf(stdout);
  assert.equal(first?.errno, ETIMEDOUT);
  assert.ok((first?.milliseconds ?? 0) >= 390, `held for ${first?.milliseconds} ms`);
  // The allowance of the thread is spent: its event loop must not stand still again at once
  assert.equal(second?.errno, ETIMEDOUT);
  assert.ok((second?.milliseconds ?? 0) < 390, `held for ${second?.milliseconds} ms`);
  assert.equal(site.neighbour.accepted, 0);
});

test(
  "a keyer that says nothing holds a non-blocking connect() no longer than one that is not there",
  only,
  async (t) => {
    const site = await WrapSite.create(t);
    await site.keyer.start();
    site.keyer.answer = "silent";
    const { stdout } = await site.wrap([site.daemon, "once", ...site.neighbour.words, "nonblocking"], ["--hold", "0.3"])
      .ended;
    const { errno, milliseconds = 0 } = linesOf(stdout)[0] ?? {};
    assert.equal(errno, ETIMEDOUT);
    assert.ok(milliseconds >= 290 && milliseconds < 1500, `held for ${milliseconds} ms`);
    assert.equal(site.neighbour.accepted, 0);
  },
);

test("a held connect() goes on with the first key: the first SYN is signed", only, async (t) => {
  const site = await WrapSite.create(t);
  await site.keyer.start();
  site.keyer.answer = { kind: "waiting", session: "r2" };
  const asked = site.keyer.nextQuestion();
  const wrapped = site.wrap([site.daemon, "once", ...site.neighbour.words, "nonblocking"], ["--hold", "10"]);
  await asked;
  assert.equal(site.neighbour.accepted, 0);
  site.keyer.answer = { kind: "keyed", session: "r2" };
  site.keyer.announce();
  const { stdout } = await wrapped.ended;
  const { errno, final, milliseconds = 0 } = linesOf(stdout)[0] ?? {};
  assert.deepEqual({ errno, final }, { errno: EINPROGRESS, final: 0 });
  assert.ok(milliseconds < 9000);
  assert.deepEqual([site.keyer.asked.length, site.neighbour.accepted], [2, 1]);
});

test("a session in mode observe is left alone", only, async (t) => {
  const site = await WrapSite.create(t, { mode: "observe" });
  await site.keyer.start();
  const { stdout } = await site.wrap([site.daemon, "once", ...site.neighbour.words, "blocking"]).ended;
  assert.equal(linesOf(stdout)[0]?.errno, 0);
  assert.deepEqual(site.keyer.asked, []);
});

test("fork and exec: a grandchild in another program is keyed too", only, async (t) => {
  const site = await WrapSite.create(t);
  await site.keyer.start();
  const { code, stdout } = await site.wrap([site.daemon, "exec", ...site.neighbour.words]).ended;
  assert.deepEqual([code, linesOf(stdout)[0]?.errno, site.keyer.asked.length], [0, 0, 1]);
});

test("a thread with a table of descriptors of its own is keyed by its own socket", only, async (t) => {
  const site = await WrapSite.create(t);
  await site.keyer.start();
  const { code, stdout } = await site.wrap([site.daemon, "thread", ...site.neighbour.words]).ended;
  assert.deepEqual([code, linesOf(stdout)[0]?.final, site.neighbour.accepted], [0, 0, 1]);
});

test("a thread that flips the address gets no connection to the neighbour past the keyer", only, async (t) => {
  const site = await WrapSite.create(t);
  await site.keyer.start();
  site.keyer.answer = { kind: "refused", errno: "EKEYREJECTED", reason: "test" };
  const command = [site.daemon, "flip", ...site.stranger.words, ...site.neighbour.words, "4000"];
  const { stdout } = await site.wrap(command).ended;
  const [, ok, failed] = /^ok (\d+) failed (\d+)/.exec(stdout) ?? [];
  assert.equal(Number(ok) + Number(failed), 4000);
  assert.ok(site.stranger.accepted > 0 && site.keyer.asked.length > 0, "both addresses were seen");
  assert.equal(site.neighbour.accepted, 0);
});

test("eight threads connect at once, in both modes", only, async (t) => {
  const site = await WrapSite.create(t);
  await site.keyer.start();
  const { stdout } = await site.wrap([site.daemon, "connect", ...site.neighbour.words, "800", "8"]).ended;
  assert.equal(stdout, "ok 800 failed 0 last 0\n");
  assert.equal(site.keyer.asked.length, 800);
});

test("signals that interrupt connect() all the time change nothing of what the daemon sees", only, async (t) => {
  const site = await WrapSite.create(t);
  const command = [site.daemon, "interrupted", ...site.stranger.words, "1000"];
  const { stdout, stderr } = await site.wrap(command).ended;
  assert.equal(stdout, "ok 1000 failed 0 last 0\n");
  assert.ok(Number(/^(\d+) signals$/m.exec(stderr)?.[1]) > 1000, stderr);
});

test("10,000 connections to others all succeed", only, async (t) => {
  const site = await WrapSite.create(t);
  const { stdout } = await site.wrap([site.daemon, "connect", ...site.stranger.words, "10000", "1"]).ended;
  assert.equal(stdout, "ok 10000 failed 0 last 0\n");
});

test("it ends as the daemon ends: exit code, signal, no such program", only, async (t) => {
  const site = await WrapSite.create(t);
  const code = await site.wrap(["sh", "-c", "exit 7"]).ended;
  assert.deepEqual([code.code, code.signal], [7, null]);
  const signal = await site.wrap(["sh", "-c", "kill -TERM $$"]).ended;
  assert.deepEqual([signal.code, signal.signal], [null, "SIGTERM"]);
  const absent = await site.wrap(["no-such-program"]).ended;
  assert.deepEqual([absent.code, absent.stderr], [127, "karp: cannot start no-such-program: ENOENT\n"]);
});

test("a configuration with errors: nothing is started", only, async (t) => {
  const site = await WrapSite.create(t, { driver: "linus" });
  const { code, stdout, stderr } = await site.wrap(["echo", "started"]).ended;
  assert.deepEqual([code, stdout], [78, ""]);
  assert.match(stderr, /linus/);
});

test("signals are passed on to the daemon", only, async (t) => {
  const site = await WrapSite.create(t);
  for (const signal of ["SIGTERM", "SIGUSR1"] as const) {
    const name = signal.slice(3);
    const wrapped = site.wrap([
      "sh",
      "-c",
      `trap 'echo got ${name}; exit 3' ${name}; echo ready; while :; do sleep 0.05; done`,
    ]);
    await wrapped.printed("ready");
    wrapped.child.kill(signal);
    const { code, stdout } = await wrapped.ended;
    assert.deepEqual([code, stdout], [3, `ready\ngot ${name}\n`]);
  }
});

test("a daemon that goes to the background is supervised on", only, async (t) => {
  const site = await WrapSite.create(t);
  await site.keyer.start();
  const later = `${site.daemon} once ${site.neighbour.words.join(" ")} blocking`;
  const { code, stdout, stderr } = await site.wrap(["sh", "-c", `(sleep 0.3; ${later}) & exit 0`]).ended;
  assert.deepEqual([code, stderr], [0, "karp wrap: session r2: its connections are keyed\n"]);
  assert.equal(linesOf(stdout)[0]?.errno, 0);
  assert.equal(site.keyer.asked.length, 1);
});

test("the supervisor killed: the daemon's next connect() fails, signed or not at all", only, async (t) => {
  const site = await WrapSite.create(t);
  await site.keyer.start();
  const wrapped = site.wrap([site.daemon, "twice", ...site.neighbour.words, "2"]);
  await wrapped.printed("}\n");
  wrapped.child.kill("SIGKILL");
  // The daemon has our end of the pipe, and ends by itself
  const { stdout } = await wrapped.ended;
  assert.deepEqual(
    linesOf(stdout).map(({ errno }) => errno),
    [EINPROGRESS, ENOSYS],
  );
  assert.equal(site.neighbour.accepted, 1);
});

test(
  "a neighbour that comes into the configuration while the daemon runs is keyed too; a faulty file changes nothing",
  only,
  async (t) => {
    const site = await WrapSite.create(t);
    await site.keyer.start();
    const command = `${site.daemon} once ${site.stranger.words.join(" ")} blocking`;
    const wrapped = site.wrap(["sh", "-c", `while read line; do ${command}; done`]);
    const good = readFileSync(site.configuration, "utf8");
    const asked = async (): Promise<number> => {
      assert.ok(wrapped.child.stdout !== null);
      const printed = once(wrapped.child.stdout, "data");
      wrapped.child.stdin?.write("\n");
      await printed;
      return site.keyer.asked.length;
    };
    const [address, port] = site.stranger.words;
    const more = good.replace(/ {2}r2:\n[\s\S]*/, (r2) => {
      const r3 = r2.replace("r2:", "r3:").replace("r2.example", "r3.example");
      return r2 + r3.replace(/remote: .*/, `remote: ${address}`).replace(/port: .*/, `port: ${port}`);
    });
    assert.equal(await asked(), 0);
    writeFileSync(site.configuration, more);
    await wrapped.complained(/sessions read again: 2\n/);
    assert.equal(await asked(), 1);
    writeFileSync(site.configuration, "sessions: [");
    await wrapped.complained(/sessions stay as they are:\n/);
    assert.equal(await asked(), 2);
    // Without r3: half written, or taken out; the keyer is asked all the same
    writeFileSync(site.configuration, good);
    await wrapped.complained(/(sessions read again: 2\n[\s\S]*){2}/);
    assert.equal(await asked(), 3);
    wrapped.child.stdin?.end();
    assert.equal((await wrapped.ended).code, 0);
  },
);

test("sd_notify(3): the notification descriptor goes to systemd's store", only, async (t) => {
  const site = await WrapSite.create(t);
  const path = join(site.folder, "notify.sock");
  const systemd = new Wrapped(spawn(site.daemon, ["notified", path, "2"]));
  await systemd.printed("ready\n");
  assert.equal((await site.wrap(["true"], [], { NOTIFY_SOCKET: path })).child.pid !== undefined, true);
  const { stdout } = await systemd.ended;
  assert.equal(
    stdout,
    "ready\n" +
      "FDSTOREREMOVE=1 FDNAME=karp-connects; descriptor: none\n" +
      "FDSTORE=1 FDNAME=karp-connects FDPOLL=1; descriptor: anon_inode:seccomp notify\n",
  );
});

test("sd_notify(3): a supervisor that gives up takes the descriptor out of systemd's store", only, async (t) => {
  const site = await WrapSite.create(t);
  const path = join(site.folder, "notify.sock");
  const systemd = new Wrapped(spawn(site.daemon, ["notified", path, "1"]));
  await systemd.printed("ready\n");
  assert.equal(removeStoredDescriptor({ NOTIFY_SOCKET: path }), undefined);
  assert.equal((await systemd.ended).stdout, "ready\nFDSTOREREMOVE=1 FDNAME=karp-connects; descriptor: none\n");
  assert.match(removeStoredDescriptor({ NOTIFY_SOCKET: path }) ?? "", /^systemd's descriptor store cannot be reached/);
  assert.equal(removeStoredDescriptor({}), undefined);
});

test("the daemon has the limits, signals and privileges that it would have without us", only, async (t) => {
  const site = await WrapSite.create(t);
  const inside = join(site.folder, "inside");
  const script = `ulimit -n > ${inside}; grep -E '^(SigBlk|SigIgn|SigCgt|NoNewPrivs)' /proc/self/status >> ${inside}`;
  await site.wrap(["sh", "-c", script], ["--open-files", "777"]).ended;
  const [files, ...status] = readFileSync(inside, "utf8").trim().split("\n");
  assert.equal(files, "777");
  writeFileSync(inside, "");
  const plain = new Wrapped(spawn("sh", ["-c", "grep -E '^(SigBlk|SigIgn|SigCgt|NoNewPrivs)' /proc/self/status"]));
  const expected = (await plain.ended).stdout.trim().split("\n");
  // Only who is not root has no_new_privs
  const wanted =
    process.getuid?.() === 0 ? expected : expected.map((line) => line.replace(/^(NoNewPrivs:\s+)0/, "$11"));
  assert.deepEqual(status, wanted);
});
