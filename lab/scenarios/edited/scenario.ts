// Somebody else works on the router: on karp's own key file, on bird.conf that is half edited, with an undo that runs, with a
// session disabled in birdc.
// karp activates nobody's half work, says what it waits for, and goes on when the person has finished.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { type Bird, bird, moreProtocol } from "../../lib/bird.ts";
import type { KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertHistory, assertUnbroken, bothCurrent, keySession, rollOver, waitForOther } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

type Setting = TwoRouters<Bird>;

/** A session of r1's that karp has nothing to do with; nobody is there. */
const OTHER = "r3";
const HAND_KEY = `  key { send id 201; recv id 202; secret hex:${"5a".repeat(16)}; algorithm cmac aes128; };\n`;

export const scenario: Scenario = {
  title: "key file edited by hand, bird.conf half edited, `configure timeout` pending, a session disabled in birdc",
  timeoutSeconds: 300,
  async run(lab) {
    const other = { protocol: OTHER, local: "10.0.0.1", localAs: 65001, remote: "10.0.0.77", remoteAs: 65077 };
    const setting = await setUpTwoBirds(lab, { daemons: bird({ configurationLines: [moreProtocol(other, [])] }) });
    const history = [await keySession(lab, setting)];
    history.push(await keyFileEdited(lab, setting));
    history.push(await halfEdited(lab, setting));
    history.push(await undoPending(lab, setting));
    history.push(await disabledByHand(lab, setting));
    history.push(await rollOver(lab, setting, 1, "rollovers go on"));
    await assertHistory(lab, setting, history);
  },
};

/** The operator adds a key of his own to karp's file; karp leaves it alone and says so; it goes on when it is out again. */
async function keyFileEdited(lab: Lab, setting: Setting): Promise<KeyRow> {
  lab.step("a key is written into karp's file by hand, and activated");
  const [bird] = setting.daemons;
  const { keyFile } = bird.options.peering;
  const ours = readFileSync(keyFile, "utf8");
  const edited = ours.replace(/^};$/m, `${HAND_KEY}};`);
  if (edited === ours) throw new Error(`the lab does not find the end of the block in ${keyFile}`);
  writeFileSync(keyFile, edited);
  lab.equal("the operator's configure", await bird.configure(), "Reconfigured");
  const old = await bothCurrent(setting);
  await setting.karps[0].rekey();
  const reason = await heldBack(lab, setting, "the hand-made key", /line \d+|by hand|not written by karp|foreign/);
  lab.check("the hand-made key is still in the file", readFileSync(keyFile, "utf8").includes("send id 201"), reason);
  lab.equal("the key in use stays", (await bothCurrent(setting)).fingerprint, old.fingerprint);
  await assertUnbroken(lab, setting, "with the hand-made key");
  writeFileSync(keyFile, ours);
  lab.equal("the operator puts back what stood there", await bird.configure(), "Reconfigured");
  return await goesOn(lab, setting, old, "the file is as it was");
}

async function halfEdited(lab: Lab, setting: Setting): Promise<KeyRow> {
  lab.step("bird.conf is being edited: half a filter stands at its end");
  const [bird] = setting.daemons;
  const old = await bothCurrent(setting);
  const before = readFileSync(bird.configuration, "utf8");
  appendFileSync(bird.configuration, "\nfilter half_done {\n  if net ~ [ 10.0.0.0/8+ ] then\n");
  await setting.karps[0].rekey();
  await heldBack(lab, setting, "half an edit", /held back: .*bird\.conf edited/);
  lab.equal("the key in use stays", (await bothCurrent(setting)).fingerprint, old.fingerprint);
  await assertUnbroken(lab, setting, "with half an edit");
  writeFileSync(bird.configuration, `${before}\nfilter whole { accept; }\n`);
  await passTime(1);
  lab.check("a finished edit that nobody has applied is not karp's to apply", await isHeldBack(setting, /edited/));
  lab.equal("the operator applies his edit", await bird.configure(), "Reconfigured");
  return await goesOn(lab, setting, old, "bird.conf is whole");
}

async function undoPending(lab: Lab, setting: Setting): Promise<KeyRow> {
  lab.step("the operator tries something with `configure timeout`");
  const [bird] = setting.daemons;
  const old = await bothCurrent(setting);
  appendFileSync(bird.configuration, "\nfilter on_trial { reject; }\n");
  lab.say((await bird.birdc("configure", "timeout", "120")).trim());
  await setting.karps[0].rekey();
  await heldBack(lab, setting, "an undo that is pending", /held back: BIRD undoes/);
  const status = await bird.birdc("configure", "status");
  lab.check("the undo is still pending", /undo/i.test(status), status.trim().split("\n").slice(1).join(" "));
  lab.equal("the key in use stays", (await bothCurrent(setting)).fingerprint, old.fingerprint);
  await assertUnbroken(lab, setting, "with an undo pending");
  lab.say((await bird.birdc("configure", "confirm")).trim());
  return await goesOn(lab, setting, old, "the change is confirmed");
}

/** A `configure` would enable again what the operator has disabled: karp waits, the disabled session stays down. */
async function disabledByHand(lab: Lab, setting: Setting): Promise<KeyRow> {
  lab.step("the operator disables another session with birdc");
  const [bird] = setting.daemons;
  const old = await bothCurrent(setting);
  // What is disabled while karp's own configure runs cannot be told from what bird.conf disables
  const isQuiet = async (): Promise<boolean> =>
    (await setting.karps[0].keys()).every(({ state }) => state === "current" || state === "removed");
  await waitFor("the last rollover to be over", isQuiet, { seconds: 60 });
  lab.say((await bird.birdc("disable", OTHER)).trim());
  await setting.karps[0].rekey();
  const words = new RegExp(`held back: protocol ${OTHER} is disabled since .*birdc enable ${OTHER}`);
  await heldBack(lab, setting, "a session that is disabled", words);
  lab.equal("it is still down", (await bird.status(OTHER)).state, "down");
  lab.equal("the key in use stays", (await bothCurrent(setting)).fingerprint, old.fingerprint);
  await assertUnbroken(lab, setting, "with a session disabled");
  lab.step("the operator writes it into bird.conf instead");
  const text = readFileSync(bird.configuration, "utf8");
  writeFileSync(bird.configuration, text.replace(`protocol bgp ${OTHER} {`, "$&\n  disabled;"));
  const word = await bird.configure(); // BIRD may go on with it a while
  lab.check("the operator applies his edit", /^Reconfigur(ed|ation in progress)$/.test(word), word);
  const key = await goesOn(lab, setting, old, "bird.conf says so");
  lab.equal("it is still down", (await bird.status(OTHER)).state, "down");
  return key;
}

/** r1's karp says what it waits for. @returns its words */
async function heldBack(lab: Lab, setting: Setting, what: string, pattern: RegExp): Promise<string> {
  await waitFor(`r1's karp to hold back because of ${what}`, () => isHeldBack(setting, pattern), { seconds: 30 });
  const { rollover } = await setting.karps[0].sessionRow();
  const reason = rollover.waitingFor?.reason ?? "";
  lab.check(`${what}: karp says what it waits for`, true, reason);
  return reason;
}

async function isHeldBack(setting: Setting, pattern: RegExp): Promise<boolean> {
  const { rollover } = await setting.karps[0].sessionRow();
  return pattern.test(rollover.waitingFor?.reason ?? "");
}

async function goesOn(lab: Lab, setting: Setting, old: KeyRow, when: string): Promise<KeyRow> {
  const key = await waitForOther(setting, old, `${when}: the rollover to end`, 120);
  lab.check(`${when}: the rollover ends`, true, `${old.fingerprint} -> ${key.fingerprint}`);
  await assertUnbroken(lab, setting, when);
  return key;
}
