// FRR's bgpd knows no TCP-AO and opens the connection itself: under `karp wrap` its first SYN is signed.
import { assertHistory, rollOver, waitFirstKey } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture } from "../../lib/twoRouters.ts";
import { assertAllSigned, layOutWrap, startKarps, waitingBird } from "../../lib/wrap.ts";
import { wrappedFrr } from "../../lib/wrappedFrr.ts";

export const scenario: Scenario = {
  title: "FRR bgpd under karp wrap opens the session with BIRD: the first SYN is signed, 2 rollovers",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await layOutWrap<RoutingDaemon>(lab, { daemons: [wrappedFrr(), waitingBird()] });
    const [frr, bird] = setting.daemons;
    lab.step("BIRD waits; keyer and karps; then bgpd, which opens the connection");
    await bird.start();
    await beginCapture(lab, setting);
    await startKarps(lab, setting);
    await frr.start();
    const history = [await waitFirstKey(lab, setting)];
    for (const n of [0, 1] as const) history.push(await rollOver(lab, setting, n, `rollover ${n + 1}`));
    await assertHistory(lab, setting, history);
    await assertAllSigned(lab, setting.capture?.file ?? "", setting.watch.mkts());
  },
};
