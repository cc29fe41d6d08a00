import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { makeDemoCertificates } from "../../src/cli/demo/certificates.ts";
import { init } from "../../src/cli/init.ts";
import { Karp, karp, Site } from "../daemon/site.ts";

const commands = [
  "run",
  "check",
  "diff",
  "init",
  "demo",
  "doctor",
  "show",
  "rekey",
  "revoke",
  "freeze",
  "thaw",
  "handout",
  "reload",
];
const shown = ["peers", "sessions", "keys", "rollovers", "events"];

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "karp-cli-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A Node.js on this machine that is older than karp's. */
function oldNode(): string | undefined {
  const candidates = ["/usr/bin/node", "/usr/local/bin/node", "/usr/bin/nodejs"].filter(existsSync);
  return candidates.find((path) => {
    const { stdout } = spawnSync(path, ["-p", "process.versions.node"], { encoding: "utf8" });
    return Number(stdout.split(".")[0]) < 24;
  });
}

describe("command line", { concurrency: 2 }, () => {
  test("karp --help lists every command; every command has a --help with its options", async () => {
    const { code, stdout } = await Karp.run(["--help"]);
    assert.equal(code, 0);
    for (const command of commands) assert.match(stdout, new RegExp(`^ {2}${command} .*[a-z]{4}`, "m"), command);
    const all = [...commands.map((name) => [name]), ...shown.map((name) => ["show", name])];
    const helps = await Promise.all(all.map(async (words) => ({ words, ...(await Karp.run([...words, "--help"])) })));
    for (const { words, code: status, stdout: text } of helps) {
      assert.equal(status, 0, words.join(" "));
      assert.match(text, new RegExp(`^Usage: karp ${words.join(" ")} `), words.join(" "));
      assert.ok(
        words[0] === "init" ||
          words[0] === "run" ||
          words[0] === "handout" ||
          (words[0] === "show" && words.length === 1) ||
          /--json/.test(text),
        `${words.join(" ")} has --json`,
      );
    }
  });

  test("what is mistyped is answered with what was meant", async () => {
    const command = await Karp.run(["rekye", "r2"]);
    assert.equal(command.code, 1);
    assert.match(command.stderr, /unknown command 'rekye'\n\(Did you mean rekey\?\)/);
    const option = await Karp.run(["freeze", "--fro", "2h"]);
    assert.equal(option.code, 1);
    assert.match(option.stderr, /unknown option '--fro'\n\(Did you mean --for\?\)/);
    const duration = await Karp.run(["freeze", "--for", "2 hours"]);
    assert.equal(duration.code, 1);
    assert.match(duration.stderr, /a duration such as 90s, 30m, 12h or 2d/);
  });

  test("revoke asks to be told twice", async () => {
    const { code, stderr } = await Karp.run(["revoke", "r2"]);
    assert.equal(code, 1);
    assert.equal(stderr, "karp: this ends session r2; say it again with --yes if a key was compromised\n");
  });

  test("karp show, rekey and the rest without a daemon say what to do", async (t) => {
    const socket = join(folder(t), "none.sock");
    for (const words of [["show", "rollovers"], ["show", "keys", "--json"], ["rekey", "r2"], ["reload"], ["diff"]]) {
      const { code, stdout, stderr } = await Karp.run([...words, "--socket", socket]);
      assert.equal(code, 1, words.join(" "));
      assert.equal(stdout, "");
      assert.equal(
        stderr,
        `karp: no karp daemon answers on ${socket}; start it with \`karp run\`, or name its socket with --socket\n`,
      );
    }
  });

  test("karp init refuses what cannot be, and writes nothing", async (t) => {
    const config = join(folder(t), "karp.yaml");
    const wrong = ["--session", "R 2", "--local", "foo", "--remote", "10.0.0.2/24", "--include", "r2.conf"];
    const { code, stderr } = await Karp.run(["init", "--config", config, ...wrong]);
    assert.equal(code, 1);
    for (const word of wrong.filter((one) => one.startsWith("--"))) assert.ok(stderr.includes(word), word);
    assert.ok(!existsSync(config));
  });

  test("karp init writes what karp check accepts once the files are there, and touches nothing that exists", async (t) => {
    const home = folder(t);
    const config = join(home, "karp.yaml");
    const include = join(home, "bird", "r2.conf");
    const words = [
      "init",
      "--config",
      config,
      "--include",
      include,
      "--router",
      "r1.example.net",
      "--peer",
      "r2.example.net",
    ];
    const { code, stdout } = await Karp.run(words);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^wrote .*karp\.yaml \(mode observe: karp will negotiate and roll keys, and touch nothing\)\nwrote .*r2\.conf \(.*(group bird|chgrp bird).*\)\n\nNext:\n {2}1\. /,
    );
    assert.match(readFileSync(include, "utf8"), /^# Written by karp/);
    assert.ok(
      readFileSync(config, "utf8").includes(`bird: { include: "${include}" }`),
      "karp writes the file that BIRD reads",
    );

    const again = await Karp.run(words);
    assert.equal(again.code, 1);
    assert.match(
      again.stderr,
      /^karp: .*karp\.yaml exists and stays as it is; edit it, or name another file with --config\n$/,
    );

    const early = await Karp.run(["check", "--offline", "--config", config]);
    assert.equal(early.code, 1);
    assert.match(early.stdout, /karp\.yaml:\d+:\d+: error: .*does not exist/);
    assert.doesNotMatch(`${early.stdout}${early.stderr}`, /^ {4}at /m);

    const [own] = makeDemoCertificates(["r1.example.net"], Date.now()).routers;
    const { authority } = makeDemoCertificates(["r1.example.net"], Date.now());
    writeFileSync(join(home, "r1.pem"), own?.certificate ?? "");
    writeFileSync(join(home, "r1.key"), own?.privateKey ?? "", { mode: 0o600 });
    writeFileSync(join(home, "ca.pem"), authority);
    writeFileSync(config, readFileSync(config, "utf8").replaceAll("/etc/karp/", `${home}/`));
    const late = await Karp.run(["check", "--offline", "--config", config]);
    assert.equal(late.code, 0, late.stdout);
    assert.equal(late.stdout, `ok      configuration: ${config}: 1 session, 1 peer\n`);
    const json = await Karp.run(["check", "--offline", "--json", "--config", config]);
    assert.equal((JSON.parse(json.stdout) as { severity: string }[])[0]?.severity, "ok");
  });

  test("karp init gives the include file to BIRD's group, where there is one", {
    skip: process.getuid?.() === 0 ? false : "only root can give files away",
  }, async (t) => {
    const home = folder(t);
    const groupFile = join(home, "group");
    const make = async (name: string, groups: string): Promise<readonly [string, number]> => {
      writeFileSync(groupFile, groups);
      const include = join(home, `${name}.conf`);
      const text = await init({ config: join(home, `${name}.yaml`), include, groupFile });
      return [text.split("\n")[1] ?? "", statSync(include).gid];
    };
    const [found, gid] = await make("with", "daemon:x:1:\nbird:x:4711:karp\n");
    assert.match(found, /^wrote .*with\.conf \(group bird\)$/);
    assert.equal(gid, 4711);
    const [missing, own] = await make("without", "blackbird:x:5:\n");
    assert.match(missing, /\(there is no group bird here: let the group that BIRD runs in read it\)$/);
    assert.equal(own, process.getgid?.());
  });

  test("karp run with a configuration that is not there says how to make one, and nothing was started", async (t) => {
    const config = join(folder(t), "karp.yaml");
    const { code, stderr } = await Karp.run(["run", "--config", config]);
    assert.equal(code, 1);
    assert.match(stderr, /karp\.yaml.* does not exist/);
    assert.match(stderr, /karp init/);
    assert.match(stderr, /^karp: nothing was started; keys that are in place stay there/m);
  });

  test("an old Node.js gets two sentences instead of a syntax error", {
    skip: oldNode() === undefined ? "no Node.js older than 24 on this machine: the refusal was NOT seen" : false,
  }, async () => {
    for (const words of [["--version"], ["run"], ["demo", "--json"]]) {
      const { code, stdout, stderr } = await Karp.run(words, { node: oldNode() ?? "" });
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.match(
        stderr,
        /^karp needs Node\.js 24 or newer, and this is v\d+\.\d+\.\d+ \(\/.*node.*\)\.\nIn a checkout, run `npm ci` and then `npm run karp -- …`/,
      );
    }
  });

  for (const script of [
    "scripts/test.js",
    "scripts/verify.js",
    "scripts/build.js",
    "registry/generate.js",
    "lab/run.js",
    "bench/run.js",
    "interop/run.js",
  ]) {
    test(`an old Node.js gets the same from ${script}`, {
      skip: oldNode() === undefined ? "no Node.js older than 24 on this machine: the refusal was NOT seen" : false,
    }, () => {
      const file = join(import.meta.dirname, "../../../..", script);
      const { status, stdout, stderr } = spawnSync(oldNode() ?? "", [file], { encoding: "utf8" });
      assert.deepEqual({ status, stdout }, { status: 1, stdout: "" });
      assert.match(
        stderr,
        /^karp needs Node\.js 24 or newer, and this is v\d+\.\d+\.\d+ \(\/.*node.*\)\.\nIn a checkout, run `npm ci`/,
      );
    });
  }

  test("karp doctor: from the kernel up to the peers, each line with what to do, worst last", async (t) => {
    const { r1, r2 } = await Site.create(t);
    const down = await Karp.run(["doctor", "--config", r1.configurationFile]);
    assert.equal(down.code, 1);
    assert.match(down.stdout, /^ok {6}machine: Node\.js v24/m);
    assert.match(down.stdout, /^(ok {6}|WARNING )kernel: (has TCP-AO|has no TCP-AO: BIRD cannot use a key)/m);
    const lines = down.stdout.trimEnd().split("\n");
    assert.equal(
      lines.at(-1),
      `ERROR   daemon: no karp daemon answers on ${r1.socket}; start it with \`karp run\`, or name its socket with --socket`,
    );

    await Promise.all([r1.start(), r2.start()]);
    const key = await r1.current();
    const up = await Karp.run(["doctor", "--config", r1.configurationFile]);
    assert.equal(up.code, 0, up.stdout);
    assert.match(up.stdout, new RegExp(`^ok {6}daemon: answers on ${r1.socket}$`, "m"));
    assert.match(
      up.stdout,
      new RegExp(
        `^ok {6}peer r2\\.test\\.example: IKE SA with r2\\.test\\.example at ${r2.self.address}:${r2.self.ike}, AES-GCM`,
        "m",
      ),
    );
    assert.match(
      up.stdout,
      new RegExp(`^ok {6}session bgp1: protected with key ${key} \\(aes-128-cmac-96\\); idle$`, "m"),
    );
    const findings = JSON.parse((await Karp.run(["doctor", "--json", "--config", r1.configurationFile])).stdout) as {
      severity: string;
    }[];
    assert.ok(findings.length >= 5 && findings.every(({ severity }) => severity !== "error"));
  });

  test("commands against a daemon: answers, exit status, names that do not exist", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    const at = ["--socket", r1.socket];
    const rekey = await Karp.run(["rekey", "bgp1", ...at]);
    assert.deepEqual([rekey.code, rekey.stdout], [0, "a new key for bgp1 is being negotiated\n"]);
    const unknown = await Karp.run(["rekey", "bgp2", ...at]);
    assert.deepEqual([unknown.code, unknown.stderr], [1, "karp: there is no session bgp2; there are bgp1\n"]);
    const show = await Karp.run(["show", "keys", "bgp2", ...at]);
    assert.deepEqual([show.code, show.stderr], [1, "karp: there is no session bgp2; there are bgp1\n"]);
    const rows = await Karp.run(["show", "keys", "bgp1", "--rfc7210", ...at]);
    assert.equal(rows.code, 0);
    assert.match(rows.stdout, /^# now: sends, accepts\nAdminKeyName: bgp1\/[0-9a-f]{16}\nLocalKeyName: [0-9a-f]{2}\n/m);
    assert.match(rows.stdout, /^Key: \(not shown\)\nDirection: both\nSendLifetimeStart: [0-9]{14}Z$/m);
    const freeze = await Karp.run(["freeze", "--for", "2h", ...at]);
    assert.deepEqual([freeze.code, freeze.stdout], [0, "rollovers of bgp1 are frozen for 7200 s\n"]);
    const thaw = await Karp.run(["thaw", "bgp1", "--json", ...at]);
    assert.deepEqual(JSON.parse(thaw.stdout), { ok: true, text: "rollovers of bgp1 may begin again" });
    const diff = await Karp.run(["diff", ...at]);
    assert.deepEqual([diff.code, diff.stdout], [0, "a reload would change nothing\n"]);
    const byEnvironment = await Karp.run(["show", "sessions"], { env: { ...process.env, KARP_SOCKET: r1.socket } });
    assert.match(byEnvironment.stdout, /^SESSION +PROTOCOL +DRIVER +MODE +SAFE\? +ROLLOVER +WHY\nbgp1 /);
  });

  test("a daemon with nothing to do: every view says so in words", async (t) => {
    const { r1 } = await Site.create(t);
    r1.configure({ top: { sessions: {} } });
    await r1.start();
    const said = await Promise.all(
      shown.map(async (what) => (await Karp.run(["show", what, "--socket", r1.socket])).stdout),
    );
    assert.deepEqual(said.slice(0, 4), [
      "no peers: no session is configured\n",
      "no session is configured\n",
      "no keys yet; karp show rollovers says who is waited for\n",
      "no session is configured\n",
    ]);
  });

  test("start-up time", async (t) => {
    const { r1 } = await Site.create(t);
    const from = performance.now();
    await Karp.daemon(t, r1);
    const started = performance.now();
    await Karp.run(["show", "sessions", "--socket", r1.socket]);
    const end = performance.now();
    t.diagnostic(
      `from sources: start to answering ${Math.round(started - from)} ms, karp show ${Math.round(end - started)} ms`,
    );
    assert.ok(end - from < 30_000);
  });

  test("the entry is plain JavaScript of long ago: an old engine gets as far as the version check", () => {
    const source = readFileSync(karp, "utf8");
    const check = source.slice(0, source.indexOf("process.exit(1)"));
    assert.doesNotMatch(check, /^import |\?\.|\?\?|=>|\bawait\b/m);
  });
});
