// Revocation under the driver frr: the connection ends, the revoked key opens nothing any more, and a new one does.
import { bird } from "../../lib/bird.ts";
import { must } from "../../lib/exec.ts";
import { frr } from "../../lib/frr.ts";
import { Keyer } from "../../lib/keyer.ts";
import { keySession, waitForOther } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoRouters } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

export const scenario: Scenario = {
  title: "FRR keyed from outside: karp revoke destroys the connection, and the key is unusable",
  timeoutSeconds: 240,
  async run(lab) {
    const keyer = new Keyer(lab, "r1");
    const setting = await setUpTwoRouters<RoutingDaemon>(lab, {
      daemons: [frr({ driver: "frr" }), bird()],
      karps: [{ topLines: [keyer.line] }, {}],
    });
    await keyer.start();
    const old = await keySession(lab, setting);
    lab.step("karp check sees FRR through vtysh and the sockets through the keyer");
    const [karp] = setting.karps;
    const check = await karp.cli("check", "--config", karp.file);
    lab.check("karp check finds nothing wrong", check.code === 0, (check.stdout + check.stderr).trim());
    lab.check("it names the listener's process", /bgpd \(process \d+\) listens on/.test(check.stdout));
    lab.check("it asked FRR", /FRR \d+\.\d+\S* is keyed from outside/.test(check.stdout));
    lab.step("karp revoke");
    const began = performance.now();
    await karp.control.call("POST", "/v1/revoke", { session: karp.session.name });
    const connections = async (): Promise<number> => {
      const text = await must(["ss", "-tnH", "state", "established", "sport", "=", ":179"], { namespace: "r1" });
      return text.split("\n").filter(Boolean).length;
    };
    await waitFor("the connection to end", async () => (await connections()) === 0, { seconds: 20 });
    lab.check("the connection is gone", true, `after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    const row = async () => (await karp.keys()).find(({ fingerprint }) => fingerprint === old.fingerprint)?.state;
    await waitFor("karp to be done with the key", async () => ["removed", undefined].includes(await row()), {
      seconds: 30,
    });
    lab.check("the revoked key is removed", true);
    await passTime(2);
    lab.step("a new key");
    await karp.rekey();
    const next = await waitForOther(setting, old, "both ends to use a new key", 90);
    for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
    lab.check("the session is back with another key", next.fingerprint !== old.fingerprint, next.fingerprint);
  },
};
