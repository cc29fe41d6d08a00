// FRR's ldpd at both ends, whose engine is a process of its own. r2 has the higher transport address and opens the connection.
// Executes docs/guide/ldp.md.
import { guidePage } from "../../lib/guidePage.ts";
import { addTwoLsrs, LDP_BINDINGS, LDP_PORT, type Ldp, ldp } from "../../lib/ldp.ts";
import { assertHistory, rollOver, waitFirstKey } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture } from "../../lib/twoRouters.ts";
import { assertAllSigned, layOutWrap, startKarps } from "../../lib/wrap.ts";

export const scenario: Scenario = {
  title: "LDP between two FRR ldpd, one under karp wrap: keyed from outside, 2 rollovers, OPERATIONAL throughout",
  timeoutSeconds: 600,
  shows: ["ldp.md"],
  async run(lab) {
    const page = guidePage(lab, "ldp.md");
    const setting = await layOutWrap<Ldp>(lab, {
      network: addTwoLsrs,
      daemons: [ldp("passive"), ldp("active")],
      routes: LDP_BINDINGS,
      keyers: ["r1", "r2"],
    });
    lab.step("keyers and karps; then both ldpd");
    const [passive, active] = setting.daemons;
    page.standsIn(setting.karps[0].file, "yaml");
    page.standsIn(passive.configurationFile, "frr");
    await beginCapture(lab, setting, { filter: `tcp port ${LDP_PORT}` });
    await page.does("systemctl enable --now karp-keyer", () => startKarps(lab, setting));
    await passive.start();
    await page.does("karp wrap -- /usr/lib/frr/ldpd", () => active.start());
    const history = [await waitFirstKey(lab, setting)];
    const said = await page.run("karp check", "r1");
    const engine = `ldpd (process ${passive.pid}) listens on 10.255.0.1:646`;
    lab.check("karp check names the LDP engine", said.includes(engine), said);
    for (const n of [0, 1] as const) history.push(await rollOver(lab, setting, n, `rollover ${n + 1}`));
    const neighbors = await page.run('vtysh -c "show mpls ldp neighbor"', "r1");
    lab.check("ldpd shows the session up", /10\.255\.0\.2 +OPERATIONAL/.test(neighbors), neighbors);
    const keys = await page.run("karp show keys", "r1");
    lab.check("karp shows the key in use", /\bcurrent\b/.test(keys), keys);
    await assertHistory(lab, setting, history);
    await assertAllSigned(lab, setting.capture?.file ?? "", setting.watch.mkts());
  },
};
