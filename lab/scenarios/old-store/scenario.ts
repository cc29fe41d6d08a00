// A backup of karp's store comes back that is two rollovers old: the key in use is none that it knows. It is kept,
// said loudly, and rolled away from; the session does not notice.
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { must } from "../../lib/exec.ts";
import { assertHistory, assertUnbroken, bothCurrent, keySession, rollOver, waitForOther } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

const BACKUP = "/var/lib/lab/r2/backup";

export const scenario: Scenario = {
  title: "the store restored from two rollovers ago: the foreign key is kept, alarmed, rolled away from",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await setUpTwoBirds(lab);
    const [, karp] = setting.karps;
    const history = [await keySession(lab, setting)];
    lab.step("r2's store is copied");
    await karp.end("SIGTERM");
    await must(["cp", "-a", dirname(karp.store), BACKUP]);
    await karp.start();
    history.push(await rollOver(lab, setting, 0, "first rollover after the backup"));
    history.push(await rollOver(lab, setting, 1, "second rollover after the backup"));
    const current = history.at(-1);
    if (current === undefined) throw new Error("no key");
    const onlyCurrent = async (): Promise<boolean> =>
      (await karp.keys()).every(({ state }) => state === "current" || state === "removed");
    await waitFor("the old keys to be gone", onlyCurrent, { seconds: 30 });
    lab.step("r2's karp is killed and its store restored");
    await karp.end("SIGKILL");
    rmSync(dirname(karp.store), { recursive: true });
    await must(["cp", "-a", BACKUP, dirname(karp.store)]);
    await karp.start();
    const said = await karp.waitEvent("a key that it does not know", ({ name }) => name === "driverForeign", 60);
    lab.check("r2: an alarm names the key that is not in the store", said.severity === "alarm", said.text);
    await assertUnbroken(lab, setting, "with the restored store");
    history.push(await waitForOther(setting, current, "both ends to have rolled away from it", 120));
    await assertUnbroken(lab, setting, "rolled away");
    await passTime(5); // either end may have asked for a key of its own to roll away to
    const settled = await waitFor("both ends to agree", () => bothCurrent(setting), { seconds: 30 });
    if (settled.fingerprint !== history.at(-1)?.fingerprint) history.push(settled);
    for (const initiator of [0, 1] as const) history.push(await rollOver(lab, setting, initiator, "rollovers go on"));
    await assertHistory(lab, setting, history);
  },
};
