// Two BGP sessions between the same two addresses, told apart by their ports alone. Linux looks TCP-AO keys up by
// address, never by port: every listener and connection may meet the keys of both, so their KeyIDs must differ.
import { writeFileSync } from "node:fs";
import { type Bird, bird, moreProtocol, otherSession } from "../../lib/bird.ts";
import type { KarpSession } from "../../lib/karp.ts";
import { KeyWatch } from "../../lib/keyWatch.ts";
import type { Lab } from "../../lib/lab.ts";
import {
  assertAllSigned,
  assertCountersInOrder,
  assertUnbroken,
  keySession,
  rollOver,
  waitFirstKey,
} from "../../lib/rollovers.ts";
import type { Peering, RouterPlan } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { routerName, setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";

const PORT = 1790;

export const scenario: Scenario = {
  title: "two sessions between the same addresses, by port: keyed and rolled apart from one another",
  timeoutSeconds: 240,
  async run(lab) {
    const karps = [{ moreSessions: [secondKarpSession(1)] }, { moreSessions: [secondKarpSession(2)] }] as const;
    const first = await setUpTwoBirds(lab, { daemons: birdWithTwo, karps });
    const keys = [await keySession(lab, first, { filter: `tcp port 179 or tcp port ${PORT}` })];
    const second = secondSetting(first);
    second.watch.start(lab);
    const others = [await waitFirstKey(lab, second)];
    lab.check("the KeyIDs of the two sessions differ", keys[0]?.sendId !== others[0]?.sendId);
    for (const initiator of [0, 1] as const) {
      keys.push(await rollOver(lab, first, initiator, "the first session rolls"));
      await assertUnbroken(lab, second, "the second session meanwhile");
      others.push(await rollOver(lab, second, initiator, "the second session rolls"));
      await assertUnbroken(lab, first, "the first session meanwhile");
    }
    await lab.part("both at once", () => both(lab, first, second));
    assertCountersInOrder(lab, first, keys.length + 1);
    assertCountersInOrder(lab, second, others.length + 1);
    await second.watch.stop();
    await assertAllSigned(lab, first, 2, () => second.watch.mkts());
  },
};

async function both(lab: Lab, first: TwoRouters, second: TwoRouters): Promise<void> {
  lab.step("both sessions roll at once");
  await Promise.all([rollOver(lab, first, 0, "at once: the first"), rollOver(lab, second, 1, "at once: the second")]);
}

function secondName(n: number): string {
  return `r${3 - n}b`;
}

function secondKeyFile(n: number): string {
  return `/var/lib/lab/r${n}/keys/${secondName(n)}.conf`;
}

function birdWithTwo(lab: Lab, plan: RouterPlan): Bird {
  const n = plan.namespace === "r1" ? 1 : 2;
  const lines = [`include "${secondKeyFile(n)}";`];
  const made = bird({ configurationLines: [moreProtocol(secondPeering(n, plan.peering), lines)] })(lab, {
    ...plan,
    peering: { ...plan.peering, port: 179 }, // so that the watches tell the two connections apart
  });
  writeFileSync(secondKeyFile(n), "# no key yet\n", { mode: 0o600 });
  return made;
}

function secondKarpSession(n: 1 | 2): KarpSession {
  const words = {
    include: secondKeyFile(n),
    control: `/run/r${n}.bird.ctl`,
    config: `/etc/lab/r${n}/bird.conf`,
    "configure-interval": "1s",
  };
  return {
    name: secondName(n),
    local: `10.0.0.${n}`,
    remote: `10.0.0.${3 - n}`,
    peer: routerName(n === 1 ? 2 : 1),
    lines: ["driver: bird", `bird: ${JSON.stringify(words)}`, `port: ${PORT}`],
  };
}

function secondPeering(n: number, first: Peering): Peering {
  return { ...first, protocol: secondName(n), port: PORT };
}

/** The same two routers, looked at for the other session. */
function secondSetting(first: TwoRouters<Bird>): TwoRouters {
  const [a, b] = first.daemons;
  const daemons = [otherSession(a, secondPeering(1, a.peering)), otherSession(b, secondPeering(2, b.peering))] as const;
  const watch = new KeyWatch(daemons, [secondKeyFile(1), secondKeyFile(2)]);
  return { ...first, daemons, watch, routes: 0, baseline: [], capture: undefined };
}
