import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, rename, stat, symlink, unlink, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { converse } from "../../src/drivers/bird/controlSocket.ts";
import { createBirdDriver } from "../../src/drivers/bird/driver.ts";
import { type DriverContext, systemClock } from "../../src/drivers/context.ts";
import { FakeBird, type FakeBirdOptions } from "./fakeBird.ts";
import { context, eventually, folder, key, keyForms, sessionOf } from "./support.ts";

async function setUp(t: TestContext, options: Partial<FakeBirdOptions> = {}, extra: Partial<DriverContext> = {}) {
  const directory = folder(t);
  const bird = await new FakeBird({ directory, ...options }).start();
  t.after(() => bird.stop());
  await writeFile(bird.include, "", { mode: 0o600 });
  const ctx = context(extra);
  const driver = createBirdDriver(ctx);
  t.after(() => driver.close());
  const { control, config, include } = bird;
  const settings = { control, config, include, group: "none", "configure-interval": "0ms" };
  return { bird, driver, directory, settings, session: sessionOf("bird", settings), ctx };
}

function reasonOf(outcome: { readonly kind: string; readonly reason?: string }): string {
  return `${outcome.kind}: ${outcome.reason}`;
}

test("ten rollovers: BIRD never restarts the session", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  const { restarts } = bird;
  assert.equal(restarts, 1, "the first key switches TCP-AO on");
  for (let n = 1; n <= 10; n++) {
    assert.deepEqual(await driver.apply(session, [key(n, "preferred"), key(n + 1, "accept")]), { kind: "installed" });
    assert.equal(bird.rnext, key(n, "accept").recvId, "accept asks for nothing");
    assert.deepEqual(await driver.apply(session, [key(n, "deprecated"), key(n + 1, "preferred")]), {
      kind: "installed",
    });
    assert.equal(bird.rnext, key(n + 1, "accept").recvId);
    bird.peerAsksFor(key(n + 1, "accept").sendId);
    assert.deepEqual(await driver.apply(session, [key(n + 1, "preferred")]), { kind: "installed" });
  }
  assert.equal(bird.restarts, restarts);
  assert.deepEqual(
    bird.loaded.map(({ sendId }) => sendId),
    [22],
  );
});

test("a swap without a common key goes in steps, and the key in use stays until the peer has moved", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  const { restarts } = bird;
  assert.match(reasonOf(await driver.apply(session, [key(2, "preferred")])), /^pending: 2\/3 still in use/);
  assert.deepEqual(
    bird.loaded.map(({ sendId, preference }) => [sendId, preference]),
    [
      [4, 1],
      [2, -1],
    ],
  );
  assert.match(reasonOf(await driver.apply(session, [key(2, "preferred")])), /^pending/);
  bird.peerAsksFor(4);
  assert.deepEqual(await driver.apply(session, [key(2, "preferred")]), { kind: "installed" });
  assert.deepEqual(
    bird.loaded.map(({ sendId }) => sendId),
    [4],
  );
  assert.equal(bird.restarts, restarts);
});

test("another secret for the IDs of a key in use is refused", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  const { restarts } = bird;
  const other = { ...key(2, "preferred"), sendId: key(1, "accept").sendId, recvId: key(1, "accept").recvId };
  assert.match(reasonOf(await driver.apply(session, [other])), /^refused: KeyID 2\/3 still belongs/);
  assert.equal(bird.restarts, restarts);
});

test("all keys deprecated: one is written as a plain key, for BIRD would take the session down", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  assert.deepEqual(await driver.apply(session, [key(1, "deprecated")]), { kind: "installed" });
  assert.deepEqual([bird.state, bird.loaded[0]?.preference], ["established", 0]);
});

test("taking all keys away is refused: BIRD would go on without authentication", async (t) => {
  const { bird, driver, session } = await setUp(t);
  assert.deepEqual(await driver.apply(session, []), { kind: "installed" });
  await driver.apply(session, [key(1, "preferred")]);
  assert.equal((await driver.apply(session, [])).kind, "refused");
  assert.equal(bird.loaded.length, 1);
});

test("held back while somebody's edit is not applied, and goes on after their birdc configure", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  await writeFile(bird.config, `${await readFile(bird.config, "utf8")}# edited\n`);
  const { configures } = bird;
  const held = reasonOf(await driver.apply(session, [key(1, "preferred"), key(2, "accept")]));
  assert.match(held, /^pending: held back: .*bird\.conf edited \d\d:\d\d:\d\d, not applied; run birdc configure$/);
  assert.equal(bird.configures, configures);
  bird.configure();
  assert.deepEqual(await driver.apply(session, [key(1, "preferred"), key(2, "accept")]), { kind: "installed" });
});

test("not held back: the empty include file of another session, which karp has filled since the last configure", async (t) => {
  const { bird, driver, session, directory } = await setUp(t);
  await writeFile(`${directory}/other.conf`, "# no key yet\n");
  await writeFile(bird.config, `include "other.conf";\n${await readFile(bird.config, "utf8")}`);
  bird.configure();
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
  const ours = await readFile(bird.include, "utf8");
  await writeFile(`${directory}/other.conf`, ours);
  assert.deepEqual(await driver.apply(session, [key(1, "preferred"), key(2, "accept")]), { kind: "installed" });
});

test("held back: an included file, one in a wildcard include, one moved into place with an old time", async (t) => {
  const { bird, driver, session, directory } = await setUp(t);
  await mkdir(`${directory}/conf.d`);
  await writeFile(`${directory}/conf.d/a.conf`, "# a\n");
  await writeFile(bird.config, `include "conf.d/*.conf";\n${await readFile(bird.config, "utf8")}`);
  bird.configure();
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
  await writeFile(`${directory}/draft`, "# b\n");
  await rename(`${directory}/draft`, `${directory}/conf.d/b.conf`);
  assert.match(
    reasonOf(await driver.apply(session, [key(1, "preferred"), key(2, "accept")])),
    /conf\.d\/b\.conf edited/,
  );
  bird.configure();
  assert.deepEqual(await driver.apply(session, [key(1, "preferred"), key(2, "accept")]), { kind: "installed" });
  assert.deepEqual(await driver.apply(session, [key(1, "preferred"), key(3, "accept")]), { kind: "installed" });
  await unlink(`${directory}/conf.d/a.conf`);
  assert.match(
    reasonOf(await driver.apply(session, [key(1, "preferred"), key(2, "accept")])),
    /a\.conf removed, not applied/,
  );
});

test("held back while an undo is scheduled: a configure would cancel it", async (t) => {
  const { bird, driver, session } = await setUp(t);
  bird.undoInSeconds = 29.9;
  assert.match(
    reasonOf(await driver.apply(session, [key(1, "preferred")])),
    /^pending: held back: BIRD undoes .* in 30 s/,
  );
  assert.equal(bird.configures, 0);
});

test("held back: an undo that was scheduled while karp was about to configure; a plain configure of somebody's is no reason", async (t) => {
  for (const undoInSeconds of [300, undefined]) {
    const { bird, driver, session } = await setUp(t);
    bird.before = (command) => {
      if (command !== "show protocols") return;
      bird.before = undefined;
      bird.configure();
      bird.undoInSeconds = undoInSeconds;
    };
    const outcome = reasonOf(await driver.apply(session, [key(1, "preferred")]));
    assert.match(outcome, undoInSeconds === undefined ? /^installed/ : /held back: BIRD undoes .* in 300 s/);
    assert.equal(bird.undoInSeconds, undoInSeconds, "the undo is still scheduled");
  }
});

test("held back after somebody else's configure: a file that went since, and a new link to an old file", async (t) => {
  for (const change of ["removed", "linked"] as const) {
    const { bird, driver, directory, session } = await setUp(t);
    await mkdir(`${directory}/conf.d`);
    await mkdir(`${directory}/drafts`);
    await writeFile(`${directory}/conf.d/a.conf`, "# a\n");
    await writeFile(`${directory}/drafts/b.conf`, "# b\n");
    await writeFile(bird.config, `include "conf.d/*.conf";\n${await readFile(bird.config, "utf8")}`);
    await driver.apply(session, [key(1, "preferred")]);
    bird.configure(); // somebody else's
    await driver.observe(session);
    if (change === "removed") await unlink(`${directory}/conf.d/a.conf`);
    else await symlink("../drafts/b.conf", `${directory}/conf.d/b.conf`);
    const held = reasonOf(await driver.apply(session, [key(1, "preferred"), key(2, "accept")]));
    assert.match(
      held,
      change === "removed" ? /held back: .*a\.conf removed, not applied/ : /held back: .*b\.conf edited/,
    );
  }
});

test("held back while BIRD's configuration has an error, and while BIRD is down", async (t) => {
  const { bird, driver, session } = await setUp(t);
  bird.checkError = `${bird.config}:7:1 syntax error`;
  assert.match(
    reasonOf(await driver.apply(session, [key(1, "preferred")])),
    /^pending: held back: .*bird\.conf:7:1 syntax error/,
  );
  assert.equal(bird.configures, 0);
  await bird.stop();
  assert.match(reasonOf(await driver.apply(session, [key(1, "preferred")])), /^pending: BIRD is not running/);
  assert.equal((await driver.observe(session)).kind, "unavailable");
});

test("sessions that come together share one configure", async (t) => {
  const { bird, driver, settings, directory } = await setUp(t);
  const names = ["a", "b", "c"];
  await writeFile(
    bird.config,
    `${await readFile(bird.config, "utf8")}${names.map((name) => `include "${directory}/${name}.conf";\n`).join("")}`,
  );
  for (const name of names) await writeFile(`${directory}/${name}.conf`, "");
  bird.configure();
  const before = bird.configures;
  const outcomes = await Promise.all(
    names.map((name, index) => {
      const words = { ...settings, include: `${directory}/${name}.conf`, "protocol-name": "r2" };
      return driver.apply(sessionOf("bird", words, { name }), [key(index + 1, "preferred")]);
    }),
  );
  assert.equal(outcomes.length, 3);
  assert.equal(bird.configures, before + 1);
});

test("one configure in the interval: the rest is written at once and read by BIRD when its time comes", async (t) => {
  const timers: { at: number; action: () => void }[] = [];
  const clock = {
    now: () => Date.now(),
    after: (milliseconds: number, action: () => void) => {
      if (milliseconds < 20_000) {
        const timer = setTimeout(action, milliseconds);
        return { cancel: () => clearTimeout(timer) };
      }
      const timer = { at: milliseconds, action };
      timers.push(timer);
      return { cancel: () => timers.splice(timers.indexOf(timer), 1) };
    },
  };
  const { bird, driver, settings } = await setUp(t, {}, { clock });
  const session = sessionOf("bird", { ...settings, "configure-interval": "60s" });
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
  const second = await driver.apply(session, [key(1, "preferred"), key(2, "accept")]);
  assert.match(
    reasonOf(second),
    /^pending: written; BIRD reads it at \d\d:\d\d:\d\d \(at most one configure in 60 s\)/,
  );
  assert.deepEqual([bird.configures, timers.filter(({ at }) => at > 50_000 && at <= 60_000).length], [1, 1]);
});

test("an algorithm that the kernel lacks is refused before anything is written", async (t) => {
  const kernelAlgorithms = async () => new Set(["aes-128-cmac-96"] as const);
  const { bird, driver, session } = await setUp(t, {}, { kernelAlgorithms });
  const sha1 = key(1, "preferred", { algorithm: "hmac-sha-1-96" });
  const outcome = await driver.apply(session, [sha1]);
  assert.deepEqual(outcome, {
    kind: "refused",
    reason: "this kernel has no TCP-AO with hmac-sha-1-96",
    adminKeyNames: [sha1.adminKeyName],
  });
  assert.equal(await readFile(bird.include, "utf8"), "");
  assert.match((await driver.examine(session)).map(({ text }) => text).join(), /no TCP-AO with hmac-sha-1-96/);
});

test("a kernel that refuses the key after all: refused by name, and BIRD gets its old keys back", async (t) => {
  const { bird, driver, session } = await setUp(t, { unknownAlgorithms: ["hmac sha1"] });
  await driver.apply(session, [key(1, "preferred")]);
  const sha1 = key(2, "preferred", { algorithm: "hmac-sha-1-96" });
  const outcome = await driver.apply(session, [key(1, "deprecated"), sha1]);
  assert.equal(outcome.kind, "refused");
  assert.match(reasonOf(outcome), /kernel did not take 4\/5 \(hmac-sha-1-96\)/);
  assert.deepEqual([bird.state, bird.loaded.map(({ sendId }) => sendId)], ["established", [2]]);
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
});

test("what BIRD cannot do is refused: options left out, HMAC-SHA-256 of 128 bits, 81 octets", async (t) => {
  const { bird, driver, session } = await setUp(t);
  const cases = [
    [key(1, "preferred", { coversTcpOptions: false }), /TCP options/],
    [key(1, "preferred", { algorithm: "hmac-sha-256-128" }), /cuts HMAC-SHA-256 to 96 bits/],
  ] as const;
  for (const [wrong, why] of cases) assert.match(reasonOf(await driver.apply(session, [wrong])), why);
  assert.equal(await readFile(bird.include, "utf8"), "");
});

test("a key in use that karp did not install is foreign", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  bird.current = 99;
  assert.match(
    reasonOf(await driver.apply(session, [key(1, "preferred"), key(2, "accept")])),
    /^foreign: r2 uses SendID 99/,
  );
  assert.deepEqual(
    bird.loaded.map(({ sendId }) => sendId),
    [2],
  );
});

test("a session that is up without TCP-AO although the file has keys has lost them", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  bird.loaded = [];
  assert.match(reasonOf(await driver.apply(session, [key(1, "preferred")])), /^lost: .*needs the line: include/);
});

test("an include line that is missing in bird.conf is refused by apply and found by examine", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await writeFile(bird.config, "protocol bgp 'r2' {\n  neighbor 10.0.0.2 as 65002;\n  password \"x\";\n}\n");
  bird.configure();
  assert.match(reasonOf(await driver.apply(session, [key(1, "preferred")])), /^refused: .*needs the line: include/);
  const texts = (await driver.examine(session)).map(({ text }) => text).join("\n");
  assert.match(texts, /bird\.conf line 1: .*needs the line: include/);
  assert.match(texts, /`password` in the block collides/);
});

test("examine: a set-up without fault is ok, and each fault has its sentence", async (t) => {
  const { bird, driver, session, settings } = await setUp(t);
  const texts = async (changes = {}, words = {}) =>
    (await driver.examine(sessionOf("bird", { ...settings, ...words }, changes)))
      .filter(({ text }) => !text.includes("does not survive a reboot"))
      .map(({ text }) => text)
      .join("\n");
  assert.match(await texts(), /^BIRD protocol r2 is ready for karp$/);
  assert.match(
    await texts({ remoteAddress: "10.0.0.9" }),
    /has neighbor 10\.0\.0\.2, the session has remote 10\.0\.0\.9/,
  );
  assert.match(await texts({}, { "protocol-name": "nosuch" }), /BIRD has no protocol nosuch/);
  assert.match(await texts({}, { config: `${bird.config}.other` }), /cannot read .*other/);
  assert.match(await texts({}, { group: "no-such-group" }), /there is no group no-such-group/);
  assert.match(await texts({ tcpOptions: ["omitted"] }), /set tcp-options to covered/);
  assert.match(await texts({ algorithms: ["hmac-sha-256-128"] }), /take hmac-sha-256-128 out/);
  await chmod(bird.include, 0o644);
  assert.match(await texts(), /can be read by everybody/);
  await unlink(bird.include);
  assert.match(await texts(), /is missing and BIRD refuses to start without it/);
  assert.equal(
    (await driver.examine(session)).some(({ severity }) => severity === "ok"),
    false,
  );
});

test("BIRD too old, a neighbor range, and a restricted socket are refused with what to do", async (t) => {
  const old = await setUp(t, { version: "2.16.2" });
  assert.match(
    reasonOf(await old.driver.apply(old.session, [key(1, "preferred")])),
    /refused: BIRD 2\.16\.2 has no TCP-AO: BIRD 2\.17 or 3\.1/,
  );
  const dynamic = await setUp(t);
  dynamic.bird.answers.set('show protocols all "r2"', [
    "1002-r2         BGP        ---        up     1700000001.500000  Passive       ",
    "1006-  BGP state:          Passive",
    "     Neighbor range:   10.0.0.0/24",
    "0000 ",
  ]);
  assert.match(
    reasonOf(await dynamic.driver.apply(dynamic.session, [key(1, "preferred")])),
    /refused: .*neighbor range/,
  );
  const restricted = await setUp(t);
  restricted.bird.isRestricted = true;
  restricted.bird.answers.set('show protocols all "r2"', [
    "1002-r2         BGP        ---        start     1700000001.500000  Connect       ",
    "0000 ",
  ]);
  assert.match(
    reasonOf(await restricted.driver.apply(restricted.session, [key(1, "preferred")])),
    /refused: .*restricted/,
  );
});

test("BIRD reads another main file than `config` says", async (t) => {
  const { bird, driver, session } = await setUp(t);
  bird.answers.set("configure check", [
    "0002-Reading configuration from /etc/bird/other.conf",
    "0020 Configuration OK",
  ]);
  assert.match(
    reasonOf(await driver.apply(session, [key(1, "preferred")])),
    /refused: BIRD reads \/etc\/bird\/other\.conf/,
  );
});

test("observe: state, keys and counters; absent is not zero", async (t) => {
  const { bird, driver, session } = await setUp(t);
  assert.deepEqual(await driver.observe(session), {
    kind: "observed",
    observation: { connections: 0, establishedSince: "2023-11-14T22:13:21.500Z" },
  });
  await driver.apply(session, [key(1, "preferred")]);
  assert.deepEqual(await driver.observe(session), {
    kind: "observed",
    observation: {
      connections: 1,
      currentSendId: 2,
      rnextRecvId: 3,
      goodTotal: 6,
      badTotal: 0,
      establishedSince: "2023-11-14T22:13:21.500Z",
    },
  });
  bird.state = "connecting";
  assert.deepEqual(await driver.observe(session), { kind: "observed", observation: { connections: 0 } });
});

test("revoke of the last key: a random key closes the session, it does not go on unauthenticated", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" });
  assert.equal(bird.loaded.length, 1);
  assert.notEqual(bird.loaded[0]?.sendId, 2);
  const closed = await readFile(bird.include, "utf8");
  assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" });
  assert.equal(await readFile(bird.include, "utf8"), closed, "not a new one each time");
});

test("revoke while an edit is pending: the protocol is disabled meanwhile, and enabled once BIRD has forgotten", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  await writeFile(bird.config, `${await readFile(bird.config, "utf8")}# edited\n`);
  assert.match(reasonOf(await driver.revoke(session, [])), /^failed: held back: .*meanwhile protocol r2 is disabled/);
  assert.equal(bird.state, "disabled");
  bird.configure();
  assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" });
  assert.equal(bird.state, "established");
  assert.ok(!bird.loaded.some(({ sendId }) => sendId === 2));
});

test("revoke leaves a protocol disabled that an operator has disabled", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  bird.state = "disabled";
  bird.undoInSeconds = 5;
  assert.equal((await driver.revoke(session, [])).kind, "failed");
  bird.undoInSeconds = undefined;
  // A configure would enable it; nothing uses the key meanwhile
  assert.match(reasonOf(await driver.revoke(session, [])), /^failed: held back: protocol r2 is disabled since/);
  assert.equal(bird.state, "disabled");
  assert.ok(!bird.commands.includes('enable "r2"'));
  bird.state = "established";
  assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" });
});

test("held back while a configure would undo somebody's birdc disable or birdc enable", async (t) => {
  const { bird, driver, session } = await setUp(t);
  const row = (name: string, state: string, at: number, info = ""): string =>
    `${name.padEnd(10)} BGP        ---        ${state.padEnd(6)} ${(at / 1000).toFixed(6)}  ${info}`;
  const [configuredAt, later] = [bird.loadedAt - 1, bird.loadedAt + 60_000];
  bird.otherProtocols = [row("off", "down", configuredAt), row("broken", "down", later, "Error: Invalid next hop")];
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
  const { configures } = bird;
  const held = async (...keys: Parameters<typeof driver.apply>[1]): Promise<string> =>
    reasonOf(await driver.apply(session, keys));

  bird.otherProtocols = [...bird.otherProtocols, row("r3", "down", later)];
  const disabled =
    /^pending: held back: protocol r3 is disabled since \d\d:\d\d:\d\d .*birdc enable r3, or write `disabled;`/;
  assert.match(await held(key(1, "preferred"), key(2, "accept")), disabled);
  bird.otherProtocols = [row("off", "up", later, "Established")];
  assert.match(await held(key(1, "preferred"), key(2, "accept")), /held back: protocol off was enabled with birdc/);
  assert.equal(bird.configures, configures);
  const healed = row("broken", "up", later, "Established");
  bird.otherProtocols = [row("off", "down", later), healed];
  assert.equal(await held(key(1, "preferred"), key(2, "accept")), "installed: undefined");
});

test("held back after somebody else's configure too, and not by what bird.conf itself disables", async (t) => {
  const { bird, driver, session } = await setUp(t);
  const row = (at: number): string => `r3         BGP        ---        down   ${(at / 1000).toFixed(6)}  `;
  bird.otherProtocols = [row(bird.loadedAt + 60_000)];
  assert.match(reasonOf(await driver.apply(session, [key(1, "preferred")])), /held back: protocol r3 is disabled/);
  bird.otherProtocols = [row(bird.loadedAt + 200)];
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
});

test("a protocol that bird.conf disables is down anew after each configure, and BIRD may say since a moment later", async (t) => {
  const { bird, driver, session } = await setUp(t);
  const row = (at: number): string => `off        BGP        ---        down   ${(at / 1000).toFixed(6)}  `;
  bird.otherProtocols = [row(bird.loadedAt - 1)];
  bird.before = (command) => {
    if (command === "configure") bird.otherProtocols = [row(Date.now() + 150)];
  };
  for (const ids of [[1], [1, 2], [1, 2, 3]]) {
    const keys = ids.map((id) => key(id, id === ids.at(-1) ? "preferred" : "accept"));
    assert.deepEqual(await driver.apply(session, keys), { kind: "installed" });
  }
});

test("many sessions that are looked at together share a conversation, and one answer", async (t) => {
  const { bird, driver, session } = await setUp(t);
  const others = Array.from({ length: 100 }, (_, n) => ({ ...session, name: `s${n}` }));
  const said = bird.commands.length;
  const seen = await Promise.all([session, ...others].map((one) => driver.observe(one)));
  assert.equal(seen.filter(({ kind }) => kind === "observed").length, 1);
  assert.equal(seen.filter((one) => one.kind === "unavailable" && /no protocol s\d+/.test(one.reason)).length, 100);
  const commands = bird.commands.slice(said);
  assert.deepEqual(commands, ['timeformat "%s.%6f"', "show status", "show protocols all"]);
});

test("which file BIRD reads is asked once for each start of BIRD: every reading stalls it", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  await driver.apply(session, [key(1, "preferred"), key(2, "accept")]);
  const checks = (): number => bird.commands.filter((command) => command === "configure check").length;
  assert.deepEqual([checks(), bird.configures], [1, 2]);
  bird.startedAt += 100;
  await driver.apply(session, [key(1, "preferred")]);
  assert.deepEqual([checks(), bird.configures], [2, 3]);
});

test("a conversation is not given up while BIRD reads its configuration for another one", async (t) => {
  // Thirty times as fast: 10 s for an answer are a third of one, and BIRD is silent for one
  const clock = { ...systemClock, after: (ms: number, action: () => void) => systemClock.after(ms / 30, action) };
  const path = `${folder(t)}/bird.ctl`;
  let read: Promise<void> | undefined;
  let isSilent = false;
  const server = createServer((socket) => {
    socket.write("0001 BIRD 3.4.0 ready.\n");
    socket.setEncoding("utf8").on("data", (command: string) => {
      if (command === "configure\n") read = new Promise((done) => systemClock.after(1000, done));
      if (!isSilent) void read?.then(() => socket.write("0003 Reconfigured\n"));
    });
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  const long = converse(path, clock, (bird) => bird.ask("configure", 300_000));
  await eventually("BIRD reads", async () => read !== undefined || undefined);
  const short = converse(path, clock, (bird) => bird.ask("show status"));
  assert.deepEqual([(await long).code, (await short).code], [3, 3]);
  isSilent = true;
  await assert.rejects(
    converse(path, clock, (bird) => bird.ask("show status")),
    /did not answer on .* within 10 s/,
  );
});

test("the include file is 0600 without a group, 0640 with one, and whole at any moment", async (t) => {
  const { bird, driver, session, settings } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  assert.equal((await stat(bird.include)).mode & 0o777, 0o600);
  const grouped = sessionOf("bird", { ...settings, group: String(process.getgid?.() ?? 0) });
  await driver.apply(grouped, [key(1, "preferred"), key(2, "accept")]);
  assert.equal((await stat(bird.include)).mode & 0o777, 0o640);
  assert.match(await readFile(bird.include, "utf8"), /^# Written by karp .*\nauthentication ao;\nkeys \{\n/);
});

test("keys never cross the control socket", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  await driver.revoke(session, []);
  const said = bird.commands.join("\n");
  assert.ok(said.length > 0 && !/[0-9a-f]{16}/.test(said));
});

test("the control socket goes away at any command, before it is done or after: the next apply completes it", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  const { restarts } = bird;
  const said = bird.commands.length;
  await driver.apply(session, [key(1, "preferred"), key(2, "accept")]);
  const commands = new Set(bird.commands.slice(said));
  assert.ok(commands.size >= 6 && commands.has("configure"), [...commands].join());
  let n = 2;
  for (const command of commands) {
    for (const how of ["dropOn", "loseAnswerTo"] as const) {
      const [old, next] = [key(n, "preferred"), key(n + 1, "preferred")];
      assert.deepEqual(await driver.apply(session, [key(n - 1, "deprecated"), old]), { kind: "installed" });
      bird.peerAsksFor(old.sendId);
      bird[how] = command;
      const broken = await driver.apply(session, [old, { ...next, use: "accept" }]);
      assert.equal(broken.kind, "pending", `${how} ${command}`);
      // As long as BIRD has not read a file, no key leaves it: one step more
      const again = await driver.apply(session, [old, { ...next, use: "accept" }]);
      if (again.kind !== "installed") assert.match(reasonOf(again), /^pending: .* still in use/);
      assert.deepEqual(await driver.apply(session, [old, { ...next, use: "accept" }]), { kind: "installed" });
      assert.deepEqual(bird.loaded.map(({ sendId }) => sendId).sort(), [old.sendId, next.sendId].sort());
      n++;
    }
  }
  assert.equal(bird.restarts, restarts);
});

test("hundreds of sessions ask one BIRD in turn: its socket queues few connections, and nobody is left out", async (t) => {
  const server = createServer((socket) => {
    socket.write("0001 BIRD 3.4.0 ready.\n");
    socket.on("data", () => socket.write("0013 Daemon is up and running\n")).on("error", () => {});
  });
  const path = `${folder(t)}/bird.ctl`;
  await new Promise<void>((resolve) => server.listen({ path, backlog: 8 }, resolve));
  t.after(() => server.close());
  const { clock } = context();
  const one = (n: number) =>
    converse(path, clock, async (line) => {
      if (n % 7 === 0) throw new Error("this one fails, and gives its place away too");
      return (await line.ask("show status")).code;
    });
  const results = await Promise.allSettled(Array.from({ length: 200 }, (_, n) => one(n)));
  const answered = results.filter((result) => result.status === "fulfilled" && result.value === 13);
  assert.equal(answered.length, 200 - 29);
});

test("answers without end, and octets that are no answer, are pending; BIRD's silence ends with a time-out", async (t) => {
  const endless = (piece: string) => (socket: Socket) => {
    const more = (): void => {
      while (socket.writable && socket.write(piece));
    };
    socket.on("drain", more);
    more();
  };
  const cases: readonly (readonly [(socket: Socket) => void, RegExp])[] = [
    [endless("x".repeat(4096)), /not a reply of BIRD|does not end/],
    [endless(`0001-${"y".repeat(4000)}\n`), /longer than 16 MiB/],
    [endless("+spontaneous\n".repeat(500)), /longer than 16 MiB/],
    [endless("0001-"), /does not end/],
    [(socket) => socket.end("\u001b[2J\n"), /not a reply of BIRD: .{1,5}x1b\[2J/],
    [() => undefined, /did not answer .* within 10 s/],
  ];
  for (const [speak, why] of cases) {
    const directory = folder(t);
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      speak(socket);
    });
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(`${directory}/bird.ctl`, resolve));
    // Ten seconds of waiting pass in ten milliseconds
    const clock = {
      now: () => Date.now(),
      after: (ms: number, action: () => void) => systemClock.after(ms / 1000, action),
    };
    const isSilent = why.source.includes("did not answer");
    const driver = createBirdDriver(context(isSilent ? { clock } : {}));
    const settings = { control: `${directory}/bird.ctl`, include: `${directory}/r2.conf`, group: "none" };
    const session = sessionOf("bird", { ...settings, config: `${directory}/bird.conf` });
    const outcome = await driver.apply(session, [key(1, "preferred")]);
    assert.equal(outcome.kind, "pending");
    assert.match(JSON.stringify(outcome), why);
  }
});

test("a file that everybody could read, or of another group than BIRD's, is put right although no key has changed", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  const text = await readFile(bird.include, "utf8");
  const { restarts } = bird;
  await chmod(bird.include, 0o666);
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
  assert.deepEqual([(await stat(bird.include)).mode & 0o777, bird.restarts], [0o600, restarts]);
  assert.equal(await readFile(bird.include, "utf8"), text);
});

test("what a killed karp left of a file is gone with the next one", async (t) => {
  const { bird, driver, session, directory } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  await writeFile(`${bird.include}.0123456789ab.tmp`, "key { … };");
  await driver.apply(session, [key(1, "preferred"), key(2, "accept")]);
  assert.deepEqual((await readdir(directory)).sort(), ["bird.conf", "bird.ctl", "r2.conf"]);
});

test("the folder of the include file: missing is refused, a link is fine; a link in place of the file is refused", async (t) => {
  const { driver, settings, directory } = await setUp(t);
  const missing = sessionOf("bird", { ...settings, include: `${directory}/missing/r2.conf` });
  assert.match(
    reasonOf(await driver.apply(missing, [key(1, "preferred")])),
    /^refused: cannot write .*ENOENT.*must exist/,
  );
  await mkdir(`${directory}/real`);
  await symlink("real", `${directory}/link`);
  const inLink = await setUp(t, { include: `${directory}/link/r2.conf` });
  const { include } = inLink.bird;
  assert.deepEqual(await inLink.driver.apply(inLink.session, [key(1, "preferred")]), { kind: "installed" });
  assert.match(await readFile(`${directory}/real/r2.conf`, "utf8"), /send id 2;/);
  await symlink(include, `${directory}/file.conf`);
  const linked = sessionOf("bird", { ...settings, include: `${directory}/file.conf` });
  const outcome = await driver.apply(linked, [key(1, "preferred"), key(2, "accept")]);
  assert.match(reasonOf(outcome), /^refused: .*file\.conf is a symbolic link/);
  assert.match(
    (await driver.examine(linked)).map(({ text }) => text).join(),
    /is a symbolic link: name the file itself/,
  );
});

test("BIRD started anew reads the file by itself: no configure; an older BIRD in its place is refused, the file stays", async (t) => {
  const { bird, driver, session, directory } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  await bird.stop();
  const both = [key(1, "preferred"), key(2, "accept")];
  assert.match(reasonOf(await driver.apply(session, both)), /^pending: BIRD is not running: .*the keys are written/);
  await eventually(
    "a later tick of the file clock",
    async () => Date.now() > (await stat(bird.include)).ctimeMs + 250 || undefined,
  );
  bird.configure();
  await bird.start();
  const { configures } = bird;
  assert.deepEqual(await driver.apply(session, both), { kind: "installed" });
  assert.equal(bird.configures, configures);

  await bird.stop();
  const text = await readFile(bird.include, "utf8");
  const older = await new FakeBird({ directory, version: "3.0.2" }).start();
  t.after(() => older.stop());
  const outcome = await driver.apply(session, [key(1, "deprecated"), key(2, "preferred")]);
  assert.match(reasonOf(outcome), /^refused: BIRD 3\.0\.2 has no TCP-AO/);
  assert.equal(await readFile(bird.include, "utf8"), text);
});

test("mode observe: a kernel or a BIRD without TCP-AO is a warning to examine, in the other modes an error", async (t) => {
  const none = { kernelAlgorithms: async () => new Set<never>() };
  const cases = [
    [await setUp(t, {}, none), /this kernel has no TCP-AO: Linux 6\.7/],
    [
      await setUp(t, {}, { kernelAlgorithms: async () => new Set(["hmac-sha-1-96"] as const) }),
      /no TCP-AO with aes-128/,
    ],
    [await setUp(t, { version: "2.16.2" }), /BIRD 2\.16\.2 has no TCP-AO/],
  ] as const;
  for (const [{ driver, settings }, why] of cases) {
    const found = async (mode: "observe" | "opportunistic" | "required") =>
      (await driver.examine(sessionOf("bird", settings, { mode }))).filter(({ text }) => why.test(text));
    assert.deepEqual(
      (await found("observe")).map(({ severity }) => severity),
      ["warning"],
    );
    assert.match((await found("observe"))[0]?.text ?? "", /\(mode observe works without\)$/);
    for (const mode of ["opportunistic", "required"] as const) {
      assert.deepEqual(
        (await found(mode)).map(({ severity }) => severity),
        ["error"],
      );
    }
    const all = await driver.examine(sessionOf("bird", settings, { mode: "observe" }));
    assert.match(all.map(({ text }) => text).join("\n"), /is ready for mode observe$/m);
    assert.ok(!all.some(({ severity }) => severity === "error"));
  }
});

test("revoke where somebody emptied the file: not done while BIRD still uses a key", async (t) => {
  const { bird, driver, session } = await setUp(t);
  await driver.apply(session, [key(1, "preferred")]);
  await writeFile(bird.include, "");
  assert.match(reasonOf(await driver.revoke(session, [])), /^failed: protocol r2 uses SendID 2, which is not in /);
  assert.equal(bird.state, "established", "it may be somebody else's");
  bird.configure();
  assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" });
});

test("a revocation does not wait for the interval, not even beside an apply that does", async (t) => {
  const { bird, driver, settings, directory } = await setUp(t);
  const interval = { ...settings, "configure-interval": "4s" };
  const session = sessionOf("bird", interval);
  await driver.apply(session, [key(1, "preferred"), key(2, "accept")]);
  const startedAt = Date.now();
  const words = { ...interval, include: `${directory}/other.conf`, "protocol-name": "r2" };
  const other = sessionOf("bird", words, { name: "other" });
  const waiting = driver.apply(other, [key(1, "preferred"), key(2, "accept")]);
  await eventually("the apply waits for the interval", async () => Date.now() > startedAt + 300 || undefined);
  assert.deepEqual(await driver.revoke(session, [key(2, "preferred")]), { kind: "revoked" });
  assert.ok(Date.now() - startedAt < 3_000, `${Date.now() - startedAt} ms`);
  assert.ok(!bird.loaded.some(({ sendId }) => sendId === key(1, "accept").sendId));
  await waiting;
});

test("a wall clock that is set back by a day does not hold a configure back for a day", async (t) => {
  let offset = 0;
  const waits: number[] = [];
  const clock = {
    now: () => Date.now() + offset,
    after: (milliseconds: number, action: () => void) => {
      if (milliseconds < 20_000) return systemClock.after(milliseconds, action);
      waits.push(milliseconds);
      return { cancel: () => undefined };
    },
  };
  const { driver, settings } = await setUp(t, {}, { clock });
  const session = sessionOf("bird", { ...settings, "configure-interval": "60s" });
  await driver.apply(session, [key(1, "preferred")]);
  offset = -86_400_000;
  waits.length = 0;
  assert.equal((await driver.apply(session, [key(1, "preferred"), key(2, "accept")])).kind, "pending");
  const longest = Math.max(...waits.filter((wait) => wait !== 300_000));
  assert.ok(longest <= 60_000, `${longest} ms`);
});

test("BIRD's complaint about a line of the include file does not carry a key along", async (t) => {
  const { bird, driver, session } = await setUp(t);
  const [hex = ""] = keyForms([key(1, "preferred")]);
  bird.checkError = `${bird.include}:5:1 bad secret hex:${hex}`;
  const outcome = reasonOf(await driver.apply(session, [key(1, "preferred")]));
  assert.match(outcome, /bad secret hex:\[key\]/);
  assert.ok(!outcome.includes(hex));
});
