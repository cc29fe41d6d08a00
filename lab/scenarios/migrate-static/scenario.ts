// From static TCP-AO keys that people wrote to karp, with `karp migrate` at both ends: the session does not go down.
import { readFileSync, writeFileSync } from "node:fs";
import type { Bird } from "../../lib/bird.ts";
import type { Karp } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertUnbroken, bothCurrent, rollOver, startKarp } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { ENDS, setUpTwoBirds, type TwoRouters, takeBaseline } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

type Setting = TwoRouters<Bird>;

const STATIC = 'authentication ao; keys { key { id 9; secret "a key of people\'s"; algorithm cmac aes128; }; };';

export const scenario: Scenario = {
  title: "karp migrate from static TCP-AO keys: the session stays up",
  timeoutSeconds: 300,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, { credentials: "psk", mode: "observe" });
    await withoutIncludeLine(lab, setting);
    for (const karp of setting.karps) await startKarp(lab, karp);
    await fromStatic(lab, setting);
  },
};

/** bird.conf as it is before anybody knows of karp: r1 has no include line, both have a key of people's in the block. */
async function withoutIncludeLine(lab: Lab, { daemons }: Setting): Promise<void> {
  lab.step("static keys in both blocks; r1's bird.conf does not include karp's file");
  for (const [i, daemon] of daemons.entries()) {
    const text = readFileSync(daemon.configuration, "utf8");
    const line = `include "${daemon.peering.keyFile}";`;
    writeFileSync(daemon.configuration, text.replace(line, i === 0 ? `  ${STATIC}` : `  ${STATIC}\n${line}`));
    lab.check(`${ENDS[i]}: configure`, /^Reconfig/.test(await daemon.configure()));
  }
  for (const daemon of daemons)
    await waitFor("TCP-AO", async () => (await daemon.status()).ao?.current === 9, { seconds: 60 });
}

async function fromStatic(lab: Lab, setting: Setting): Promise<void> {
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  await takeBaseline(setting);
  const [plan] = await Promise.all([migrate(setting.karps[0], "--plan")]);
  lab.say(plan.stdout);
  lab.check("r1: no step of the plan resets the session", plan.code === 0 && !/RESETS/.test(plan.stdout));
  lab.check("r1: the include line is to be added", /add to the block, last: include/.test(plan.stdout));
  const done = await Promise.all(setting.karps.map((karp) => migrate(karp, "--yes", "--within", "90s")));
  for (const [i, end] of ENDS.entries()) {
    const { code, stdout, stderr } = done[i] ?? { code: -1, stdout: "", stderr: "" };
    lab.check(
      `${end}: migrated`,
      code === 0 && /the keys 9\/9 in the block may be taken out/.test(stdout),
      `${stderr}${stdout}`,
    );
    const yaml = readFileSync(setting.karps[i as 0 | 1].file, "utf8");
    lab.check(`${end}: karp.yaml reserves the static KeyID`, /reserved-key-ids: \[ ?9 ?\]/.test(yaml));
  }
  await waitFor("both karps to see the key in use", () => bothCurrent(setting), { seconds: 60 });
  await assertUnbroken(lab, setting, "from static keys to karp's");
  lab.step("the leftover keys are taken out of the blocks");
  for (const [i, daemon] of setting.daemons.entries()) {
    writeFileSync(daemon.configuration, readFileSync(daemon.configuration, "utf8").replace(`  ${STATIC}\n`, ""));
    lab.equal(`${ENDS[i]}: configure`, await daemon.configure(), "Reconfigured");
  }
  await rollOver(lab, setting, 1, "a rollover");
}

function migrate(karp: Karp, ...words: readonly string[]): ReturnType<Karp["cli"]> {
  return karp.cli("migrate", karp.session.name, "--config", karp.file, ...words);
}
