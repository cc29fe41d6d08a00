import { must } from "../../lib/exec.ts";
import { addTwoRouters, tcpAoCounters } from "../../lib/network.ts";
import type { Scenario } from "../../lib/scenario.ts";
export const scenario: Scenario = {
  title: "smoke",
  timeoutSeconds: 60,
  async run(lab) {
    await addTwoRouters(lab);
    lab.say(await must(["ping", "-c1", "10.0.0.2"], { namespace: "r1" }).catch(String));
    lab.equal("counters", await tcpAoCounters("r1"), { good: 0, bad: 0, keyNotFound: 0, required: 0 });
  },
};
