import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { cannotBeNobody, Karp } from "../daemon/site.ts";
import { header, Project, r2 } from "./project.ts";

const good = `${header}\nsessions:\n${r2}\n`;
const withPsk = `router: r1.example.net\nsessions:\n${r2.replace(" }", ", psk-file: r2.psk }")}\n`;
const NOBODY = 65_534;

/** What is wrong, and nothing else. */
async function refusal(project: Project, yaml: string): Promise<string> {
  const loaded = await project.load(yaml);
  assert.ok(!loaded.ok, "it was accepted");
  assert.equal(loaded.problems.length, 1, JSON.stringify(loaded.problems));
  const [{ code, what, advice } = { code: "", what: "", advice: "" }] = loaded.problems;
  return `${code}: ${what.replaceAll(project.directory, "<dir>")}; ${advice}`;
}

function makePipe(path: string): void {
  assert.equal(spawnSync("sh", ["-c", 'mkfifo -m 600 "$0"', path]).status, 0);
}

describe("files that are not what they should be", () => {
  test("a pipe that nobody writes to is refused at once, as configuration and as secret", async (t) => {
    const project = new Project(t);
    makePipe(project.path("karp.yaml"));
    const { code, stdout } = await Karp.run(["check", "--offline", "--config", project.path("karp.yaml")]);
    assert.equal(code, 1);
    assert.match(stdout, /karp\.yaml is not a file/);
    const other = new Project(t);
    makePipe(other.path("x.psk"));
    assert.equal(
      await refusal(other, withPsk.replace("r2.psk", "x.psk")),
      "unreadableFile: <dir>/x.psk is not a file; name a file",
    );
  });

  test("a device, a link to itself: said", async (t) => {
    const device = await Karp.run(["check", "--offline", "--config", "/dev/zero"]);
    assert.match(device.stdout, /error: \/dev\/zero is not a file\n/);
    const project = new Project(t);
    symlinkSync("x.psk", project.path("x.psk"));
    assert.match(await refusal(project, withPsk.replace("r2.psk", "x.psk")), /x\.psk is a link that leads to itself; /);
  });

  test("a link to a secret is followed: its target's mode is what counts", async (t) => {
    const project = new Project(t);
    symlinkSync("r2.psk", project.path("x.psk"));
    const yaml = withPsk.replace("r2.psk", "x.psk");
    assert.equal((await project.load(yaml)).ok, true);
    chmodSync(project.path("r2.psk"), 0o644);
    assert.match(await refusal(project, yaml), /^openSecret: <dir>\/x\.psk has mode 0644/);
  });

  test("more than any configuration, brackets thousands deep: refused in words, not by a crash", async (t) => {
    const project = new Project(t);
    assert.equal(
      await refusal(project, `${good}${"# filler\n".repeat(2_000_000)}`),
      "unreadableFile: <dir>/karp.yaml is too large for what it should be; name the right file",
    );
    for (const deep of ["[".repeat(100_000), "{a: ".repeat(10_000), `${"[".repeat(20_000)}${"]".repeat(20_000)}`])
      assert.match(await refusal(project, `router: ${deep}\n`), /^syntax: not valid YAML: brackets within brackets/);
    for (const [open, close] of [
      ["[", "]"],
      ["{a: ", "}"],
    ] as const) {
      // Less deep than what the parser gives up at: read, and refused for what it is
      const loaded = await project.load(`router: ${open.repeat(300)}${close.repeat(300)}\n`);
      assert.ok(!loaded.ok);
      assert.ok(loaded.problems.some(({ code }) => code === "wrongKind"));
    }
  });

  test("a bomb of aliases is refused before anything is multiplied", async (t) => {
    const lines = Array.from({ length: 30 }, (_, index) => {
      const references = Array.from({ length: 9 }, () => (index === 0 ? "x" : `*a${index - 1}`));
      return `a${index}: &a${index} [${references.join(", ")}]`;
    });
    const from = performance.now();
    const loaded = await new Project(t).load(lines.join("\n"));
    assert.ok(!loaded.ok);
    assert.ok(loaded.problems.every(({ code }) => code === "anchor"));
    assert.ok(performance.now() - from < 5000);
  });

  test("words that JavaScript knows are words like any other", async (t) => {
    const loaded = await new Project(t).load(`${header}\n__proto__: { router: x }\nsessions:\n${r2}\n`);
    assert.ok(!loaded.ok);
    assert.deepEqual(
      loaded.problems.map(({ what }) => what),
      ["`__proto__` is not a word that belongs here"],
    );
  });

  test("a secret that somebody else owns is refused: who owns it can change it", {
    skip: cannotBeNobody,
  }, async (t) => {
    const project = new Project(t);
    project.write("karp.yaml", withPsk, 0o644);
    chmodSync(project.directory, 0o755);
    for (const name of readdirSync(project.directory)) chownSync(join(project.directory, name), NOBODY, NOBODY);
    const check = async () =>
      await Karp.run(["check", "--offline", "--config", project.path("karp.yaml")], { uid: NOBODY });
    const own = await check();
    assert.equal(own.code, 0, own.stdout);
    chownSync(project.path("r2.psk"), 2, NOBODY);
    chmodSync(project.path("r2.psk"), 0o640);
    const { code, stdout } = await check();
    assert.equal(code, 1);
    assert.match(stdout, /r2\.psk belongs to uid 2, who can change it, and neither to root nor to karp's user\n/);
    assert.match(stdout, new RegExp(`= chown ${NOBODY} .*r2\\.psk, and replace the secret`));
    chownSync(project.path("r2.psk"), 0, NOBODY);
    assert.equal((await check()).code, 0, "root's, for karp's group to read");
  });
});

describe("certificate files as people make them", () => {
  async function accepted(t: TestContext, change: (pem: string, project: Project) => string): Promise<number> {
    const project = new Project(t);
    project.write("r1.pem", change(project.read("r1.pem"), project), 0o644);
    const loaded = await project.load(good);
    assert.ok(loaded.ok, JSON.stringify(loaded));
    const [peer] = loaded.configuration.peers;
    const { localAuthentication: local } = peer ?? {};
    return local?.kind === "signature" ? local.certificates.length : 0;
  }

  test("text around it, CRLF, no line end, a byte order mark, the chain behind it", async (t) => {
    assert.equal(await accepted(t, (pem) => `Certificate:\n    Data: -- 3 --\n${pem}`), 1);
    assert.equal(await accepted(t, (pem) => pem.replaceAll("\n", "\r\n")), 1);
    assert.equal(await accepted(t, (pem) => pem.trimEnd()), 1);
    assert.equal(await accepted(t, (pem) => `\ufeff${pem}`), 1);
    assert.equal(await accepted(t, (pem, project) => `${pem}${project.read("ca.pem")}`), 2);
    assert.equal(await accepted(t, (pem, project) => `${pem.trimEnd()}${project.read("ca.pem")}`), 2);
    assert.equal(
      await accepted(t, (pem) =>
        pem
          .replaceAll("CERTIFICATE-----", "CERTIFICATE-----")
          .replaceAll("BEGIN ", "BEGIN X509 ")
          .replaceAll("END ", "END X509 "),
      ),
      1,
    );
  });

  test("a chain in the wrong order: said, with the place of our own certificate", async (t) => {
    const project = new Project(t);
    project.write("r1.pem", `${project.read("ca.pem")}${project.read("r1.pem")}`, 0o644);
    const loaded = await project.load(good);
    assert.ok(!loaded.ok);
    const order = loaded.problems.find(({ code }) => code === "chainOrder");
    assert.equal(order?.what, "the certificate of the private key is number 2 in its file");
    assert.equal(order?.advice, "put it first, then the intermediate ones");
  });

  test("a block that is cut off, in the chain or in the trust file: refused, not left out", async (t) => {
    for (const name of ["r1.pem", "ca.pem"]) {
      const project = new Project(t);
      const whole = project.read(name);
      project.write(name, `${whole}${whole.slice(0, whole.length / 2)}`, 0o644);
      assert.match(
        await refusal(project, good),
        new RegExp(`^badCertificate: ${name} holds no certificate that can be read`),
      );
    }
  });
});
