// Two plain TCP programs with blocking sockets, an RTR client under karp wrap and its cache, keyed by the driver linux.
import { assertHistory, rollOver, waitFirstKey } from "../../lib/rollovers.ts";
import { RTR_PORT, type RtrEnd, rtrEnd } from "../../lib/rtrPair.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture } from "../../lib/twoRouters.ts";
import { assertAllSigned, layOutWrap, startKarps } from "../../lib/wrap.ts";

export const scenario: Scenario = {
  title: "an RTR-like pair with blocking sockets: keyed through the driver linux and karp wrap, 2 rollovers",
  timeoutSeconds: 240,
  async run(lab) {
    const daemons = [rtrEnd("client"), rtrEnd("server")] as const;
    const setting = await layOutWrap<RtrEnd>(lab, { daemons, routes: 0, keyers: ["r1", "r2"] });
    const [client, server] = setting.daemons;
    lab.step("the cache listens; keyers and karps; then the client, which connects and waits for its key");
    await server.start();
    await beginCapture(lab, setting, { filter: `tcp port ${RTR_PORT}` });
    await startKarps(lab, setting);
    await client.start();
    const history = [await waitFirstKey(lab, setting)];
    for (const n of [0, 1] as const) history.push(await rollOver(lab, setting, n, `rollover ${n + 1}`));
    await assertHistory(lab, setting, history);
    await assertAllSigned(lab, setting.capture?.file ?? "", setting.watch.mkts());
  },
};
