// Two karps key the session of two real BIRDs: observe, opportunistic, ten rollovers, and kill -9 in the middle of more.

import { readFileSync } from "node:fs";
import { sameSince } from "../../lib/bird.ts";
import type { Lab } from "../../lib/lab.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { assertSessionVerified, sentBy, verifyCapture } from "../../lib/verify.ts";
import { passTime, waitFor } from "../../lib/wait.ts";
import { killInTheMiddle } from "./kills.ts";
import { assertUnbroken, bothCurrent, ENDS, ROUTES, type Setting, setUp } from "./setting.ts";

const ROLLOVERS = 10;
const SECONDS_APART = 10;

export const scenario: Scenario = {
  title: "two karps, two BIRDs, 1,000 routes, certificates: observe, opportunistic, 10 rollovers, kill -9",
  timeoutSeconds: 900,
  async run(lab) {
    const setting = await setUp(lab);
    await observe(lab, setting);
    await becomeOpportunistic(lab, setting);
    const history = [await bothCurrent(setting)];
    for (let n = 1; n <= ROLLOVERS; n++) history.push(await rollOver(lab, setting, n));
    await assertUnbroken(lab, setting, `after ${ROLLOVERS} rollovers`);
    assertCountersInOrder(lab, setting, history.length);
    history.push(...(await killInTheMiddle(lab, setting)));
    await assertUnbroken(lab, setting, "at the end");
    await assertCapture(lab, setting, history);
  },
};

async function observe(lab: Lab, setting: Setting): Promise<void> {
  lab.step("mode observe: a key is negotiated and stored, BIRD is left alone");
  const before = [await setting.birds[0].status(), await setting.birds[1].status()];
  for (const karp of setting.karps) {
    await karp.start();
    lab.defer(() => karp.saveViews());
  }
  for (const [i, karp] of setting.karps.entries()) {
    const held = async () => (await karp.keys()).find(({ state }) => state === "held");
    const key = await waitFor(`${ENDS[i]} to hold a key`, held, { seconds: 30 });
    lab.check(`${ENDS[i]} holds a negotiated key`, true, key.fingerprint);
  }
  for (const [i, bird] of setting.birds.entries()) {
    const { since, ao } = await bird.status();
    const seen = { since: sameSince(since, before[i]?.since), ao };
    lab.equal(`${ENDS[i]}: BIRD's session is untouched`, seen, { since: before[i]?.since, ao: undefined });
    const file = readFileSync(bird.options.peering.keyFile, "utf8");
    lab.check(`${ENDS[i]}: the include file holds no key`, !/^\s*(key|authentication)\b/m.test(file));
  }
}

async function becomeOpportunistic(lab: Lab, setting: Setting): Promise<void> {
  lab.step("mode opportunistic: the key goes in, the session restarts once");
  await setting.beginCapture(lab);
  for (const karp of setting.karps) await karp.setMode("opportunistic");
  for (const [i, bird] of setting.birds.entries()) {
    await waitFor(`${ENDS[i]}'s session to carry TCP-AO`, async () => (await bird.status()).ao, { seconds: 60 });
    await bird.waitEstablished(ROUTES, 60);
  }
  const key = await waitFor("both karps to see the first key in use", () => bothCurrent(setting), { seconds: 90 });
  lab.check("both ends use the same first key", true, key.fingerprint);
  await setting.takeBaseline();
}

async function rollOver(lab: Lab, setting: Setting, n: number) {
  const initiator = setting.karps[n % 2 === 1 ? 0 : 1];
  const began = performance.now();
  lab.step(`rollover ${n}, asked for at ${initiator.options.namespace}`);
  const old = await bothCurrent(setting);
  await initiator.rekey();
  const next = await waitFor(
    "both ends to use the next key",
    async () => {
      const key = await bothCurrent(setting);
      return key.fingerprint === old.fingerprint ? undefined : key;
    },
    { seconds: 60 },
  );
  const seconds = (performance.now() - began) / 1000;
  lab.check(`rollover ${n}: both ends use the next key`, true, `${next.fingerprint} after ${seconds.toFixed(1)} s`);
  await assertUnbroken(lab, setting, `rollover ${n}`);
  await passTime(Math.max(0, SECONDS_APART - (performance.now() - began) / 1000));
  return next;
}

/** Each key's counter grows, one key after the other; no key is used again after its successor. */
function assertCountersInOrder(lab: Lab, { watch }: Setting, keys: number): void {
  for (const [i, end] of ENDS.entries()) {
    const growth = watch.growth(i === 0 ? 0 : 1);
    const overlaps = growth.filter((key, n) => n > 0 && (growth[n - 1]?.last ?? 0) > key.first);
    const text = growth.map(({ recvId, good }) => `${recvId}: ${good}`).join(", ");
    lab.check(
      `${end}: the good counters of ${keys} keys grew in order`,
      growth.length === keys && overlaps.length === 0,
      text,
    );
  }
}

async function assertCapture(
  lab: Lab,
  setting: Setting,
  history: readonly { sendId: number; recvId: number }[],
): Promise<void> {
  lab.step("the capture, verified by independent code");
  await setting.watch.stop();
  const file = await setting.endCapture(lab);
  const session = assertSessionVerified(lab, await verifyCapture(lab, file, setting.watch.mkts()));
  const wanted = { r1: history.map(({ sendId }) => sendId), r2: history.map(({ recvId }) => recvId) };
  for (const [i, end] of ENDS.entries()) {
    const seen = sentBy(session, `10.0.0.${i + 1}`).runs.map(({ keyId }) => keyId);
    lab.equal(`${end}: every current key's KeyID was sent, in order`, seen, wanted[end]);
  }
}
