// kill -9 of each karp at each step of a rollover, then of both at once: the session does not notice, rollovers go on.

import type { KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertHistory, assertUnbroken, bothCurrent, keySession, waitForOther } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";
import { killInTheMiddle, MOMENTS } from "./kills.ts";

export const scenario: Scenario = {
  title: "each karp killed (-9) at each step of a rollover, and both at once",
  timeoutSeconds: 780,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, { credentials: "psk" });
    const history = [await keySession(lab, setting)];
    history.push(...(await killInTheMiddle(lab, setting)));
    for (const moment of ["installed", "preferred"]) history.push(...(await killBoth(lab, setting, moment)));
    await assertHistory(lab, setting, history);
  },
};

/** Each is killed when it is at `moment` itself, as near to one another as two processes can be. */
async function killBoth(lab: Lab, setting: TwoRouters, moment: string): Promise<KeyRow[]> {
  const name = `kill -9 of both karps when the new key is ${moment}`;
  lab.step(name);
  const old = await bothCurrent(setting);
  const fits = MOMENTS[moment];
  if (fits === undefined) throw new Error(`no such moment: ${moment}`);
  const seen = [await setting.karps[0].killWhen(fits), await setting.karps[1].killWhen(fits)];
  await setting.karps[0].rekey();
  // The survivor may wait for the one that died: then it dies where it stands
  await waitFor(`${name}: the first kill`, () => seen.some((killed) => killed() !== undefined), {
    seconds: 60,
    everySeconds: 0.02,
  });
  for (const karp of setting.karps) await karp.end("SIGKILL");
  await assertUnbroken(lab, setting, `${name}, both are gone`);
  for (const karp of setting.karps) await karp.start();
  const first = await waitForOther(setting, old, `${name}: the interrupted rollover to end`, 120);
  await setting.karps[1].rekey();
  const second = await waitForOther(setting, first, `${name}: another rollover`, 120);
  await assertUnbroken(lab, setting, name);
  return [first, second];
}
