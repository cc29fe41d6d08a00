// What a keyed bgpd's sockets live through: keyer and karpd killed in the middle of rollovers, bgpd restarted, and a
// connection without TCP-AO that was accepted while nobody watched.
import { readFileSync } from "node:fs";
import { bird } from "../../lib/bird.ts";
import { exec, must } from "../../lib/exec.ts";
import { type Frr, frr } from "../../lib/frr.ts";
import { kernelKeys } from "../../lib/kernelKeys.ts";
import { Keyer } from "../../lib/keyer.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertUnbroken, bothCurrent, keySession, rollOver, waitFirstKey, waitForOther } from "../../lib/rollovers.ts";
import type { RoutingDaemon } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoRouters, type TwoRouters } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

export const scenario: Scenario = {
  title: "FRR keyed from outside: keyer and karpd killed -9, bgpd restarted, an unsigned connection closed",
  timeoutSeconds: 540,
  async run(lab) {
    const keyer = new Keyer(lab, "r1");
    const setting = await setUpTwoRouters<RoutingDaemon>(lab, {
      daemons: [frr({ driver: "linux" }), bird()],
      karps: [{ topLines: [keyer.line] }, {}],
      mode: "required",
    });
    await keyer.start();
    await keySession(lab, setting);
    await lab.part("keyer killed", () => keyerKilled(lab, setting, keyer));
    await lab.part("karpd killed", () => karpKilled(lab, setting));
    await lab.part("bgpd restarted", () => bgpdRestarted(lab, setting));
    await lab.part("unsigned", () => unsignedIsClosed(lab, setting, keyer));
  },
};

async function keyerKilled(lab: Lab, setting: TwoRouters, keyer: Keyer): Promise<void> {
  lab.step("kill -9 of the keyer in the middle of a rollover");
  const old = await bothCurrent(setting);
  await setting.karps[1].rekey();
  await keyer.end("SIGKILL");
  await assertUnbroken(lab, setting, "without a keyer");
  await keyer.start();
  const next = await waitForOther(setting, old, "the interrupted rollover to end", 120);
  lab.check("the rollover ends once the keyer is back", true, `${old.fingerprint} -> ${next.fingerprint}`);
  await rollOver(lab, setting, 0, "after the keyer's restart");
  const isTidy = (): boolean => connectionKeys(setting.daemons[0]) === 1;
  await waitFor("keys that were dropped meanwhile to go", isTidy, { seconds: 60 });
  lab.check("no key that was dropped stays on the connection", true);
}

async function karpKilled(lab: Lab, setting: TwoRouters): Promise<void> {
  lab.step("kill -9 of karpd; the keyer keeps the keys");
  const [karp] = setting.karps;
  await karp.end("SIGKILL");
  await assertUnbroken(lab, setting, "without karpd");
  await karp.start();
  await rollOver(lab, setting, 1, "after karpd's restart", { seconds: 120 });
}

/** Its listeners and connections are new ones. */
async function bgpdRestarted(lab: Lab, setting: TwoRouters): Promise<void> {
  lab.step("bgpd is killed and started again, while karpd is down: the keyer alone keys its new sockets");
  const [karp] = setting.karps;
  await karp.end("SIGKILL");
  const bgpd = setting.daemons[0] as Frr;
  await bgpd.end("SIGKILL");
  await bgpd.start();
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  lab.check("the session is up again with all routes, signed", connectionKeys(bgpd) > 0);
  await karp.start();
  await waitFirstKey(lab, setting);
  await rollOver(lab, setting, 0, "after bgpd's restart", { seconds: 120 });
}

async function unsignedIsClosed(lab: Lab, setting: TwoRouters, keyer: Keyer): Promise<void> {
  lab.step("nobody watches, bgpd is new, and an unsigned connection from the neighbour's address is accepted");
  await setting.karps[0].end("SIGKILL");
  await keyer.end("SIGKILL");
  const bgpd = setting.daemons[0] as Frr;
  await bgpd.end("SIGKILL");
  await bgpd.start();
  // Before that it closes what it accepts
  await waitFor("bgpd to expect the neighbour", async () => (await bgpd.status()).info === "Active", { seconds: 30 });
  const client = exec(["python3", "-c", UNSIGNED, "60"], { namespace: "r2", timeoutSeconds: 540 });
  await waitFor("the unsigned connection", async () => (await established()) > 0, { seconds: 20 });
  await keyer.start();
  const closedAt = Number((await client).stdout);
  const seconds = closedAt - servedAt(keyer);
  const name = "an unsigned connection of a required peer is closed within a second of the keyer's start";
  lab.check(name, seconds < 1, `${seconds.toFixed(3)} s`);
  const again = await exec(["python3", "-c", UNSIGNED, "3"], { namespace: "r2", timeoutSeconds: 540 });
  lab.equal("and no other one is accepted", again.stdout.trim(), "never");
  lab.equal("none is established", await established(), 0);
  await setting.karps[0].start();
  await waitFirstKey(lab, setting);
}

/**
 * Connects without TCP-AO from the neighbour's address, again and again while bgpd closes what says nothing, until it is
 * reset: then it prints the time.
 */
const UNSIGNED = `
import socket, sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    s = socket.socket()
    s.settimeout(max(0.1, end - time.monotonic()))
    try:
        s.connect(("10.0.0.1", 179))
    except OSError:
        time.sleep(0.1)
        continue
    try:
        while s.recv(4096): pass
    except ConnectionResetError:
        print(time.time())
        sys.exit()
print("never")
`;

/** When the keyer last began to serve, in seconds since 1970. */
function servedAt(keyer: Keyer): number {
  const lines = readFileSync(keyer.log, "utf8").split("\n");
  const line = lines.findLast((one) => one.includes("serves ")) ?? "{}";
  return Date.parse((JSON.parse(line) as { readonly time: string }).time) / 1000;
}

async function established(): Promise<number> {
  const text = await must(["ss", "-tnH", "state", "established", "sport", "=", ":179"], { namespace: "r1" });
  return text.split("\n").filter(Boolean).length;
}

function connectionKeys(daemon: RoutingDaemon): number {
  return kernelKeys(daemon.pid, daemon.peering.remote).length;
}
