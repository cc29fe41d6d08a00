// OpenBGPD knows no TCP-AO. Its session engine runs without rights in a root folder of its own, with listeners that another
// process made: the keyer keys them all the same, and `karp wrap` sees what it opens. Executes docs/guide/openbgpd.md.
import { readFileSync, writeFileSync } from "node:fs";
import { type Bird, bird } from "../../lib/bird.ts";
import { Capture } from "../../lib/capture.ts";
import { type GuidePage, guidePage, onRouter } from "../../lib/guidePage.ts";
import { Keyer } from "../../lib/keyer.ts";
import type { Lab } from "../../lib/lab.ts";
import { OPENBGPD_CONFIGURATION, type OpenBgpd, openbgpd } from "../../lib/openbgpd.ts";
import { assertHistory, bothCurrent, rollOver, startKarp, waitFirstKey } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, setUpTwoRouters, type TwoRouters } from "../../lib/twoRouters.ts";
import { assertAllSigned } from "../../lib/wrap.ts";

const ROLLOVERS = 3;

export const scenario: Scenario = {
  title: "OpenBGPD (passive, then under karp wrap), keyed from outside, and BIRD: first key, 3 rollovers",
  timeoutSeconds: 600,
  shows: ["openbgpd.md"],
  async run(lab) {
    const page = guidePage(lab, "openbgpd.md");
    const keyer = new Keyer(lab, "r1");
    const setting = await setUpTwoRouters<RoutingDaemon>(lab, {
      daemons: [openbgpd(), bird()],
      karps: [{ topLines: [keyer.line] }, {}],
    });
    lab.step("the keyer, then both karps: the first key goes in");
    page.standsIn(OPENBGPD_CONFIGURATION, "openbgpd");
    page.standsIn(setting.karps[0].file, "yaml");
    await page.does("systemctl enable --now karp-keyer", () => keyer.start());
    await beginCapture(lab, setting);
    for (const karp of setting.karps) await startKarp(lab, karp);
    const history = [await waitFirstKey(lab, setting)];
    await check(lab, page, setting.daemons[0] as OpenBgpd);
    for (let n = 1; n <= ROLLOVERS; n++) {
      history.push(await rollOver(lab, setting, n % 2 === 1 ? 0 : 1, `rollover ${n}`));
    }
    await look(lab, page);
    await assertHistory(lab, setting, history);
    await wrapped(lab, page, setting);
  },
};

async function check(lab: Lab, page: GuidePage, daemon: OpenBgpd): Promise<void> {
  lab.step("bgpctl reload changes nothing; karp check names the process that holds the listener");
  await page.run("bgpd -n", "r1");
  await page.run("bgpctl reload", "r1");
  const said = await page.run("karp check", "r1");
  lab.say(said);
  lab.check(
    "karp check names the session engine",
    said.includes(`bgpd (process ${daemon.pid}) listens on 0.0.0.0:179`),
  );
  const status = readFileSync(`/proc/${daemon.pid}/status`, "utf8");
  const [uid, capabilities] = [/^Uid:\t(\d+)/m.exec(status)?.[1], /^CapEff:\t(\w+)/m.exec(status)?.[1]];
  lab.check("which is not root and has no capability", uid !== "0" && /^0+$/.test(capabilities ?? ""), `uid ${uid}`);
}

async function look(lab: Lab, page: GuidePage): Promise<void> {
  const neighbor = await page.run("bgpctl show neighbor 10.0.0.2", "r1");
  lab.check("bgpctl shows the session up", neighbor.includes("BGP state = Established"));
  const keys = await page.run("karp show keys", "r1");
  const rollovers = await page.run("karp show rollovers", "r1");
  lab.say(`${keys}${rollovers}`);
  lab.check("karp shows the key in use", /\bcurrent\b/.test(keys));
}

/** bgpd again, opening the connection itself, to a BIRD that only waits. */
async function wrapped(lab: Lab, page: GuidePage, setting: TwoRouters): Promise<void> {
  lab.step("bgpd under karp wrap opens the connection");
  const [bgpd, far] = setting.daemons as readonly [OpenBgpd, Bird];
  await bgpd.end("SIGTERM");
  bgpd.writeConfiguration({ isPassive: false });
  const own = readFileSync(far.configuration, "utf8");
  writeFileSync(far.configuration, own.replace(/^( +neighbor .*)$/m, "$1\n  passive yes;"));
  const said = await far.configure();
  lab.check("BIRD only waits from now on", said.startsWith("Reconfigur"), said);
  const capture = await Capture.start(lab, "wrapped", "r1", "tcp port 179");
  const command = "karp wrap -- /usr/sbin/bgpd -d";
  await page.does(command, () => bgpd.startAs(onRouter(lab, "r1", `exec ${command}`)));
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  lab.check("both ends still use the same key", true, (await bothCurrent(setting)).fingerprint);
  await capture.stop(lab);
  await assertAllSigned(lab, capture.file, setting.watch.mkts());
}
