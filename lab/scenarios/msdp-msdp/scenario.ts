// FRR's pimd at both ends. r1 has the lower address and opens the connection.
// Executes docs/guide/msdp.md.
import { guidePage } from "../../lib/guidePage.ts";
import { MSDP_PORT, type Msdp, msdp } from "../../lib/msdp.ts";
import { assertHistory, rollOver, waitFirstKey } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture } from "../../lib/twoRouters.ts";
import { assertAllSigned, layOutWrap, startKarps } from "../../lib/wrap.ts";

export const scenario: Scenario = {
  title: "MSDP between two FRR pimd, one under karp wrap: keyed from outside, 2 rollovers",
  timeoutSeconds: 600,
  shows: ["msdp.md"],
  async run(lab) {
    const page = guidePage(lab, "msdp.md");
    const setting = await layOutWrap<Msdp>(lab, {
      daemons: [msdp("active"), msdp("passive")],
      routes: 0,
      keyers: ["r1", "r2"],
    });
    lab.step("keyers and karps; then both pimd");
    const [active, passive] = setting.daemons;
    page.standsIn(setting.karps[0].file, "yaml");
    page.standsIn(active.configurationFile, "frr");
    await beginCapture(lab, setting, { filter: `tcp port ${MSDP_PORT}` });
    await page.does("systemctl enable --now karp-keyer", () => startKarps(lab, setting));
    await passive.start();
    await page.does("karp wrap -- /usr/lib/frr/pimd", () => active.start());
    const history = [await waitFirstKey(lab, setting)];
    const said = await page.run("karp check", "r1");
    lab.check(
      "karp check sees that what pimd opened is signed",
      /^ok .* opened with 10\.0\.0\.2 is signed$/m.test(said),
      said,
    );
    lab.check("and complains of nothing", !/^(WARNING|ERROR) /m.test(said));
    for (const n of [0, 1] as const) history.push(await rollOver(lab, setting, n, `rollover ${n + 1}`));
    const peers = await page.run('vtysh -c "show ip msdp peer"', "r1");
    lab.check("pimd shows the session up", /10\.0\.0\.2 .*established/.test(peers), peers);
    const keys = await page.run("karp show keys", "r1");
    lab.check("karp shows the key in use", /\bcurrent\b/.test(keys), keys);
    await assertHistory(lab, setting, history);
    await assertAllSigned(lab, setting.capture?.file ?? "", setting.watch.mkts());
  },
};
