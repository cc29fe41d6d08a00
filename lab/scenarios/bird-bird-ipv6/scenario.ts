// The session runs over IPv6, IKE too; the algorithm changes with a rollover, as people change it: in the configuration.

import type { Lab } from "../../lib/lab.ts";
import { assertHistory, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";

const ALGORITHMS = ["hmac-sha-1-96", "aes-128-cmac-96"] as const;

export const scenario: Scenario = {
  title: "two BIRDs over IPv6, required from the start; both algorithms that BIRD has",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, { family: "ipv6", mode: "required", credentials: "psk" });
    const history = [await keySession(lab, setting)];
    for (const algorithm of ALGORITHMS) {
      lab.step(`algorithms: [${algorithm}] at both ends`);
      for (const karp of setting.karps) await karp.setLines([`algorithms: [${algorithm}]`]);
      for (const initiator of [0, 1] as const) {
        const name = `${algorithm}, asked for at r${initiator + 1}`;
        history.push(await rollOver(lab, setting, initiator, name));
        assertAlgorithm(lab, setting, name, history.at(-1)?.sendId, algorithm);
      }
    }
    await assertHistory(lab, setting, history);
  },
};

/** As the kernel has it, not as somebody wrote it. */
function assertAlgorithm(
  lab: Lab,
  { watch }: TwoRouters,
  name: string,
  sendId: number | undefined,
  algorithm: string,
): void {
  const mkt = watch.mkts().find(({ ends }) => ends[0]?.sendId === sendId);
  lab.equal(`${name}: the kernel's algorithm`, mkt?.algorithm, algorithm);
}
