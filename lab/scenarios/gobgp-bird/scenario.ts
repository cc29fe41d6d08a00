// GoBGP knows no TCP-AO for its users and waits for the neighbour, keyed from outside through the driver gobgp. Executes
// docs/guide/gobgp.md; `wrap-gobgp-bird` is the same with GoBGP opening the connection.
import { bird } from "../../lib/bird.ts";
import { type Gobgp, gobgp } from "../../lib/gobgp.ts";
import { type GuidePage, guidePage } from "../../lib/guidePage.ts";
import { Keyer } from "../../lib/keyer.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertHistory, rollOver, startKarp, waitFirstKey } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, setUpTwoRouters } from "../../lib/twoRouters.ts";

export const scenario: Scenario = {
  title: "GoBGP (passive), keyed from outside, and BIRD: first key, 2 rollovers",
  timeoutSeconds: 600,
  shows: ["gobgp.md"],
  async run(lab) {
    const page = guidePage(lab, "gobgp.md");
    const keyer = new Keyer(lab, "r1");
    const setting = await setUpTwoRouters<RoutingDaemon>(lab, {
      daemons: [gobgp(), bird()],
      routes: 5,
      karps: [{ topLines: [keyer.line] }, {}],
    });
    lab.step("the keyer, then both karps: the first key goes in");
    const own = setting.daemons[0] as Gobgp;
    page.standsIn(own.configuration, "toml");
    page.standsIn(setting.karps[0].file, "yaml");
    await page.does("systemctl enable --now karp-keyer", () => keyer.start());
    await beginCapture(lab, setting);
    for (const karp of setting.karps) await startKarp(lab, karp);
    const history = [await waitFirstKey(lab, setting)];
    await check(lab, page, own);
    for (const n of [0, 1] as const) history.push(await rollOver(lab, setting, n, `rollover ${n + 1}`));
    await assertHistory(lab, setting, history);
  },
};

async function check(lab: Lab, page: GuidePage, own: Gobgp): Promise<void> {
  const said = await page.run("karp check", "r1");
  lab.say(said);
  const lines = said.split("\n").filter((line) => line.includes("session r2"));
  lab.check(
    "karp check finds nothing wrong with it",
    lines.length > 1 && lines.every((line) => line.startsWith("ok ")),
  );
  lab.check("and names gobgpd", said.includes(`gobgpd (process ${own.pid}) listens on`));
  const neighbor = await page.run("gobgp neighbor 10.0.0.2", "r1");
  lab.check("gobgp shows the session up", /BGP state = (SESSION_STATE_)?ESTABLISHED/.test(neighbor), neighbor);
}
