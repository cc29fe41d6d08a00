// Somebody types a wrong pre-shared key at one end while the session is keyed: the key in use stays, an alarm says why
// there is no new one, and with the right key rollovers go on.
import { readFileSync } from "node:fs";
import { writePsk } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertHistory, assertUnbroken, bothCurrent, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { ENDS, pskFile, randomPsk, setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";

export const scenario: Scenario = {
  title: "wrong PSK on one side: the old key stays, an alarm says why, the right PSK heals it",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, { credentials: "psk" });
    const history = [await keySession(lab, setting)];
    history.push(await rollOver(lab, setting, 0, "with the right PSK"));
    const right = readFileSync(pskFile(2), "utf8").trim();
    await withWrongPsk(lab, setting);
    lab.step("the right PSK again");
    writePsk(pskFile(2), right);
    await setting.karps[1].control.call("POST", "/v1/reload", {});
    for (const initiator of [0, 1] as const) {
      const name = `healed, asked for at ${ENDS[initiator]}`;
      history.push(await rollOver(lab, setting, initiator, name, { seconds: 120 }));
    }
    await assertHistory(lab, setting, history);
  },
};

async function withWrongPsk(lab: Lab, setting: TwoRouters): Promise<void> {
  lab.step("another PSK at r2, and both karps have to authenticate anew");
  const before = await bothCurrent(setting);
  writePsk(pskFile(2), randomPsk());
  for (const karp of setting.karps) await karp.end("SIGTERM");
  for (const karp of setting.karps) await karp.start();
  for (const [i, karp] of setting.karps.entries()) {
    await karp.rekey().catch((error: Error) => lab.say(`rekey at ${ENDS[i]}: ${error.message}`));
    const said = await karp.waitEvent(
      "authentication failed",
      ({ severity, text }) => severity === "alarm" && /authenticat|pre-shared/i.test(text),
      60,
    );
    lab.check(`${ENDS[i]}: an alarm says what is wrong`, true, said.text);
  }
  const now = await bothCurrent(setting);
  lab.equal("the key in use stays", now.fingerprint, before.fingerprint);
  for (const [i, karp] of setting.karps.entries()) {
    const { safe, safety } = await karp.sessionRow();
    lab.check(`${ENDS[i]}: karp says that the session is safe`, safe, safety);
  }
  await assertUnbroken(lab, setting, "with the wrong PSK");
}
