// kill -9 of each karp at three moments of a rollover; after its restart rollovers go on and the session has not noticed.
import type { ControlEvent } from "../../lib/control.ts";
import type { Karp, KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertUnbroken, bothCurrent, waitForOther } from "../../lib/rollovers.ts";
import type { TwoRouters } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

/** How the victim reports that the new key is negotiated and stored, accepted here, asked for. */
export const MOMENTS: Readonly<Record<string, (event: ControlEvent) => boolean>> = {
  held: ({ name }) => name === "mktNegotiated",
  installed: ({ name, data }) => name === "mktState" && data["to"] === "installed",
  preferred: ({ name, data }) => name === "mktState" && data["to"] === "preferred",
};

/** @returns the keys that became current, in order */
export async function killInTheMiddle(lab: Lab, setting: TwoRouters): Promise<KeyRow[]> {
  const currents: KeyRow[] = [];
  for (const [v, victim] of setting.karps.entries()) {
    for (const [m, moment] of Object.keys(MOMENTS).entries()) {
      // either end's wish is interrupted: the victim's own, or the survivor's
      const initiator = setting.karps[(v + m) % 2 === 0 ? 0 : 1];
      const name = `kill -9 of ${victim.options.namespace}'s karp when the new key is ${moment}`;
      const made = await lab.part(name, () => killAt(lab, setting, name, { victim, initiator, moment }));
      currents.push(...(made ?? []));
    }
  }
  return currents;
}

interface Kill {
  readonly victim: Karp;
  readonly initiator: Karp;
  readonly moment: string;
}

async function killAt(lab: Lab, setting: TwoRouters, name: string, kill: Kill): Promise<KeyRow[]> {
  const { victim, initiator, moment } = kill;
  lab.step(`${name} (rollover asked for at ${initiator.options.namespace})`);
  const old = await bothCurrent(setting);
  const killed = await victim.killWhen((event) => MOMENTS[moment]?.(event) ?? false);
  await initiator.rekey();
  const { text } = await waitFor(`${name}: the moment`, killed, { seconds: 60, everySeconds: 0.02 });
  lab.say(`killed at: ${text}`);
  await assertUnbroken(lab, setting, `${name}, before the restart`);
  await victim.start();
  // A wish that died before its key was stored is gone with the daemon: the operator asks again.
  if (moment === "held" && victim === initiator) await initiator.rekey();
  const first = await waitForOther(setting, old, `${name}: the interrupted rollover to end`, 120);
  await initiator.rekey();
  const second = await waitForOther(setting, first, `${name}: another rollover`, 120);
  lab.check(`${name}: rollovers go on`, true, `${old.fingerprint} -> ${first.fingerprint} -> ${second.fingerprint}`);
  await assertUnbroken(lab, setting, name);
  return [first, second];
}
