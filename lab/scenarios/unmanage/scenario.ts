// karp is broken at three in the morning: both daemons are dead. `karp unmanage` leaves the keys to people, who roll one by
// hand as the command and the guide tell them; then both karps come back and take the session over. It has not noticed.
import { readFileSync, writeFileSync } from "node:fs";
import type { Bird } from "../../lib/bird.ts";
import type { KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertUnbroken, bothCurrent, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { ENDS, endCapture, setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";
import { assertSessionVerified, sentBy, verifyCapture } from "../../lib/verify.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

type Setting = TwoRouters<Bird>;

const HAND_ID = 77;
const HAND_KEY = `send id ${HAND_ID}; recv id ${HAND_ID}; secret hex:${"c3".repeat(16)}; algorithm cmac aes128;`;

export const scenario: Scenario = {
  title: "karp unmanage with both karps dead, a key rolled by hand, karp manage: the session stays up",
  timeoutSeconds: 300,
  async run(lab) {
    const lines = [`reserved-key-ids: [${HAND_ID}]`];
    const setting = await setUpTwoBirds(lab, { credentials: "psk", karps: [{ lines }, { lines }] });
    const first = await keySession(lab, setting);
    const second = await rollOver(lab, setting, 0, "a rollover before");
    await unmanageDead(lab, setting);
    await startedAgain(lab, setting, second);
    await rollByHand(lab, setting);
    const third = await manageAgain(lab, setting);
    const last = await rollOver(lab, setting, 1, "a rollover after");
    await assertCaptured(lab, setting, [first, second], [third, last]);
  },
};

async function unmanageDead(lab: Lab, setting: Setting): Promise<void> {
  lab.step("kill -9 of both karps; karp unmanage at both ends");
  for (const karp of setting.karps) await karp.end("SIGKILL");
  for (const [i, end] of ENDS.entries()) {
    const karp = setting.karps[i as 0 | 1];
    const { keyFile } = setting.daemons[i as 0 | 1].peering;
    const keys = keyLines(keyFile);
    const { code, stdout, stderr } = await karp.cli("unmanage", karp.session.name, "--config", karp.file);
    lab.say(stdout.trim());
    lab.equal(`${end}: karp unmanage works without a daemon`, [code, stderr], [0, ""]);
    const says = [/noted in its store/, new RegExp(`stay in ${keyFile}`), /birdc configure/, /karp manage/];
    lab.equal(
      `${end}: it says where the keys are and how to go on`,
      says.filter((one) => !one.test(stdout)).map(String),
      [],
    );
    lab.check(`${end}: the same keys stand in the file`, keyLines(keyFile).join() === keys.join());
    lab.check(
      `${end}: the file says whose it is`,
      /^# Left to people by karp unmanage/.test(readFileSync(keyFile, "utf8")),
    );
    const secret = /secret hex:([0-9a-f]+)/.exec(keys[0] ?? "")?.[1] ?? "none";
    lab.check(`${end}: no key is printed`, !stdout.includes(secret));
  }
  await assertUnbroken(lab, setting, "unmanaged");
}

async function startedAgain(lab: Lab, setting: Setting, key: KeyRow): Promise<void> {
  lab.step("both karps run again and leave the session alone");
  const files = setting.daemons.map(({ peering }) => readFileSync(peering.keyFile, "utf8"));
  for (const karp of setting.karps) await karp.start();
  for (const [i, end] of ENDS.entries()) {
    const karp = setting.karps[i as 0 | 1];
    const { rollover, safety } = await karp.sessionRow();
    lab.equal(`${end}: karp show says so`, rollover.step, "unmanaged");
    lab.check(`${end}: since when`, /^left to people since 20/.test(safety), safety);
    const refused = await karp.cli("rekey", karp.session.name, "--socket", karp.socket);
    lab.check(
      `${end}: karp rekey is refused`,
      refused.code === 1 && /karp manage/.test(refused.stderr),
      refused.stderr.trim(),
    );
  }
  await passTime(5);
  const now = setting.daemons.map(({ peering }) => readFileSync(peering.keyFile, "utf8"));
  lab.check(
    "karp has written nothing",
    now.every((text, i) => text === files[i]),
  );
  await assertUnbroken(lab, setting, `karp runs, ${key.fingerprint} is static`);
}

/** As the command says it: add, prefer, remove, each at both ends. */
async function rollByHand(lab: Lab, setting: Setting): Promise<void> {
  lab.step("people roll to a key of their own");
  const edit = async (what: string, change: (text: string) => string): Promise<void> => {
    for (const [i, end] of ENDS.entries()) {
      const daemon = setting.daemons[i as 0 | 1];
      const { keyFile } = daemon.peering;
      writeFileSync(keyFile, change(readFileSync(keyFile, "utf8")));
      lab.equal(`${end}: birdc configure: ${what}`, await daemon.configure(), "Reconfigured");
    }
  };
  await edit("added", (text) => text.replace(/^keys \{\n/m, `keys {\n  key { ${HAND_KEY} };\n`));
  await edit("preferred", (text) =>
    text.replace(/ preferred; \};/, " deprecated; };").replace(`${HAND_KEY} };`, `${HAND_KEY} preferred; };`),
  );
  for (const [i, end] of ENDS.entries()) {
    const uses = async (): Promise<boolean> => {
      const { ao } = await setting.daemons[i as 0 | 1].status();
      return ao?.current === HAND_ID && ao.rnext === HAND_ID;
    };
    await waitFor(`${end} to use the key made by hand`, uses, { seconds: 30 });
  }
  await edit("the old ones out", (text) => text.replace(/^(?!.*\{ send id 77;) *key \{ .*\n/gm, ""));
  await assertUnbroken(lab, setting, "rolled by hand");
}

async function manageAgain(lab: Lab, setting: Setting): Promise<KeyRow> {
  lab.step("karp manage at both ends");
  for (const karp of setting.karps) {
    const { code, stdout, stderr } = await karp.cli("manage", karp.session.name, "--config", karp.file);
    lab.equal(`${karp.options.namespace}: karp manage`, [code, stderr], [0, ""]);
    lab.say(stdout.trim());
  }
  const uses = async (): Promise<KeyRow | undefined> => {
    const key = await bothCurrent(setting);
    for (const [i, daemon] of setting.daemons.entries()) {
      const { ao } = await daemon.status();
      if (ao?.current !== (i === 0 ? key.sendId : key.recvId)) return undefined;
      if (readFileSync(daemon.peering.keyFile, "utf8").includes(`send id ${HAND_ID};`)) return undefined;
    }
    return key;
  };
  const key = await waitFor("both ends on a key of karp's, the one made by hand gone", uses, { seconds: 90 });
  for (const [i, end] of ENDS.entries()) {
    const text = readFileSync(setting.daemons[i as 0 | 1].peering.keyFile, "utf8");
    lab.check(`${end}: the file is karp's again`, text.startsWith("# Written by karp"));
  }
  await assertUnbroken(lab, setting, "managed again");
  return key;
}

/** One connection from beginning to end; the key made by hand came after karp's first two and before its last. */
async function assertCaptured(
  lab: Lab,
  setting: Setting,
  before: readonly KeyRow[],
  after: readonly KeyRow[],
): Promise<void> {
  lab.step("the capture, verified by independent code");
  const session = assertSessionVerified(
    lab,
    await verifyCapture(lab, await endCapture(lab, setting), setting.watch.mkts()),
  );
  for (const [i, end] of ENDS.entries()) {
    const id = ({ sendId, recvId }: KeyRow): number => (i === 0 ? sendId : recvId);
    const seen = sentBy(session, setting.addresses[i as 0 | 1]).runs.map(({ keyId }) => keyId);
    const wanted = [...before.map(id), HAND_ID];
    lab.equal(`${end}: karp's keys, then the one made by hand`, seen.slice(0, wanted.length), wanted);
    lab.equal(`${end}: and karp's again at the end`, seen.at(-1), id(after.at(-1) as KeyRow));
  }
}

function keyLines(file: string): readonly string[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("  key {"));
}
