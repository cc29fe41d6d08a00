// Both karps are replaced in the middle of a rollover, and meanwhile they are one version apart: the built package of
// the karp before this one against the working tree, either way round.
import type { KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { previousProgram } from "../../lib/previous.ts";
import { assertHistory, assertUnbroken, bothCurrent, keySession, rollOver, waitForOther } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

export const scenario: Scenario = {
  title: "both karps replaced in the middle of a rollover, one version apart before and after",
  timeoutSeconds: 300,
  needsPrevious: true,
  async run(lab) {
    const before = previousProgram(lab);
    const setting = await setUpTwoBirds(lab, { karps: [{ program: before }, { program: before }] });
    const history = [await keySession(lab, setting)];
    const roll = async (when: string): Promise<void> => {
      for (const initiator of [0, 1] as const) history.push(await rollOver(lab, setting, initiator, when));
    };
    await roll("both old");
    history.push(await replace(lab, setting, { r1: "new" }));
    await roll("r1 new, r2 old");
    history.push(await replace(lab, setting, { r1: "old", r2: "new" }));
    await roll("r1 old, r2 new");
    history.push(await replace(lab, setting, { r1: "new", r2: "new" }));
    await roll("both new");
    await assertHistory(lab, setting, history);
  },
};

type Which = Readonly<Partial<Record<"r1" | "r2", "old" | "new">>>;

/** Ends the karps that are named as soon as the next key is installed at r1, and starts what takes their place. */
async function replace(lab: Lab, setting: TwoRouters, which: Which): Promise<KeyRow> {
  const name = `replaced in the middle of a rollover: ${JSON.stringify(which)}`;
  lab.step(name);
  const old = await bothCurrent(setting);
  const [first] = setting.karps;
  await first.rekey();
  await waitFor("the next key at r1", () => inTheMiddle(setting, old), { seconds: 30, everySeconds: 0.02 });
  const replaced = setting.karps.filter(({ options }) => which[options.namespace as "r1" | "r2"] !== undefined);
  await Promise.all(replaced.map((karp) => karp.end("SIGTERM")));
  for (const karp of replaced) {
    karp.replaceProgram(which[karp.options.namespace as "r1" | "r2"] === "old" ? previousProgram(lab) : undefined);
    await karp.start();
  }
  const key = await waitForOther(setting, old, `${name}: the rollover to end`, 120);
  lab.check(`${name}: the rollover ends`, true, `${old.fingerprint} -> ${key.fingerprint}`);
  await assertUnbroken(lab, setting, name);
  return key;
}

/** The next key is there, the old one still current. */
async function inTheMiddle({ karps }: TwoRouters, old: KeyRow): Promise<boolean> {
  const keys = await karps[0].keys();
  const isOldCurrent = keys.some(({ fingerprint, state }) => fingerprint === old.fingerprint && state === "current");
  return isOldCurrent && keys.some(({ state }) => state === "held" || state === "installed" || state === "preferred");
}
