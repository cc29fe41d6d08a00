// The session runs over IPv6, IKE too; the algorithm changes with a rollover, as people change it: in the configuration.
// What the kernel has and BIRD has no word for is refused before any peer hears of it: HMAC-SHA-256 with 128 bits, and a MAC
// that leaves TCP options out. Keys from outside (driver linux) can have both.
import { readFileSync, writeFileSync } from "node:fs";
import type { Karp } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertHistory, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";

const ALGORITHMS = ["hmac-sha-1-96", "aes-128-cmac-96"] as const;

const REFUSED = [
  {
    words: "algorithms: [aes-128-cmac-96, hmac-sha-256-128]",
    wanted: /the driver bird cannot do `hmac-sha-256-128`[\s\S]*aes-128-cmac-96, hmac-sha-1-96/,
  },
  { words: "tcp-options: [omitted]", wanted: /the driver bird cannot do `omitted`[\s\S]*covered/ },
] as const;

export const scenario: Scenario = {
  title: "two BIRDs over IPv6, required from the start; both algorithms that BIRD has, and the words that it has not",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, { family: "ipv6", mode: "required", credentials: "psk" });
    const history = [await keySession(lab, setting)];
    for (const { words, wanted } of REFUSED) await assertRefused(lab, setting.karps[0], words, wanted);
    for (const algorithm of ALGORITHMS) {
      lab.step(`algorithms: [${algorithm}] at both ends`);
      for (const karp of setting.karps) await karp.setLines([`algorithms: [${algorithm}]`]);
      for (const initiator of [0, 1] as const) {
        const name = `${algorithm}, asked for at r${initiator + 1}`;
        history.push(await rollOver(lab, setting, initiator, name));
        assertAlgorithm(lab, setting, name, history.at(-1)?.sendId, algorithm);
      }
    }
    await assertHistory(lab, setting, history);
  },
};

/** By `karp check`, and by a karp that runs and is told to read it: that one goes on with what it had. */
async function assertRefused(lab: Lab, karp: Karp, words: string, wanted: RegExp): Promise<void> {
  lab.step(`${words} is refused`);
  const right = readFileSync(karp.file, "utf8");
  writeFileSync(karp.file, right.replace(/^( +)driver: bird$/m, `$&\n$1${words}`));
  const { code, stdout, stderr } = await karp.cli("check", "--config", karp.file);
  lab.check("karp check", code === 1 && wanted.test(stdout + stderr), `${code}: ${stdout}${stderr}`);
  const reload = await karp.cli("reload", "--socket", karp.socket);
  lab.check("karp reload", reload.code === 1 && wanted.test(reload.stdout + reload.stderr), reload.stderr);
  writeFileSync(karp.file, right);
}

/** As the kernel has it, not as somebody wrote it. */
function assertAlgorithm(
  lab: Lab,
  { watch }: TwoRouters,
  name: string,
  sendId: number | undefined,
  algorithm: string,
): void {
  const mkt = watch.mkts().find(({ ends }) => ends[0]?.sendId === sendId);
  lab.equal(
    `${name}: the kernel's algorithm, TCP options covered`,
    [mkt?.algorithm, mkt?.tcpOptions],
    [algorithm, true],
  );
}
