// A neighbour without karp whose clock is late: the old key stays until it was seen to switch.
import type { Scenario } from "../../lib/scenario.ts";
import { passTime } from "../../lib/wait.ts";
import { assertUnbrokenSolo, keySolo, PERIOD_SECONDS, setUpSolo } from "../solo-on-time/solo.ts";

const LATE_SECONDS = 16;

export const scenario: Scenario = {
  title: "solo mode: a BIRD without karp that switches 16 s late: the old key stays, an alarm, then it goes on",
  timeoutSeconds: 400,
  async run(lab) {
    const solo = await setUpSolo(lab);
    await keySolo(lab, solo);
    solo.keepTime(lab, LATE_SECONDS);
    lab.step("the date of KeyID 2 passes");
    await passTime(PERIOD_SECONDS - 4 + LATE_SECONDS - 6);
    lab.equal("KeyID 1 is current still", (await solo.karp.currentKey())?.recvId, 1);
    lab.equal("an alarm says so, once", (await solo.alarms("neighbourLate")).length, 1);
    lab.step("the neighbour switches");
    await solo.waitCurrent(2, LATE_SECONDS + 30);
    await assertUnbrokenSolo(lab, solo, [1, 2]);
  },
};
