// From no authentication to karp with `karp migrate`: alone it takes nothing down and goes back; at both ends the session
// goes down once and comes back with TCP-AO. Then a freeze at one end keeps the other from rolling, and its end lets it.
import type { Bird } from "../../lib/bird.ts";
import type { Lab } from "../../lib/lab.ts";
import { migrate } from "../../lib/migrate.ts";
import { assertAllSigned, assertUnbroken, bothCurrent, startKarp, waitForOther } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, ENDS, setUpTwoBirds, type TwoRouters, takeBaseline } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

type Setting = TwoRouters<Bird>;

/** Long enough for a rollover of a period of seconds to have begun several times. */
const FROZEN_SECONDS = 25;

export const scenario: Scenario = {
  title: "karp migrate from no authentication, alone and at both ends; a freeze that reaches the peer",
  timeoutSeconds: 300,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, { credentials: "psk", mode: "observe" });
    await takeBaseline(setting);
    for (const karp of setting.karps) await startKarp(lab, karp);
    await alone(lab, setting);
    await together(lab, setting);
    await frozen(lab, setting);
    await assertAllSigned(lab, setting, 1);
  },
};

async function alone(lab: Lab, setting: Setting): Promise<void> {
  lab.step("r1 alone");
  const { code, stderr } = await migrate(setting.karps[0], "--yes", "--within", "8s");
  lab.check("it gives up and puts everything back", code === 1 && /everything was put back/.test(stderr), stderr);
  await assertUnbroken(lab, setting, "the session did not notice");
}

async function together(lab: Lab, setting: Setting): Promise<void> {
  lab.step("both ends");
  await beginCapture(lab, setting);
  const done = await Promise.all(setting.karps.map((karp) => migrate(karp, "--yes", "--within", "90s")));
  for (const [i, end] of ENDS.entries()) {
    const { code, stdout, stderr } = done[i] ?? { code: -1, stdout: "", stderr: "" };
    lab.check(`${end}: migrated`, code === 0 && /TCP-AO with karp's keys/.test(stdout), `${stderr}${stdout}`);
  }
  await waitFor("both karps to see the key in use", () => bothCurrent(setting), { seconds: 60 });
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  await takeBaseline(setting);
  const again = await migrate(setting.karps[0], "--plan");
  lab.check("there is nothing more to migrate", again.code === 0 && /nothing is to be done/.test(again.stdout));
}

async function frozen(lab: Lab, setting: Setting): Promise<void> {
  const [r1, r2] = setting.karps;
  lab.step("karp freeze at r1: r2, whose keys would live for seconds, does not roll");
  const { code, stdout } = await r1.cli("freeze", r1.session.name, "--for", "10m", "--socket", r1.socket);
  lab.check("karp freeze", code === 0, stdout.trim());
  await waitFor("r2 to hear of it", async () => /the peer begins none before/.test((await r2.sessionRow()).safety), {
    seconds: 30,
  });
  const key = await bothCurrent(setting);
  const asked = await r2.cli("rekey", r2.session.name, "--socket", r2.socket);
  lab.say(`${asked.stdout}${asked.stderr}`.trim());
  await passTime(FROZEN_SECONDS);
  lab.equal("no rollover while r1 is frozen", (await bothCurrent(setting)).fingerprint, key.fingerprint);
  await assertUnbroken(lab, setting, "frozen");
  const thawed = await r1.cli("thaw", r1.session.name, "--socket", r1.socket);
  lab.check("karp thaw", thawed.code === 0, thawed.stdout.trim());
  if (asked.code !== 0) await r2.rekey();
  const next = await waitForOther(setting, key, "the rollover that waited", 90);
  lab.check("after the thaw the keys roll", true, next.fingerprint);
  await assertUnbroken(lab, setting, "thawed");
}
