// A static Go program, which no library can be put into, opens the session: its first SYN is signed.
import { assertHistory, rollOver, waitFirstKey } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture } from "../../lib/twoRouters.ts";
import { assertAllSigned, layOutWrap, startKarps, waitingBird } from "../../lib/wrap.ts";
import { wrappedGobgp } from "../../lib/wrappedGobgp.ts";

export const scenario: Scenario = {
  title: "GoBGP under karp wrap opens the session with BIRD: the first SYN is signed, 2 rollovers",
  timeoutSeconds: 240,
  async run(lab) {
    const daemons = [wrappedGobgp(), waitingBird()] as const;
    const setting = await layOutWrap<RoutingDaemon>(lab, { daemons, routes: 5 });
    const [gobgp, bird] = setting.daemons;
    lab.step("BIRD waits; keyer and karps; then gobgpd, which opens the connection");
    await bird.start();
    await beginCapture(lab, setting);
    await startKarps(lab, setting);
    await gobgp.start();
    const history = [await waitFirstKey(lab, setting)];
    for (const n of [0, 1] as const) history.push(await rollOver(lab, setting, n, `rollover ${n + 1}`));
    await assertHistory(lab, setting, history);
    await assertAllSigned(lab, setting.capture?.file ?? "", setting.watch.mkts());
  },
};
