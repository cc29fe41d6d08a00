import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { findProtocol } from "../../src/drivers/bird/configScan.ts";
import { createBirdDriver } from "../../src/drivers/bird/driver.ts";
import { editBlock } from "../../src/drivers/bird/editBlock.ts";
import { createBirdHandover } from "../../src/drivers/bird/handover.ts";
import { obstacle } from "../../src/drivers/bird/look.ts";
import { parseProtocols } from "../../src/drivers/bird/protocolDetails.ts";
import type { Reply } from "../../src/drivers/bird/replies.ts";
import { birdSettings } from "../../src/drivers/bird/settings.ts";
import { HandoverFailure } from "../../src/ports/handover.ts";
import { FakeBird } from "./fakeBird.ts";
import { context, folder, key, sessionOf } from "./support.ts";

const OURS = "/var/lib/karp/bird/r2.conf";

async function edited(t: TestContext, block: string): Promise<string | undefined> {
  const file = `${folder(t)}/bird.conf`;
  await writeFile(file, `# top\nprotocol bgp r2 {${block}}\n# end\n`);
  const found = await findProtocol(file, "r2", OURS);
  assert.ok(found);
  const text = (await editBlock(found, OURS)).text;
  return text?.slice("# top\nprotocol bgp r2 {".length, -"\n# end\n".length);
}

test("the include line comes last, on a line of its own", async (t) => {
  assert.equal(await edited(t, "\n  local as 1;\n"), `\n  local as 1;\ninclude "${OURS}";\n}`);
  assert.equal(await edited(t, " local as 1; "), ` local as 1; \ninclude "${OURS}";\n}`);
  assert.equal(await edited(t, `\ninclude "${OURS}";\n`), undefined);
});

test("a password and its word go, and nothing else", async (t) => {
  const include = `include "${OURS}";\n}`;
  assert.equal(
    await edited(t, '\n  authentication md5;\n  password "a;}"; # old\n  ipv4 { };\n'),
    `\n   # old\n  ipv4 { };\n${include}`,
  );
  assert.equal(await edited(t, `\n  password "x"; local as 1;\ninclude "${OURS}";\n`), `\n   local as 1;\n${include}`);
});

test("keys of TCP-AO stay above the include line; below it they overrule it, which is said", async (t) => {
  const keys = '  authentication ao; keys { key { id 1; secret "a"; }; };\n';
  assert.equal(await edited(t, `\n${keys}`), `\n${keys}include "${OURS}";\n}`);
  await assert.rejects(edited(t, `\ninclude "${OURS}";\n${keys}`), /overrule it: move that line below them/);
});

async function setUp(t: TestContext) {
  const bird = await new FakeBird({ directory: folder(t) }).start();
  t.after(() => bird.stop());
  await writeFile(bird.include, "", { mode: 0o640 });
  const { control, config, include } = bird;
  const settings = { control, config, include, group: "none", "configure-interval": "0ms" };
  return { bird, session: sessionOf("bird", settings), handover: createBirdHandover(context()) };
}

/** bird.conf, and a password in the block. */
async function withPassword({ config }: FakeBird): Promise<string> {
  const text = await readFile(config, "utf8");
  const changed = text.replace("\n  neighbor ", '\n  password "x";\n  neighbor ');
  assert.notEqual(changed, text);
  return changed;
}

test("takeOver refuses while somebody's edit waits; what BIRD does not take goes back", async (t) => {
  const { bird, session, handover } = await setUp(t);
  const before = await withPassword(bird);
  const startedAt = Date.now();
  // The kernel's clock of files lags by up to a tick
  do await writeFile(bird.config, before);
  while ((await stat(bird.config)).mtimeMs <= startedAt);
  await assert.rejects(
    handover.takeOver(session),
    (error) => error instanceof HandoverFailure && /run birdc configure first/.test(error.message),
  );
  assert.equal(await readFile(bird.config, "utf8"), before);
  bird.configure();
  await handover.takeOver(session);
  assert.ok(!(await readFile(bird.config, "utf8")).includes("password"));
  const copy = `${bird.include}.before-migrate`;
  assert.equal(await readFile(copy, "utf8"), before, "for whoever comes after a kill -9");
  assert.equal((await stat(copy)).mode & 0o777, 0o600);
  await handover.settle?.(session);
  await assert.rejects(stat(copy), /ENOENT/);
});

test("takeOver after a migration that was killed: what it left is said, and stays", async (t) => {
  const { bird, session, handover } = await setUp(t);
  const copy = `${bird.include}.before-migrate`;
  await writeFile(copy, "as it was");
  const text = await withPassword(bird);
  await writeFile(bird.config, text);
  bird.configure();
  await assert.rejects(handover.takeOver(session), /before a migration that was killed: cp .*before-migrate/);
  assert.equal(await readFile(copy, "utf8"), "as it was");
  assert.equal(await readFile(bird.config, "utf8"), text);
});

test("release keeps keys, mode and owner; the driver adopts them again as its own", async (t) => {
  const { bird, session, handover } = await setUp(t);
  const driver = createBirdDriver(context());
  t.after(() => driver.close());
  await driver.apply(session, [key(1, "preferred")]);
  const { restarts } = bird;
  const { mode } = await stat(bird.include);
  const outcome = await handover.release(session, "2026-01-02T03:04:05.678Z");
  assert.ok(outcome.kind === "released" && outcome.carryOn.some((line) => line.includes("send id 2, recv id 3")));
  const text = await readFile(bird.include, "utf8");
  assert.match(text, /^# Left to people by karp unmanage of session r2 at 2026-01-02T03:04:05\.678Z\.\n/);
  assert.equal((await stat(bird.include)).mode, mode);
  bird.configure();
  assert.deepEqual(await driver.apply(session, [key(1, "preferred"), key(2, "accept")]), { kind: "installed" });
  assert.match(await readFile(bird.include, "utf8"), /^# Written by karp/);
  assert.equal(bird.restarts, restarts);
});

test("drift: somebody's hand in karp's file is said, a changed word of ours is put back, what is not ours is left", async (t) => {
  const { bird, session } = await setUp(t);
  const driver = createBirdDriver(context());
  t.after(() => driver.close());
  const drift = async (): Promise<string | undefined> => {
    const outcome = await driver.observe(session);
    return outcome.kind === "observed" ? outcome.observation.drift : outcome.reason;
  };
  const keys = [key(1, "preferred"), key(2, "accept")];
  await driver.apply(session, keys);
  assert.equal(await drift(), undefined);
  const ours = await readFile(bird.include, "utf8");
  await writeFile(bird.include, ours.replace(/secret hex:../, "secret hex:ff"));
  assert.match((await drift()) ?? "", /was changed by somebody$/);
  assert.deepEqual(await driver.apply(session, keys), { kind: "installed" });
  assert.equal(await readFile(bird.include, "utf8"), ours);
  assert.equal(await drift(), undefined);
  const theirs = ours.replace("};\n", '  key { id 9; secret "mine"; };\n};\n');
  await writeFile(bird.include, theirs);
  assert.match((await drift()) ?? "", /changed by somebody|not written by karp/);
  assert.equal((await driver.apply(session, keys)).kind, "foreign");
  assert.equal(await readFile(bird.include, "utf8"), theirs);
});

test("the session's VRF and the protocol's must be the same: the kernel looks keys up by VRF", () => {
  const reply = (vrf: readonly string[]): Reply => ({
    code: 0,
    lines: [
      { code: 1002, text: "r2         BGP        ---        up     1763708400.000000  Established" },
      ...vrf.map((text) => ({ code: 1006, text })),
      { code: 1006, text: "  BGP state:          Established" },
      { code: 1006, text: "    Neighbor address: 2001:0db8::2" },
    ],
  });
  const status = { version: "3.4.0", lastReconfigurationAt: 0, state: "running" } as const;
  const said = (lines: readonly string[], changes: Parameters<typeof sessionOf>[2]): string | undefined => {
    const session = sessionOf("bird", {}, { remoteAddress: "2001:db8:0::2", ...changes });
    return obstacle({ status, protocol: parseProtocols(reply(lines)).get("r2") }, session, birdSettings(session));
  };
  assert.equal(said([], {}), undefined);
  assert.equal(said(["  VRF:                red"], { vrf: "red" }), undefined);
  assert.match(said(["  VRF:                red"], {}) ?? "", /has vrf "red", the session has none: set vrf: red/);
  assert.match(said([], { vrf: "red" }) ?? "", /has no `vrf`, the session has vrf: red: take `vrf` out/);
});
