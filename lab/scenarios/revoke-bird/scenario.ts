// `karp revoke`: the session ends, the key opens no connection to this router any more, and with a new key it comes back;
// then the other router has forgotten the key as well.
import { join } from "node:path";
import type { Bird } from "../../lib/bird.ts";
import { must } from "../../lib/exec.ts";
import { allKernelKeys, kernelKeys, listenerKeys } from "../../lib/kernelKeys.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertAllSigned, keySession, rollOver, startKarp, waitFirstKey } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { ENDS, setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

type Setting = TwoRouters<Bird>;

export const scenario: Scenario = {
  title: "karp revoke: the session ends, the key is unusable, a new key brings the session back",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await setUpTwoBirds(lab);
    await keySession(lab, setting);
    await rollOver(lab, setting, 0);
    await passTime(4); // the first key goes
    const revoked = await keyInUse(setting);
    lab.equal("control: the key opens a connection", await signedConnect(revoked), "connected");
    await revoke(lab, setting, revoked);
    await restarted(lab, setting);
    lab.step("the operator asks for a new key");
    await setting.karps[0].control.call("POST", "/v1/RKMP_generateSA", { session: setting.karps[0].session.name });
    await waitFirstKey(lab, setting);
    await rollOver(lab, setting, 1, "rollovers go on");
    await assertUnusable(lab, setting, revoked, "with the new key", ENDS);
    await assertAllSigned(lab, setting, 2);
  },
};

/** r2's key of its connection, as the kernel has it. */
async function keyInUse({ daemons }: Setting) {
  const [key, ...others] = kernelKeys(daemons[1].pid, "10.0.0.1");
  if (key === undefined || others.length > 0) throw new Error(`${others.length + 1} keys at r2, one was expected`);
  return key;
}

type Key = Awaited<ReturnType<typeof keyInUse>>;

async function signedConnect({ sendId, recvId, algorithm, keyHex }: Key): Promise<string> {
  const program = join(import.meta.dirname, "signedConnect.py");
  const words = ["10.0.0.2", "10.0.0.1", "179", String(sendId), String(recvId), algorithm];
  return (await must(["python3", "-B", program, ...words], { namespace: "r2", input: keyHex })).trim();
}

async function revoke(lab: Lab, setting: Setting, key: Key): Promise<void> {
  lab.step("r1's operator revokes the session's keys");
  const { stdout, stderr } = await setting.karps[0].cli(
    ...[
      "revoke",
      setting.karps[0].session.name,
      "--reason",
      "laptop lost",
      "--yes",
      "--socket",
      setting.karps[0].socket,
    ],
  );
  lab.say((stdout + stderr).trim());
  for (const [i, daemon] of setting.daemons.entries()) {
    const isDown = async (): Promise<boolean> => (await daemon.status()).info !== "Established";
    await waitFor(`${ENDS[i]}'s session to end`, isDown, { seconds: 30 });
    lab.check(`${ENDS[i]}: the session has ended`, true);
  }
  await assertUnusable(lab, setting, key, "revoked", ["r1"]);
  await passTime(10);
  for (const [i, daemon] of setting.daemons.entries()) {
    lab.check(`${ENDS[i]}: it stays down`, (await daemon.status()).info !== "Established");
  }
}

async function assertUnusable(
  lab: Lab,
  { daemons }: Setting,
  key: Key,
  when: string,
  ends: readonly string[],
): Promise<void> {
  lab.equal(`${when}: the key opens no connection`, await signedConnect(key), "timed out");
  for (const [i, daemon] of daemons.entries()) {
    const namespace = ENDS[i] ?? "";
    if (!ends.includes(namespace)) continue;
    const gone = async (): Promise<boolean> => {
      const listening = listenerKeys(daemon.pid).flat();
      const connected = allKernelKeys(daemon.pid, daemon.peering.remote).flat();
      return [...listening, ...connected].every(({ keyHex }) => keyHex !== key.keyHex);
    };
    await waitFor(`${when}: ${namespace}'s kernel to have forgotten the key`, gone, { seconds: 30 });
    lab.check(`${when}: ${namespace}: no socket has the key`, true);
  }
}

/** Neither end brings the key back after a restart. */
async function restarted(lab: Lab, setting: Setting): Promise<void> {
  lab.step("both karps are restarted: the session stays closed");
  for (const karp of setting.karps) {
    await karp.end("SIGKILL");
    await startKarp(lab, karp);
  }
  await passTime(5);
  for (const [i, daemon] of setting.daemons.entries()) {
    lab.check(`${ENDS[i]}: still down`, (await daemon.status()).info !== "Established");
  }
}
