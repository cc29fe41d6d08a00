// A daemon keyed from outside that does what routing daemons do with their sockets: two connections of one session at once, a
// listener that is closed and opened anew while they stand, and an end (-9) right after karp has told the peer `ready`.
import { Capture } from "../../lib/capture.ts";
import type { KeyRow } from "../../lib/karp.ts";
import { allKernelKeys, listenerKeys } from "../../lib/kernelKeys.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertUnbroken, bothCurrent, rollOver, waitForOther } from "../../lib/rollovers.ts";
import { RTR_PORT, type RtrEnd, rtrEnd } from "../../lib/rtrPair.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { ENDS, takeBaseline } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";
import { assertAllSigned, layOutWrap, startKarps, type WrapSetting } from "../../lib/wrap.ts";

type Setting = WrapSetting<RtrEnd>;

export const scenario: Scenario = {
  title: "keyed from outside: several connections of one session, a listener opened anew, killed right after `ready`",
  timeoutSeconds: 400,
  async run(lab) {
    const daemons = [rtrEnd("client", { connections: 2 }), rtrEnd("server")] as const;
    const setting = await layOutWrap<RtrEnd>(lab, { daemons, routes: 0, keyers: ["r1", "r2"] });
    const capture = await Capture.start(lab, "session", "r1", `tcp port ${RTR_PORT}`);
    await setting.daemons[1].start();
    await startKarps(lab, setting);
    await setting.daemons[0].start();
    await severalAtOnce(lab, setting);
    await lab.part("listener", () => listenerAnew(lab, setting));
    await lab.part("killed", () => killedAfterReady(lab, setting));
    await capture.stop(lab);
    await assertAllSigned(lab, capture.file, setting.watch.mkts());
  },
};

/** All connections, at both ends, with a key that both karps call current. */
async function allUp(setting: Setting, connections: number): Promise<KeyRow> {
  for (const [i, end] of ENDS.entries()) {
    const isUp = (): boolean => setting.daemons[i as 0 | 1].connections() === connections;
    await waitFor(`${connections} connections at ${end}`, isUp, { seconds: 60 });
  }
  for (const daemon of setting.daemons) await daemon.waitEstablished(0, 30);
  const key = await waitFor("both karps to see one key in use", () => bothCurrent(setting), { seconds: 90 });
  await takeBaseline(setting);
  setting.watch.lookAtAll();
  return key;
}

async function roll(lab: Lab, setting: Setting, initiator: 0 | 1, name: string): Promise<void> {
  const next = await rollOver(lab, setting, initiator, name);
  setting.watch.lookAtAll();
  for (const [i, { pid, peering }] of setting.daemons.entries()) {
    const ids = i === 0 ? next.sendId : next.recvId;
    const used = allKernelKeys(pid, peering.remote).map((keys) => keys.find(({ isCurrent }) => isCurrent)?.sendId);
    const connections = setting.daemons[i as 0 | 1].connections();
    lab.equal(`${name}: ${ENDS[i]}: each connection sends with the new key`, used, Array(connections).fill(ids));
  }
}

async function severalAtOnce(lab: Lab, setting: Setting): Promise<void> {
  lab.step("two connections of one session");
  const key = await allUp(setting, 2);
  lab.check("both ends have two connections, and one key", true, key.fingerprint);
  await roll(lab, setting, 0, "two connections roll");
}

async function listenerAnew(lab: Lab, setting: Setting): Promise<void> {
  lab.step("the cache closes its listener and opens another; then the client opens a third connection");
  const [client, server] = setting.daemons;
  const before = await bothCurrent(setting);
  server.again();
  const began = performance.now();
  const isKeyed = (): boolean => listenerKeys(server.pid).some((keys) => keys.length > 0);
  await waitFor("the new listener to have the keys", isKeyed, { seconds: 20, everySeconds: 0.05 });
  lab.check("the new listener has the keys", true, `after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  await assertUnbroken(lab, setting, "a listener opened anew: the connections that stood");
  client.again();
  const key = await allUp(setting, 3);
  lab.equal("the third connection has the key that the session has", key.fingerprint, before.fingerprint);
  await roll(lab, setting, 1, "three connections roll");
}

async function killedAfterReady(lab: Lab, setting: Setting): Promise<void> {
  lab.step("the cache is killed right after its karp has told the peer that a new key is ready there");
  const [, server] = setting.daemons;
  const old = await bothCurrent(setting);
  let killed: Promise<void> | undefined;
  const stop = await setting.karps[1].control.follow(({ name, data }) => {
    if (killed === undefined && name === "mktState" && data["to"] === "installed") killed = server.end("SIGKILL");
  });
  await setting.karps[0].rekey();
  await (
    await waitFor("the key to be ready there", () => killed && { done: killed }, { seconds: 60, everySeconds: 0.02 })
  ).done;
  stop();
  await server.start();
  await allUp(setting, 3);
  const next = await waitForOther(setting, old, "the rollover to end", 120);
  lab.check("the rollover ends", true, `${old.fingerprint} -> ${next.fingerprint}`);
  await takeBaseline(setting);
  await roll(lab, setting, 1, "another one");
}
