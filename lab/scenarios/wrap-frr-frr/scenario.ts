// Two FRRs, neither of which knows TCP-AO; either may open the session.
import { assertHistory, rollOver, waitFirstKey } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture } from "../../lib/twoRouters.ts";
import { layOutWrap, startKarps } from "../../lib/wrap.ts";
import { type WrappedFrr, wrappedFrr } from "../../lib/wrappedFrr.ts";

export const scenario: Scenario = {
  title: "FRR bgpd under karp wrap on both ends: keyed from outside whoever opens, 2 rollovers",
  timeoutSeconds: 300,
  async run(lab) {
    const daemons = [wrappedFrr(), wrappedFrr()] as const;
    const setting = await layOutWrap<WrappedFrr>(lab, { daemons, keyers: ["r1", "r2"] });
    lab.step("keyers and karps; then both bgpd");
    await beginCapture(lab, setting);
    await startKarps(lab, setting);
    for (const daemon of setting.daemons) await daemon.start();
    const history = [await waitFirstKey(lab, setting)];
    for (const n of [0, 1] as const) history.push(await rollOver(lab, setting, n, `rollover ${n + 1}`));
    await assertHistory(lab, setting, history);
  },
};
