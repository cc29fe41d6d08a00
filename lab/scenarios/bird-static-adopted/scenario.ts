// Two BIRDs with a TCP-AO key that people wrote: at r1 in the protocol block, at r2 in the included file. karp takes it for
// the predecessor of its own first key and rolls it away; the session, which was up before karp came, has not noticed.
import { readFileSync } from "node:fs";
import { type Bird, bird } from "../../lib/bird.ts";
import type { KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertUnbroken, bothCurrent, rollOver, startKarp } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import {
  beginCapture,
  ENDS,
  endCapture,
  setUpTwoRouters,
  type TwoRouters,
  takeBaseline,
} from "../../lib/twoRouters.ts";
import { assertSessionVerified, sentBy, verifyCapture } from "../../lib/verify.ts";
import { waitFor } from "../../lib/wait.ts";

const STATIC_ID = 7;
const LINES = [
  "authentication ao;",
  `keys { key { id ${STATIC_ID}; secret "what people wrote"; algorithm hmac sha256; }; };`,
];

export const scenario: Scenario = {
  title: "a static TCP-AO key, in the block and in the included file, adopted and rolled away with the session up",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await setUp(lab);
    await assertChecked(lab, setting);
    lab.step("both karps start: their first key goes in beside the static one, then takes its place");
    for (const karp of setting.karps) await startKarp(lab, karp);
    await waitFor("both karps to see the first key in use", () => bothCurrent(setting), { seconds: 90 });
    await assertUnbroken(lab, setting, "with karp's first key");
    await assertRolledAway(lab, setting);
    const second = await rollOver(lab, setting, 1, "a rollover");
    await assertCaptured(lab, setting, second);
  },
};

async function setUp(lab: Lab): Promise<TwoRouters<Bird>> {
  const inFile = bird();
  const setting = await setUpTwoRouters<Bird>(lab, {
    daemons: [
      bird({ protocolLines: LINES }),
      (made, plan) => {
        const daemon = inFile(made, plan);
        daemon.writeKeyFile(`${LINES.join("\n")}\n`);
        return daemon;
      },
    ],
    credentials: "psk",
    karps: [{ lines: [`reserved-key-ids: [${STATIC_ID}]`] }, { lines: [`reserved-key-ids: [${STATIC_ID}]`] }],
  });
  // A capture can be verified from the connection's first segment on
  const [r1] = setting.daemons;
  await r1.birdc("disable", r1.peering.protocol);
  await beginCapture(lab, setting);
  await r1.birdc("enable", r1.peering.protocol);
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  await takeBaseline(setting);
  return setting;
}

async function assertChecked(lab: Lab, setting: TwoRouters<Bird>): Promise<void> {
  const { code, stdout } = await setting.karps[0].cli("check", "--config", setting.karps[0].file);
  const said = stdout.split("\n").find((line) => line.includes(`${STATIC_ID}/${STATIC_ID}`)) ?? stdout;
  lab.check(
    "r1: karp check takes the static key for one to be adopted",
    code === 0 && /are used until karp/.test(said),
    said,
  );
}

/** Nothing of the static key is left in what karp wrote and in the kernel; r1's block has it, without effect. */
async function assertRolledAway(lab: Lab, setting: TwoRouters<Bird>): Promise<void> {
  for (const [i, end] of ENDS.entries()) {
    const daemon = setting.daemons[i as 0 | 1];
    const holdsIt = (): boolean => readFileSync(daemon.peering.keyFile, "utf8").includes(`send id ${STATIC_ID};`);
    await waitFor(`${end}'s file without the static key`, () => !holdsIt(), { seconds: 60 });
    lab.check(`${end}: the static key is out of the file`, true);
  }
  await assertUnbroken(lab, setting, "without the static key");
  const { stdout } = await setting.karps[0].cli("check", "--config", setting.karps[0].file);
  const said = stdout.split("\n").find((line) => line.includes("no effect")) ?? stdout;
  lab.check("r1: karp check says that the block's keys may go", /take them out/.test(said), said);
}

/** The static key from the first segment on, then karp's: each once, and never back. */
async function assertCaptured(lab: Lab, setting: TwoRouters<Bird>, last: KeyRow): Promise<void> {
  lab.step("the capture, verified by independent code");
  const session = assertSessionVerified(
    lab,
    await verifyCapture(lab, await endCapture(lab, setting), setting.watch.mkts()),
  );
  for (const [i, end] of ENDS.entries()) {
    const seen = sentBy(session, setting.addresses[i as 0 | 1]).runs.map(({ keyId }) => keyId);
    const ends = [seen[0], seen.at(-1)];
    lab.equal(`${end}: from the static key to karp's last`, ends, [STATIC_ID, i === 0 ? last.sendId : last.recvId]);
    lab.equal(`${end}: no key came back`, new Set(seen).size, seen.length);
  }
}
