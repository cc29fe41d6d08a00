// The peer's karp is away for three lifetimes of a key. By default the key is kept and an alarm said; a session that is
// to fail closed ends, and comes back when the peer does.

import type { Lab } from "../../lib/lab.ts";
import { assertAllSigned, assertUnbroken, bothCurrent, keySession, waitForOther } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

const EVERY_SECONDS = 10;
const LIFETIMES = 3;
type Setting = Awaited<ReturnType<typeof setUpTwoBirds>>;

export const scenario: Scenario = {
  title: "the peer's karp gone for three lifetimes: keep and alarm, then fail closed",
  timeoutSeconds: 540,
  async run(lab) {
    const rollover = { every: `${EVERY_SECONDS}s`, drain: "1s", "keep-old": "2s" };
    const setting = await setUpTwoBirds(lab, { rollover });
    await keySession(lab, setting);
    await keepAndAlarm(lab, setting);
    await failClosed(lab, setting);
    await assertAllSigned(lab, setting, 2);
  },
};

async function keepAndAlarm(lab: Lab, setting: Setting): Promise<void> {
  const [karp, other] = setting.karps;
  lab.step(`r2's karp is killed; r1 is to keep its key (lifetime ${EVERY_SECONDS} s)`);
  await waitForOther(setting, await bothCurrent(setting), "a rollover of its own accord");
  await other.end("SIGKILL");
  const alarm = await karp.waitEvent("hard lifetime over", ({ name }) => name === "hardExpired", 90);
  lab.check("r1: an alarm at the hard lifetime", alarm.severity === "alarm", alarm.text);
  const kept = (await karp.keys()).filter(({ state }) => ["current", "preferred"].includes(state));
  await passTime(EVERY_SECONDS);
  await assertUnbroken(lab, setting, `after more than ${LIFETIMES} lifetimes`);
  lab.check("r1 has kept the key", kept.length > 0, kept.map(({ fingerprint }) => fingerprint).join());
  const { safety } = await karp.sessionRow();
  lab.check("r1's karp says that the key is over its time", /past its hard lifetime/.test(safety), safety);
  lab.step("r2's karp is back");
  const last = kept[0];
  if (last === undefined) return;
  await other.start();
  await waitForOther(setting, last, "the overdue rollover", 90);
  await waitForOther(setting, await bothCurrent(setting), "the next one in time", 90);
  await assertUnbroken(lab, setting, "rollovers go on");
}

async function failClosed(lab: Lab, setting: Setting): Promise<void> {
  const [karp, other] = setting.karps;
  lab.step("on-expiry: fail-closed at r1, and r2's karp is killed again");
  await karp.setLines(["on-expiry: fail-closed"]);
  await other.end("SIGKILL");
  const down = async (): Promise<boolean> => (await setting.daemons[0].status()).info !== "Established";
  await waitFor("r1's session to be closed", down, { seconds: 90 });
  const closed = async (): Promise<string | undefined> => {
    const { safe, safety } = await karp.sessionRow();
    return !safe && safety.startsWith("closed") ? safety : undefined;
  };
  lab.check("r1's karp says that it is closed", true, await waitFor("r1's karp to say so", closed, { seconds: 60 }));
  await passTime(EVERY_SECONDS);
  lab.check("it stays closed", await down());
  lab.step("r2's karp is back: the session comes back with a new key");
  await other.start();
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 90);
  const key = await waitFor("both to use one key", () => bothCurrent(setting), { seconds: 60 });
  lab.check("a new key is in use", true, key.fingerprint);
}
