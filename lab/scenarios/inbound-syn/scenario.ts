// Both sessions are on demand and fail closed: nobody negotiates until BIRD at r1 connects. Its SYN is signed with a key that
// r2 does not have; r2's kernel counts it, and r2's karp asks for the first key.
import { bird } from "../../lib/bird.ts";
import { tcpAoCounters } from "../../lib/network.ts";
import { assertHistory, rollOver, startKarp, waitFirstKey } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, setUpTwoBirds } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

/** A session that is not on demand would have asked for its key by then. */
const QUIET_SECONDS = 6;

export const scenario: Scenario = {
  title: "an inbound SYN with an unknown key begins an on-demand session",
  timeoutSeconds: 180,
  async run(lab) {
    const onDemand = { lines: ["start: on-demand"] };
    const daemons = [bird(), bird({ protocolLines: ["passive yes;"] })] as const;
    const setting = await setUpTwoBirds(lab, { daemons, mode: "required", karps: [onDemand, onDemand] });
    const begun = async (end: 0 | 1): Promise<readonly string[]> =>
      (await setting.karps[end].events()).filter(({ name }) => name === "rolloverStarted").map(({ text }) => text);
    await beginCapture(lab, setting);

    lab.step("r1's karp alone: its session is closed, and r2's kernel sees SYNs with a key that nobody has there");
    await startKarp(lab, setting.karps[0]);
    const counted = async (): Promise<boolean> => (await tcpAoCounters("r2")).keyNotFound > 0;
    await waitFor("r2's kernel to count a SYN with an unknown key", counted, { seconds: 30 });
    await passTime(QUIET_SECONDS);
    lab.equal("r1 negotiates nothing by itself", await begun(0), []);

    lab.step("r2's karp: the next SYN begins it");
    await startKarp(lab, setting.karps[1]);
    const history = [await waitFirstKey(lab, setting)];
    const because = "a new key is wanted: a segment came with a key that is not known here";
    lab.equal("who began, and why", [await begun(0), await begun(1)], [[], [because]]);
    history.push(await rollOver(lab, setting, 0));
    await assertHistory(lab, setting, history);
  },
};
