// `start: on-demand`: the routers have nothing to do with each other until a daemon connects; that connect() waits for
// the key, and its first SYN is signed.
import type { Karp } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertHistory, rollOver, waitFirstKey } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, ENDS, type TwoRouters } from "../../lib/twoRouters.ts";
import { passTime } from "../../lib/wait.ts";
import { assertAllSigned, layOutWrap, startKarps, waitingBird } from "../../lib/wrap.ts";
import { wrappedFrr } from "../../lib/wrappedFrr.ts";

/** A session that starts by itself has its key within a second or two. */
const QUIET_SECONDS = 5;

export const scenario: Scenario = {
  title: "on-demand: no key until FRR under karp wrap connects to BIRD; that first SYN is signed",
  timeoutSeconds: 400,
  async run(lab) {
    const daemons = [wrappedFrr(), waitingBird()] as const;
    const setting = await layOutWrap<RoutingDaemon>(lab, { daemons, sharedLines: ["start: on-demand"] });
    const [frr, bird] = setting.daemons;
    await bird.start();
    await beginCapture(lab, setting);
    await startKarps(lab, setting);
    await assertQuiet(lab, setting);
    lab.step("bgpd starts, and connects");
    await frr.start();
    const history = [await waitFirstKey(lab, setting)];
    lab.equal("negotiations that r1 and r2 began", await negotiations(setting), [1, 0]);
    history.push(await rollOver(lab, setting, 0));
    await assertHistory(lab, setting, history);
    await assertAllSigned(lab, setting.capture?.file ?? "", setting.watch.mkts());
  },
};

async function assertQuiet(lab: Lab, setting: TwoRouters): Promise<void> {
  lab.step("nobody wants a connection");
  await passTime(QUIET_SECONDS);
  lab.equal("negotiations that r1 and r2 began", await negotiations(setting), [0, 0]);
  for (const [i, karp] of setting.karps.entries()) {
    lab.equal(`${ENDS[i]}: safety`, (await karp.sessionRow()).safety, "closed until there is a key");
  }
  // r1 says first that nobody listens there: bgpd has not started
  const { rollover } = await setting.karps[1].sessionRow();
  lab.equal("r2 waits for", rollover.waitingFor?.reason, "on-demand: a connection that wants a key");
}

async function negotiations({ karps }: TwoRouters): Promise<readonly number[]> {
  const count = async (karp: Karp): Promise<number> =>
    (await karp.events()).filter(({ name }) => name === "rolloverStarted").length;
  return [await count(karps[0]), await count(karps[1])];
}
