// r1's karp believes that it is ten minutes earlier (or later), and then its clock is set right while it runs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertHistory, assertUnbroken, bothCurrent, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

const TEN_MINUTES = 600_000;
const QUIET_SECONDS = 3;
const CLOCK = "/run/r1.clock";

export const scenario: Scenario = {
  title: "one end's clock ten minutes off, then stepped: both ways",
  timeoutSeconds: 300,
  async run(lab) {
    setClock(lab, -TEN_MINUTES);
    process.env["LAB_CLOCK"] = CLOCK;
    const shim = join(import.meta.dirname, "wrongClock.mjs");
    const setting = await setUpTwoBirds(lab, { karps: [{ nodeArguments: [`--import=${shim}`] }, {}] });
    const history = [await keySession(lab, setting)];
    const roll = async (when: string): Promise<void> => {
      for (const initiator of [0, 1] as const) history.push(await rollOver(lab, setting, initiator, when));
    };
    await roll("ten minutes slow");
    await step(lab, setting, 0);
    await roll("set right");
    await step(lab, setting, TEN_MINUTES);
    await roll("ten minutes fast");
    await restartAt(lab, setting, 0);
    await roll("set right while karp was down");
    await assertHistory(lab, setting, history);
  },
};

/** The clock jumps under a karp that runs: it says so, and nothing rolls or expires for it. */
async function step(lab: Lab, setting: TwoRouters, milliseconds: number): Promise<void> {
  const [karp] = setting.karps;
  const before = await bothCurrent(setting);
  const steps = async (): Promise<number> => (await karp.events()).filter(({ name }) => name === "clockStepped").length;
  const said = await steps();
  setClock(lab, milliseconds);
  await waitFor("r1's karp to notice the step", async () => (await steps()) > said, { seconds: 30 });
  await passTime(QUIET_SECONDS);
  await assertQuiet(lab, setting, before, `clock stepped to ${milliseconds / 1000} s`);
}

/** The clock goes back while karp is down: what is stored lies in the future then. */
async function restartAt(lab: Lab, setting: TwoRouters, milliseconds: number): Promise<void> {
  const [karp] = setting.karps;
  const before = await bothCurrent(setting);
  await karp.end("SIGKILL");
  setClock(lab, milliseconds);
  await karp.start();
  await waitFor("r1's karp to see the key in use", () => bothCurrent(setting), { seconds: 30 });
  await passTime(QUIET_SECONDS);
  await assertQuiet(lab, setting, before, "restarted with a clock that went back");
}

async function assertQuiet(lab: Lab, setting: TwoRouters, before: KeyRow, when: string): Promise<void> {
  const now = await bothCurrent(setting);
  lab.equal(`${when}: no key has rolled for it`, now.fingerprint, before.fingerprint);
  const [karp] = setting.karps;
  const alarms = (await karp.events()).filter(({ severity }) => severity === "alarm").map(({ text }) => text);
  lab.equal(`${when}: no alarm`, alarms, []);
  await assertUnbroken(lab, setting, when);
}

function setClock(lab: Lab, milliseconds: number): void {
  writeFileSync(CLOCK, String(milliseconds));
  lab.say(`r1's clock is off by ${milliseconds / 1000} s`);
}
