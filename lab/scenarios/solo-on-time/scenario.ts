// A neighbour without karp that keeps to the dates.
import type { Scenario } from "../../lib/scenario.ts";
import { assertUnbrokenSolo, keySolo, PERIOD_SECONDS, setUpSolo } from "./solo.ts";

export const scenario: Scenario = {
  title: "solo mode: a BIRD without karp whose script switches on time; three keys, no flap",
  timeoutSeconds: 400,
  async run(lab) {
    const solo = await setUpSolo(lab, "15s");
    await keySolo(lab, solo);
    solo.keepTime(lab, 0);
    for (const keyId of [2, 3]) {
      lab.step(`the date of KeyID ${keyId}`);
      await solo.waitCurrent(keyId, PERIOD_SECONDS + 20);
      lab.check(`KeyID ${keyId} is current`, true, (await solo.keyIds()).join(", "));
    }
    lab.check("the first key is gone", !(await solo.keyIds()).includes(1), (await solo.keyIds()).join(", "));
    lab.equal("alarms about the neighbour", await solo.alarms("neighbourLate"), []);
    await assertUnbrokenSolo(lab, solo, [1, 2, 3]);
  },
};
