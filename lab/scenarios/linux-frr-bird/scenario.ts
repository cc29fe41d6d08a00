// FRR's bgpd knows no TCP-AO and is keyed from outside by the keyer; BIRD at the far end has the driver bird.
import { bird } from "../../lib/bird.ts";
import { frr } from "../../lib/frr.ts";
import { Keyer } from "../../lib/keyer.ts";
import { assertHistory, rollOver, startKarp, waitFirstKey } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, setUpTwoRouters } from "../../lib/twoRouters.ts";

const ROLLOVERS = 3;

export const scenario: Scenario = {
  title: "FRR bgpd (passive), keyed from outside, and BIRD: first key, 3 rollovers",
  timeoutSeconds: 240,
  async run(lab) {
    const keyer = new Keyer(lab, "r1");
    const setting = await setUpTwoRouters<RoutingDaemon>(lab, {
      daemons: [frr({ driver: "linux" }), bird()],
      karps: [{ topLines: [keyer.line] }, {}],
    });
    lab.step("the keyer, then both karps: the first key goes in");
    await keyer.start();
    await beginCapture(lab, setting);
    for (const karp of setting.karps) await startKarp(lab, karp);
    const history = [await waitFirstKey(lab, setting)];
    for (let n = 1; n <= ROLLOVERS; n++) {
      history.push(await rollOver(lab, setting, n % 2 === 1 ? 0 : 1, `rollover ${n}`));
    }
    await assertHistory(lab, setting, history);
  },
};
