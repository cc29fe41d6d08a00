// From TCP MD5 to karp with `karp migrate`: the plan, a way back that costs nothing, a way back after the switch, and then
// both routers together: the session goes down once and comes back with TCP-AO.
import { readFileSync } from "node:fs";
import { type Bird, bird, sameSince } from "../../lib/bird.ts";
import type { Lab } from "../../lib/lab.ts";
import { migrate, waitBothHold } from "../../lib/migrate.ts";
import { assertAllSigned, assertUnbroken, bothCurrent, rollOver, startKarp } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { beginCapture, ENDS, setUpTwoRouters, type TwoRouters, takeBaseline } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

type Setting = TwoRouters<Bird>;

const LINES = ["authentication md5;", 'password "what everybody knows";'];

export const scenario: Scenario = {
  title: "karp migrate from TCP MD5: the plan, two ways back, and both ends together",
  timeoutSeconds: 400,
  async run(lab) {
    const setting = await setUpTwoRouters<Bird>(lab, {
      daemons: bird({ protocolLines: LINES }),
      credentials: "psk",
      mode: "observe",
    });
    await takeBaseline(setting);
    for (const karp of setting.karps) await startKarp(lab, karp);
    await waitBothHold(setting);
    await planOnly(lab, setting);
    await neighbourNotReady(lab, setting);
    await neighbourHalfReady(lab, setting);
    await together(lab, setting);
  },
};

function filesOf(setting: Setting): readonly string[] {
  return setting.daemons.flatMap((daemon, i) =>
    [daemon.configuration, daemon.peering.keyFile, setting.karps[i as 0 | 1].file].map((file) =>
      readFileSync(file, "utf8"),
    ),
  );
}

async function planOnly(lab: Lab, setting: Setting): Promise<void> {
  lab.step("karp migrate --plan");
  const before = filesOf(setting);
  const { code, stdout } = await migrate(setting.karps[0], "--plan");
  lab.say(stdout);
  lab.equal("the plan names one step that resets the session", [code, stdout.match(/RESETS/g)?.length], [0, 1]);
  lab.check("and the lines of bird.conf", /bird\.conf line \d+: take out `password …;`/.test(stdout));
  const asked = await migrate(setting.karps[0]);
  lab.check("without --yes nothing is done", asked.code === 1 && /--yes/.test(asked.stderr));
  lab.check("nothing is changed", filesOf(setting).join() === before.join());
  await assertUnbroken(lab, setting, "after the plan");
}

async function neighbourNotReady(lab: Lab, setting: Setting): Promise<void> {
  lab.step("r1 alone: the neighbour's operator does nothing");
  const before = filesOf(setting);
  const { code, stderr } = await migrate(setting.karps[0], "--yes", "--within", "8s");
  lab.check(
    "it gives up, and says that everything was put back",
    code === 1 && /everything was put back/.test(stderr),
    stderr,
  );
  lab.check("the files are as they were", filesOf(setting).join() === before.join());
  await assertUnbroken(lab, setting, "the session did not notice");
}

/** r2's karp is ready, its BIRD keeps the password: the switch at r1 takes the session down, and the way back up again. */
async function neighbourHalfReady(lab: Lab, setting: Setting): Promise<void> {
  lab.step("r1 switches, r2's BIRD does not");
  const { configuration } = setting.daemons[0];
  const before = readFileSync(configuration, "utf8");
  await setting.karps[1].setMode("opportunistic");
  const { code, stderr } = await migrate(setting.karps[0], "--yes", "--within", "15s");
  lab.check(
    "it gives up, in one sentence, and the session is back with MD5",
    code === 1 && !/ at .*ts:/.test(stderr) && /the session is as it was: .*TCP MD5/.test(stderr),
    stderr,
  );
  lab.check("bird.conf is as it was", readFileSync(configuration, "utf8") === before);
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  const { since } = await setting.daemons[0].status();
  lab.check("the session was down meanwhile", sameSince(since, setting.baseline[0]?.since) === since, since);
}

async function together(lab: Lab, setting: Setting): Promise<void> {
  lab.step("both ends");
  await beginCapture(lab, setting);
  const done = await Promise.all(setting.karps.map((karp) => migrate(karp, "--yes", "--within", "90s")));
  for (const [i, end] of ENDS.entries()) {
    const { code, stdout, stderr } = done[i] ?? { code: -1, stdout: "", stderr: "" };
    lab.check(`${end}: migrated`, code === 0 && /TCP-AO with karp's keys/.test(stdout), `${stderr}${stdout}`);
    const text = readFileSync(setting.daemons[i as 0 | 1].configuration, "utf8");
    lab.check(`${end}: no password in bird.conf`, !/password|authentication/.test(text));
  }
  await waitFor("both karps to see the key in use", () => bothCurrent(setting), { seconds: 60 });
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  await takeBaseline(setting);
  await rollOver(lab, setting, 0, "a rollover");
  await assertAllSigned(lab, setting, 1);
}
