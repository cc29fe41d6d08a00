// From TCP MD5 to karp with `karp migrate` where a daemon is keyed from outside: FRR's password goes and comes back by vtysh,
// and the keyer hears of the new mode with karpd. BIRD at the far end migrates as in migrate-md5.
import { bird } from "../../lib/bird.ts";
import { type Frr, frr } from "../../lib/frr.ts";
import { Keyer } from "../../lib/keyer.ts";
import type { Lab } from "../../lib/lab.ts";
import { migrate, waitBothHold } from "../../lib/migrate.ts";
import { assertAllSigned, assertUnbroken, bothCurrent, rollOver, startKarp } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, ENDS, setUpTwoRouters, type TwoRouters, takeBaseline } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

const PASSWORD = "everybody-knows";

export const scenario: Scenario = {
  title: "karp migrate of an FRR that is keyed from outside, from TCP MD5: a way back, then both ends together",
  timeoutSeconds: 400,
  async run(lab) {
    const keyer = new Keyer(lab, "r1");
    const setting = await setUpTwoRouters<RoutingDaemon>(lab, {
      daemons: [
        frr({ neighborLines: [`password ${PASSWORD}`] }),
        bird({ protocolLines: ["authentication md5;", `password "${PASSWORD}";`] }),
      ],
      credentials: "psk",
      mode: "observe",
      karps: [{ topLines: [keyer.line] }, {}],
    });
    await takeBaseline(setting);
    await keyer.start();
    for (const karp of setting.karps) await startKarp(lab, karp);
    await waitBothHold(setting);
    await planOnly(lab, setting);
    await alone(lab, setting);
    await together(lab, setting);
  },
};

async function hasPassword({ daemons }: TwoRouters): Promise<boolean> {
  return (await (daemons[0] as Frr).vtysh("show running-config")).includes(`password ${PASSWORD}`);
}

async function planOnly(lab: Lab, setting: TwoRouters): Promise<void> {
  lab.step("karp migrate --plan");
  const { code, stdout, stderr } = await migrate(setting.karps[0], "--plan");
  lab.say(stdout);
  lab.equal("one step resets the session", [code, stdout.match(/RESETS/g)?.length], [0, 1]);
  lab.check("FRR's command, in its place", /`router bgp 65001`: no neighbor 10\.0\.0\.2 password/.test(stdout), stderr);
  lab.check("no password is shown", !stdout.includes(PASSWORD));
  await assertUnbroken(lab, setting, "after the plan");
}

/** r2's karp is ready, its BIRD keeps the password: FRR loses it, and has it again at the end. */
async function alone(lab: Lab, setting: TwoRouters): Promise<void> {
  lab.step("r1 switches, r2's BIRD does not");
  await setting.karps[1].setMode("opportunistic");
  const { code, stderr } = await migrate(setting.karps[0], "--yes", "--within", "20s");
  lab.check(
    "it gives up, and the session is back with MD5",
    code === 1 && /everything was put back; the session is as it was: .*TCP MD5/.test(stderr),
    stderr,
  );
  lab.check("FRR has its password again", await hasPassword(setting));
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 90);
}

async function together(lab: Lab, setting: TwoRouters): Promise<void> {
  lab.step("both ends");
  await beginCapture(lab, setting);
  const done = await Promise.all(setting.karps.map((karp) => migrate(karp, "--yes", "--within", "120s")));
  for (const [i, end] of ENDS.entries()) {
    const { code, stdout, stderr } = done[i] ?? { code: -1, stdout: "", stderr: "" };
    lab.check(`${end}: migrated`, code === 0 && /TCP-AO with karp's keys/.test(stdout), `${stderr}${stdout}`);
  }
  lab.check("FRR has no password any more", !(await hasPassword(setting)));
  await waitFor("both karps to see the key in use", () => bothCurrent(setting), { seconds: 60 });
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  await takeBaseline(setting);
  const again = await migrate(setting.karps[0], "--plan");
  lab.check("there is nothing more to migrate", again.code === 0 && /nothing is to be done/.test(again.stdout));
  await rollOver(lab, setting, 0, "a rollover");
  await assertAllSigned(lab, setting, 1);
}
