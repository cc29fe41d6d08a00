// Sessions that are administratively down: their keys roll on time all the same, 300 times in all, and no KeyID is lost,
// although there are only 256. When the operator enables one, it comes up with the key of the day.
import { readFileSync, writeFileSync } from "node:fs";
import { type Bird, bird, moreProtocol, otherSession } from "../../lib/bird.ts";
import { must } from "../../lib/exec.ts";
import type { KarpSession } from "../../lib/karp.ts";
import { KeyWatch } from "../../lib/keyWatch.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertAllSigned, assertUnbroken, keySession, rollOver, waitFirstKey } from "../../lib/rollovers.ts";
import type { Peering, RouterPlan } from "../../lib/routingDaemon.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { ENDS, routerName, setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

const SESSIONS = Array.from({ length: 20 }, (_, i) => i + 1);
const ROLLOVERS = 15;
const QUARANTINE_SECONDS = 15;

type Setting = TwoRouters<Bird>;

export const scenario: Scenario = {
  title: `${SESSIONS.length} sessions administratively down for ${SESSIONS.length * ROLLOVERS} rollovers: no KeyID is lost`,
  timeoutSeconds: 780,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, {
      daemons: birdWithMore,
      rollover: { quarantine: `${QUARANTINE_SECONDS}s` },
      karps: [
        { lines: ["peer-address: 10.0.0.2"], moreSessions: SESSIONS.map((s) => karpSession(1, s)) },
        { lines: ["peer-address: 10.0.0.1"], moreSessions: SESSIONS.map((s) => karpSession(2, s)) },
      ],
    });
    for (const [i, namespace] of ENDS.entries()) {
      for (const s of SESSIONS)
        await must(["ip", "-n", namespace, "addr", "add", `10.1.${s}.${i + 1}/24`, "dev", "e0"]);
    }
    await keySession(lab, setting);
    lab.step(`${ROLLOVERS} rollovers of each of the ${SESSIONS.length} sessions that are down`);
    const began = performance.now();
    await Promise.all(SESSIONS.map((s) => rollMany(lab, setting, s)));
    lab.say(`${SESSIONS.length * ROLLOVERS} rollovers in ${((performance.now() - began) / 1000).toFixed(0)} s`);
    await assertNoneLost(lab, setting);
    await assertUnbroken(lab, setting, "the session that is up, meanwhile");
    await rollOver(lab, setting, 0, "the session that is up rolls");
    await enable(lab, setting, SESSIONS[0] ?? 1);
  },
};

function name(n: number, s: number): string {
  return `r${3 - n}s${s}`;
}

function keyFile(n: number, s: number): string {
  return `/var/lib/lab/r${n}/keys/${name(n, s)}.conf`;
}

function peering(n: number, s: number): Peering {
  const local = `10.1.${s}.${n}`;
  const remote = `10.1.${s}.${3 - n}`;
  return { protocol: name(n, s), local, localAs: 65000 + n, remote, remoteAs: 65003 - n };
}

function birdWithMore(lab: Lab, plan: RouterPlan): Bird {
  const n = plan.namespace === "r1" ? 1 : 2;
  const lines = (s: number): string[] => ["disabled;", `include "${keyFile(n, s)}";`];
  // BIRD 3.4.0 ends with a failed assertion (lib/event.c) when `configure` enables a protocol that was down
  const made = bird({ version: 2, configurationLines: SESSIONS.map((s) => moreProtocol(peering(n, s), lines(s))) })(
    lab,
    plan,
  );
  for (const s of SESSIONS) writeFileSync(keyFile(n, s), "# no key yet\n", { mode: 0o600 });
  return made;
}

function karpSession(n: 1 | 2, s: number): KarpSession {
  const { protocol, local, remote } = peering(n, s);
  const words = {
    include: keyFile(n, s),
    control: `/run/r${n}.bird.ctl`,
    config: `/etc/lab/r${n}/bird.conf`,
    "configure-interval": "1s",
  };
  const lines = ["driver: bird", `bird: ${JSON.stringify(words)}`, `peer-address: 10.0.0.${3 - n}`];
  return { name: protocol, local, remote, peer: routerName(n === 1 ? 2 : 1), lines };
}

/** One session rolls again and again, asked for at either end in turn. */
async function rollMany(lab: Lab, { karps }: Setting, s: number): Promise<void> {
  const current = async (): Promise<string | undefined> => {
    const [a, b] = [await karps[0].currentKey(name(1, s)), await karps[1].currentKey(name(2, s))];
    return a?.fingerprint === b?.fingerprint ? a?.fingerprint : undefined;
  };
  let last = await waitFor(`session ${s} to have its first key`, current, { seconds: 120, everySeconds: 0.5 });
  for (let k = 0; k < ROLLOVERS; k++) {
    const end = k % 2 === 0 ? 0 : 1;
    await karps[end].rekey(name(end + 1, s));
    const next = async (): Promise<string | undefined> => {
      const now = await current();
      return now === last ? undefined : now;
    };
    last = await waitFor(`session ${s}, rollover ${k + 1}`, next, { seconds: 90, everySeconds: 0.5 });
  }
  lab.check(`session ${s}: ${ROLLOVERS} rollovers while it is down`, true, last);
}

/** Once the last quarantine is over, each session has one key, and all other KeyIDs are free. */
async function assertNoneLost(lab: Lab, { karps }: Setting): Promise<void> {
  for (const [i, karp] of karps.entries()) {
    const perSession = async (): Promise<number[]> => {
      const names = SESSIONS.map((s) => name(i + 1, s));
      return await Promise.all(names.map(async (session) => (await karp.keys(session)).length));
    };
    const all = async (): Promise<boolean> => (await perSession()).every((count) => count === 1);
    await waitFor(`${ENDS[i]}: the quarantine to end`, all, { seconds: QUARANTINE_SECONDS + 45 }).catch(() => false);
    lab.equal(
      `${ENDS[i]}: keys of each session after the quarantine`,
      await perSession(),
      SESSIONS.map(() => 1),
    );
    const alarms = (await karp.events()).filter(({ severity }) => severity === "alarm").map(({ text }) => text);
    lab.equal(`${ENDS[i]}: alarms`, alarms, []);
  }
}

async function enable(lab: Lab, setting: Setting, s: number): Promise<void> {
  lab.step(`session ${s} is enabled at both ends, in bird.conf`);
  const [a, b] = setting.daemons;
  const daemons = [otherSession(a, peering(1, s)), otherSession(b, peering(2, s))] as const;
  const watch = new KeyWatch(daemons, [keyFile(1, s), keyFile(2, s)]);
  const other: TwoRouters = { ...setting, daemons, watch, routes: 0 };
  watch.start(lab);
  for (const [i, daemon] of setting.daemons.entries()) {
    const text = readFileSync(daemon.configuration, "utf8");
    const block = text.indexOf(`protocol bgp ${name(i + 1, s)} {`);
    writeFileSync(daemon.configuration, text.slice(0, block) + text.slice(block).replace("disabled;", ""));
    lab.equal(`${ENDS[i]}: the operator's configure`, await daemon.configure(), "Reconfigured");
  }
  await waitFirstKey(lab, other);
  for (const initiator of [0, 1] as const) await rollOver(lab, other, initiator, `session ${s} is up and rolls`);
  await watch.stop();
  await assertAllSigned(lab, setting, 2, () => watch.mkts());
}
