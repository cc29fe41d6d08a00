// A neighbour without karp whose script never runs again: the first key stays past its dates.
import type { Scenario } from "../../lib/scenario.ts";
import { passTime } from "../../lib/wait.ts";
import { assertUnbrokenSolo, keySolo, PERIOD_SECONDS, setUpSolo } from "../solo-on-time/solo.ts";

export const scenario: Scenario = {
  title: "solo mode: a BIRD without karp that never switches: the old key stays, alarms, no flap",
  timeoutSeconds: 400,
  async run(lab) {
    const solo = await setUpSolo(lab);
    await keySolo(lab, solo);
    lab.step("two dates pass, and the end of the first key");
    await passTime(2.6 * PERIOD_SECONDS);
    lab.equal("KeyID 1 is current still", (await solo.karp.currentKey())?.recvId, 1);
    lab.equal("an alarm for each date", (await solo.alarms("neighbourLate")).length, 2);
    lab.equal("an alarm that it is too old", (await solo.alarms("hardExpired")).length, 1);
    await assertUnbrokenSolo(lab, solo, [1]);
  },
};
