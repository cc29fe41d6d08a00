// What a killed supervisor leaves: the session stays, nothing new leaves unsigned, and the unit's restart heals it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Bird } from "../../lib/bird.ts";
import { waitFirstKey } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, endCapture } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";
import { assertAllSigned, layOutWrap, startKarps, waitingBird } from "../../lib/wrap.ts";
import { type WrappedFrr, wrappedFrr } from "../../lib/wrappedFrr.ts";

export const scenario: Scenario = {
  title: "the supervisor of karp wrap killed: the session stays, bgpd opens none unsigned, a restart brings all back",
  timeoutSeconds: 240,
  async run(lab) {
    const daemons = [
      wrappedFrr({ configurationLines: ["log stdout debugging", "debug bgp neighbor-events"] }),
      waitingBird(),
    ] as const;
    const setting = await layOutWrap<WrappedFrr | Bird>(lab, { daemons });
    const [frr, bird] = setting.daemons as readonly [WrappedFrr, Bird];
    await bird.start();
    await beginCapture(lab, setting);
    await startKarps(lab, setting);
    await frr.start();
    await waitFirstKey(lab, setting);

    lab.step("kill -9 of the supervisor");
    const before = (await frr.status()).since;
    const bgpd = frr.pid;
    await frr.end("SIGKILL");
    const status = await frr.status();
    lab.equal("the session is as it was", [status.info, status.since], ["Established", before]);

    lab.step("bgpd has to open a new connection, and cannot");
    const log = join(lab.out, "r1.bgpd.log");
    const length = readFileSync(log, "utf8").length;
    await frr.vtysh(`clear bgp ${frr.peering.remote}`);
    const said = await waitFor(
      "bgpd to say that connect() fails",
      () => /.*TCP_connection_open_failed.*/.exec(readFileSync(log, "utf8").slice(length))?.[0],
      { seconds: 30 },
    );
    lab.check("bgpd's connect() fails", true, said);

    lab.step("what the unit does: ends bgpd, starts it anew under karp wrap");
    process.kill(bgpd, "SIGKILL");
    await waitFor("bgpd to be gone", () => !isAlive(bgpd), { seconds: 10 });
    await frr.start();
    await frr.waitEstablished(setting.routes, 60);
    await bird.waitEstablished(setting.routes, 60);
    lab.check("the session is there again", true);
    await assertAllSigned(lab, await endCapture(lab, setting), setting.watch.mkts());
  },
};

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
