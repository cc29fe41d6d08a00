// Two karps key the session of two real BIRDs: observe, opportunistic, ten rollovers.

import { readFileSync } from "node:fs";
import { sameSince } from "../../lib/bird.ts";
import type { KarpSession } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { tcpAoCounters } from "../../lib/network.ts";
import { assertHistory, bothCurrent, rollOver, startKarp, waitFirstKey } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, ENDS, routerName, setUpTwoBirds } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

const ROLLOVERS = 10;
const SECONDS_APART = 10;
/** Signed SYNs, sent again included, of the end that has the first key to the one that is just getting it. */
const MOST_EARLY_SYNS = 3;
type Setting = Awaited<ReturnType<typeof setUpTwoBirds>>;

export const scenario: Scenario = {
  title: "two karps, two BIRDs, 1,000 routes, certificates: observe, opportunistic, 10 rollovers",
  timeoutSeconds: 900,
  async run(lab) {
    // r2 asks for the first key: by then r1 counts its SendIDs on from those of its other session, and r2 from 1
    const karps = [{ lines: ["start: on-demand"], moreSessions: [sessionWithHighKeyIds] }, {}] as const;
    const setting = await setUpTwoBirds(lab, { routes: 1000, mode: "observe", karps });
    await observe(lab, setting);
    await becomeOpportunistic(lab, setting);
    const history = [await bothCurrent(setting)];
    for (let n = 1; n <= ROLLOVERS; n++) {
      const began = performance.now();
      const initiator = n % 2 === 1 ? 0 : 1;
      lab.step(`rollover ${n}, asked for at ${ENDS[initiator]}`);
      history.push(await rollOver(lab, setting, initiator, `rollover ${n}`));
      await passTime(Math.max(0, SECONDS_APART - (performance.now() - began) / 1000));
    }
    lab.check(
      "no key has one number both ways: ends that were mixed up would show",
      history.every(({ sendId, recvId }) => sendId !== recvId),
      history.map(({ sendId, recvId }) => `${sendId}/${recvId}`).join(", "),
    );
    await assertHistory(lab, setting, history);
  },
};

/** A session that r1 alone has and that nobody wants a key for: its placeholder is given a KeyID far from r2's. */
const sessionWithHighKeyIds: KarpSession = {
  name: "elsewhere",
  local: "10.0.0.1",
  remote: "10.0.0.2",
  peer: routerName(2),
  mode: "required",
  lines: [
    "port: 1790",
    "start: on-demand",
    'reserved-key-ids: ["0-99"]',
    "driver: keychain",
    "keychain: { file: /var/lib/lab/r1/elsewhere.json }",
  ],
};

async function observe(lab: Lab, setting: Setting): Promise<void> {
  lab.step("mode observe: a key is negotiated and stored, BIRD is left alone");
  const before = [await setting.daemons[0].status(), await setting.daemons[1].status()];
  for (const karp of setting.karps) await startKarp(lab, karp);
  for (const [i, karp] of setting.karps.entries()) {
    const held = async () => (await karp.keys()).find(({ state }) => state === "held");
    const key = await waitFor(`${ENDS[i]} to hold a key`, held, { seconds: 30 });
    lab.check(`${ENDS[i]} holds a negotiated key`, true, key.fingerprint);
  }
  for (const [i, bird] of setting.daemons.entries()) {
    const { since, ao } = await bird.status();
    const seen = { since: sameSince(since, before[i]?.since), ao };
    lab.equal(`${ENDS[i]}: BIRD's session is untouched`, seen, { since: before[i]?.since, ao: undefined });
    const file = readFileSync(bird.options.peering.keyFile, "utf8");
    lab.check(`${ENDS[i]}: the include file holds no key`, !/^\s*(key|authentication)\b/m.test(file));
  }
}

async function becomeOpportunistic(lab: Lab, setting: Setting): Promise<void> {
  lab.step("mode opportunistic: the key goes in, the session restarts once");
  await beginCapture(lab, setting);
  for (const karp of setting.karps) await karp.setMode("opportunistic");
  for (const [i, bird] of setting.daemons.entries()) {
    await waitFor(`${ENDS[i]}'s session to carry TCP-AO`, async () => (await bird.status()).ao, { seconds: 60 });
  }
  const keyed = [await tcpAoCounters("r1"), await tcpAoCounters("r2")];
  await waitFirstKey(lab, setting);
  for (const [i, end] of ENDS.entries()) {
    const { bad = -1, keyNotFound = -1 } = setting.baseline[i]?.counters ?? {};
    lab.equal(`${end}: TCPAOBad from the first key on`, bad, 0);
    const { keyNotFound: early = MOST_EARLY_SYNS + 1 } = keyed[i] ?? {};
    lab.check(`${end}: TCPAOKeyNotFound before both have the key`, early <= MOST_EARLY_SYNS, String(early));
    lab.equal(`${end}: TCPAOKeyNotFound once both have it`, keyNotFound - early, 0);
  }
}
