// The two lines of BIRD that people run, keyed by two karps.
import { bird } from "../../lib/bird.ts";
import { assertHistory, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds } from "../../lib/twoRouters.ts";

const ROLLOVERS = 6;

export const scenario: Scenario = {
  title: "BIRD 2 and BIRD 3: rollovers asked for at either end",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, { daemons: [bird({ version: 2 }), bird({ version: 3 })], routes: 1000 });
    const versions = await Promise.all(setting.daemons.map((daemon) => daemon.birdc("show", "status")));
    const majors = versions.map((text) => /^BIRD v?(\d)/m.exec(text)?.[1]);
    lab.equal("r1 runs BIRD 2, r2 BIRD 3", majors, ["2", "3"]);
    const history = [await keySession(lab, setting)];
    for (let n = 1; n <= ROLLOVERS; n++) {
      history.push(await rollOver(lab, setting, n % 2 === 1 ? 0 : 1, `rollover ${n}`));
    }
    await assertHistory(lab, setting, history);
  },
};
