import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseDocument } from "yaml";
import { editDistance, nearest } from "../../src/config/didYouMean.ts";
import { formatProblems } from "../../src/config/formatProblems.ts";
import { initialConfiguration } from "../../src/config/initialConfiguration.ts";
import { maskSecrets } from "../../src/config/maskSecrets.ts";
import { parsePresharedKey } from "../../src/config/presharedKey.ts";
import { parseDuration, parseListen, parseWindow } from "../../src/config/words.ts";
import { Project } from "./project.ts";

test("edit distance counts a swap as one", () => {
  assert.equal(editDistance("remote", "remote"), 0);
  assert.equal(editDistance("remoet", "remote"), 1);
  assert.equal(editDistance("remte", "remote"), 1);
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("", "abc"), 3);
});

test("the nearest word, or none that is near", () => {
  assert.equal(nearest("PSK_File", ["peer", "psk-file"]), "psk-file");
  assert.equal(nearest("modee", ["mode", "remote"]), "mode");
  assert.equal(nearest("xyz", ["mode", "remote"]), undefined);
});

test("durations, windows and listening places read what they print in the guide", () => {
  const seconds = ["90s", "30m", "12h", "30d", "2w", "1 h"].map((text) => parseDuration(text));
  assert.deepEqual(
    seconds.map((result) => result.ok && result.value),
    [90, 1800, 43_200, 2_592_000, 1_209_600, 3600],
  );
  assert.deepEqual(parseWindow("22:00-24:00 UTC"), { ok: true, value: { startMinute: 1320, endMinute: 1440 } });
  assert.deepEqual(parseWindow("2:00 - 4:30 Z"), { ok: true, value: { startMinute: 120, endMinute: 270 } });
  assert.deepEqual(parseListen("[::1]"), { ok: true, value: { address: "::1", port: 500 } });
});

test("a pre-shared key is taken without its line end, decoded only when it says so", () => {
  const key = (content: string): string => {
    const result = parsePresharedKey(Buffer.from(content, "latin1"));
    return result.ok ? Buffer.from(result.value).toString("latin1") : result.what;
  };
  assert.equal(key("secret text\n"), "secret text");
  assert.equal(key("secret text\r\n"), "secret text");
  assert.equal(key("secret text \n\n"), "secret text \n");
  assert.equal(key("0x414243\n"), "ABC");
  assert.equal(key("0sQUJD\n"), "ABC");
  assert.equal(key("QUJD"), "QUJD");
  assert.equal(key("\x00\xff\n"), "\x00\xff");
});

test("lines keep their length when a secret is masked", () => {
  assert.equal(maskSecrets("    psk: hunter2"), "    psk: *******");
  assert.equal(maskSecrets('  - { "password": x, a: b }'), '  - { "password": *********');
  assert.equal(maskSecrets("  psk-file: /etc/karp/r2.psk"), "  psk-file: /etc/karp/r2.psk");
  assert.equal(maskSecrets("  private-key: /etc/karp/r1.key"), "  private-key: /etc/karp/r1.key");
  assert.equal(maskSecrets(`x: ${"a1".repeat(16)} y`), `x: ${"*".repeat(32)} y`);
  assert.equal(maskSecrets(`fingerprint: sha256:${"ab".repeat(32)}`), `fingerprint: sha256:${"ab".repeat(32)}`);
  fc.assert(fc.property(fc.string(), (line) => maskSecrets(line).length === line.length));
});

test("the caret stands under its place after a tab", () => {
  const problem = {
    severity: "error",
    code: "x",
    file: "f",
    line: 3,
    column: 2,
    length: 2,
    path: "",
    what: "w",
    advice: "a",
  } as const;
  assert.equal(formatProblems([{ ...problem, excerpt: "\tab" }]), "f:3:2: error: w\n  3 | \tab\n    | \t^^\n    = a");
});

test("karp init: the text is YAML that passes once its files are there", async (t) => {
  const text = initialConfiguration({
    router: "r1.example.net",
    session: "core-1",
    local: "192.0.2.1",
    remote: "192.0.2.2",
    peer: "r7.example.net",
  });
  assert.deepEqual(parseDocument(text).errors, []);
  const result = await new Project(t).load(text.replaceAll("/etc/karp/", ""));
  assert.ok(result.ok, result.ok ? "" : formatProblems(result.problems));
  const [session] = result.configuration.sessions;
  assert.deepEqual(
    [
      session?.name,
      session?.mode,
      session?.localAddress,
      session?.remoteAddress,
      session?.peer,
      session?.rollover.everySeconds,
    ],
    ["core-1", "observe", "192.0.2.1", "192.0.2.2", "r7.example.net", 2_592_000],
  );
  assert.ok(
    (await new Project(t).load(initialConfiguration({}).replaceAll("/etc/karp/", ""))).ok,
    "the examples pass as well",
  );
});

test("any text is a result, never a fault", async (t) => {
  const project = new Project(t);
  const yamlish = fc.array(
    fc.constantFrom(
      "router",
      "sessions",
      "r2",
      ":",
      " ",
      "\n",
      "  ",
      "- ",
      "{",
      "}",
      "[",
      "]",
      "10.0.0.1",
      "&a",
      "*a",
      "!t",
      "'",
      '"',
      "|",
      "\t",
      "#",
      "peer",
      "null",
      "~",
      "__proto__",
      "constructor",
    ),
    { maxLength: 40 },
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    yamlish.map((parts) => parts.join("")),
  );
  await fc.assert(
    fc.asyncProperty(text, async (yaml) => {
      const result = await project.load(yaml);
      if (!result.ok) {
        assert.ok(result.problems.length > 0);
        formatProblems(result.problems);
      }
    }),
    { numRuns: 500 },
  );
});
