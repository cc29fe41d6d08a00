// BIRD is restarted: in order, killed, and killed right after karp has told the peer that a new key is ready there.
import type { Bird } from "../../lib/bird.ts";
import type { ControlEvent } from "../../lib/control.ts";
import type { Lab } from "../../lib/lab.ts";
import type { TcpAoCounters } from "../../lib/network.ts";
import {
  assertAllSigned,
  assertUnbroken,
  bothCurrent,
  keySession,
  rollOver,
  waitForOther,
} from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { ENDS, setUpTwoBirds, type TwoRouters, takeBaseline } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

type Setting = TwoRouters<Bird>;

export const scenario: Scenario = {
  title: "BIRD restarted, killed, and killed right after `ready`: it comes back keyed, rollovers go on",
  timeoutSeconds: 300,
  async run(lab) {
    const setting = await setUpTwoBirds(lab);
    await keySession(lab, setting);
    for (const [end, signal] of [
      [0, "SIGTERM"],
      [1, "SIGKILL"],
    ] as const) {
      await lab.part(`${signal} at ${ENDS[end]}`, () => restart(lab, setting, end, signal));
    }
    for (const [victim, initiator] of [
      [0, 0],
      [1, 0],
    ] as const) {
      const name = `${ENDS[victim]}'s BIRD killed right after ready, rollover asked for at ${ENDS[initiator]}`;
      await lab.part(name, () => restartAfterReady(lab, setting, name, victim, initiator));
    }
    await assertAllSigned(lab, setting, 5);
  },
};

async function restart(lab: Lab, setting: Setting, end: 0 | 1, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  const name = `${signal} to ${ENDS[end]}'s BIRD`;
  lab.step(name);
  const before = await bothCurrent(setting);
  await setting.daemons[end].end(signal);
  await setting.daemons[end].start();
  await comeBack(lab, setting, name);
  const { fingerprint } = await waitFor("the key to be current again", () => bothCurrent(setting), { seconds: 60 });
  lab.equal(`${name}: it comes back with the same key`, fingerprint, before.fingerprint);
  await rollOver(lab, setting, end, `${name}: a rollover afterwards`);
}

async function restartAfterReady(lab: Lab, setting: Setting, name: string, victim: 0 | 1, initiator: 0 | 1) {
  lab.step(name);
  const old = await bothCurrent(setting);
  const daemon = setting.daemons[victim];
  let killed: Promise<void> | undefined;
  const stop = await setting.karps[victim].control.follow((event) => {
    if (killed === undefined && isReady(event)) killed = daemon.end("SIGKILL");
  });
  await setting.karps[initiator].rekey();
  await (
    await waitFor("the key to be ready there", () => killed && { done: killed }, { seconds: 60, everySeconds: 0.02 })
  ).done;
  stop();
  await daemon.start();
  await comeBack(lab, setting, name);
  const next = await waitForOther(setting, old, `${name}: the rollover to end`, 120);
  lab.check(`${name}: the rollover ends`, true, `${old.fingerprint} -> ${next.fingerprint}`);
  await rollOver(lab, setting, victim, `${name}: another one`);
}

function isReady({ name, data }: ControlEvent): boolean {
  return name === "mktState" && data["to"] === "installed";
}

async function comeBack(lab: Lab, setting: Setting, name: string): Promise<void> {
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  const before = setting.baseline.map(({ counters }) => trouble(counters));
  await takeBaseline(setting);
  for (const [i, { counters }] of setting.baseline.entries()) {
    lab.equal(`${name}: ${ENDS[i]}: no segment was turned away`, trouble(counters), before[i]);
  }
  await assertUnbroken(lab, setting, `${name}: back`);
}

function trouble({ good: _, ...others }: TcpAoCounters): Omit<TcpAoCounters, "good"> {
  return others;
}
