// A bad line: every tenth packet is lost in each direction, 100,000 prefixes come and go, and keys roll all the while.
import { type Bird, bird } from "../../lib/bird.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertHistory, assertUnbroken, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setNetem, setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";
import { passTime } from "../../lib/wait.ts";

const ROUTES = 50_000;
const ROLLOVERS = 20;
const SECONDS_APART = 10;

export const scenario: Scenario = {
  title: `${ROLLOVERS} rollovers ${SECONDS_APART} s apart under 10 % loss while ${2 * ROUTES} routes are exchanged`,
  timeoutSeconds: 780,
  async run(lab) {
    // The verifier's AES is Python: with this much traffic the HMAC is checked, which Python has natively
    const lines = ["algorithms: [hmac-sha-1-96]"];
    const setting = await setUpTwoBirds(lab, {
      daemons: bird({ protocolLines: ["hold time 30;", "keepalive time 1;"] }),
      routes: ROUTES,
      credentials: "psk",
      karps: [{ lines }, { lines }],
    });
    const history = [await keySession(lab, setting)];
    lab.step("from here on every tenth packet is lost in each direction");
    await setNetem(["loss", "10%"]);
    const began = performance.now();
    for (let n = 1; n <= ROLLOVERS; n++) {
      await churn(setting, n);
      const options = { isMoving: true, seconds: 90 };
      history.push(await rollOver(lab, setting, n % 2 === 1 ? 0 : 1, `rollover ${n}`, options));
      if (n < ROLLOVERS) await passTime(Math.max(0, n * SECONDS_APART - (performance.now() - began) / 1000));
    }
    await settle(lab, setting);
    await assertHistory(lab, setting, history);
  },
};

/** In turn r1's and r2's prefixes are withdrawn, and announced again with the next rollover. */
async function churn({ daemons }: TwoRouters<Bird>, n: number): Promise<void> {
  const moved = daemons[Math.floor((n - 1) / 2) % 2 === 0 ? 0 : 1];
  await moved.birdc(n % 2 === 1 ? "disable" : "enable", "originated");
}

async function settle(lab: Lab, setting: TwoRouters<Bird>): Promise<void> {
  await setNetem([]);
  for (const daemon of setting.daemons) await daemon.birdc("enable", "originated");
  for (const daemon of setting.daemons) await daemon.waitEstablished(ROUTES, 60);
  await assertUnbroken(lab, setting, "with all routes back");
}
