// One BIRD with 500 sessions on one listener and a bird.conf of 30 MB. BIRD answers nobody while it reads that, so karp
// has to get by with few `configure`, and with a BIRD that is silent for seconds. The far end is a BIRD without karp: one
// peer's karp could not have as many sessions with two keys each, for SendIDs are unique among all of one peer's keys.
import { sameSince } from "../../lib/bird.ts";
import { Capture } from "../../lib/capture.ts";
import { must } from "../../lib/exec.ts";
import { listenerKeys } from "../../lib/kernelKeys.ts";
import type { Lab } from "../../lib/lab.ts";
import { tcpAoCounters } from "../../lib/network.ts";
import { startKarp } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { SilenceWatch } from "../../lib/silence.ts";
import { verifyCapture } from "../../lib/verify.ts";
import { waitFor } from "../../lib/wait.ts";
import {
  farAddress,
  filesWith,
  type Handout,
  handOutAll,
  INTERVAL_SECONDS,
  type ManySessions,
  mktsOf,
  SESSIONS,
  type SeenSession,
  seenSessions,
  setUpMany,
  writeFarKeys,
} from "./manySessions.ts";

/** Accept and prefer the first key, accept and prefer the second, remove the first; the handouts spread the dates a little. */
const MOST_CONFIGURES = 15;
/** Looking costs as much as what is looked at. */
const SELDOM = { seconds: 180, everySeconds: 1 };
const CAPTURED = [1, 2, 3];

export const scenario: Scenario = {
  title: `${SESSIONS} sessions with two keys each on one listener of a BIRD with 30 MB of bird.conf`,
  timeoutSeconds: 600,
  memoryMegabytes: 2048,
  async run(lab) {
    const many = await setUpMany(lab);
    const { near, karp } = many;
    lab.step("BIRD reads its configuration, and again for its operator");
    await near.start();
    const silence = new SilenceWatch();
    silence.start(lab, near.controlSocket);
    await near.configure();
    await near.birdc("show", "status");
    const own = silence.takeLongest();
    lab.say(`BIRD was silent for ${own.toFixed(1)} s at its operator's configure`);
    await roomForKeys(lab, many);
    await startKarp(lab, karp);
    lab.step("two dated keys of each session are handed out, for the other end");
    const handouts = await handOutAll(many);
    const capture = await firstKey(lab, many, handouts);
    const before = await seenBoth(many);
    const counters = [await tcpAoCounters("r1"), await tcpAoCounters("r2")];
    await secondKey(lab, many, handouts);
    lab.step("what has to hold");
    await assertUnbroken(lab, many, before);
    for (const [i, end] of (["r1", "r2"] as const).entries()) {
      const { bad, keyNotFound, required } = await tcpAoCounters(end);
      const then = counters[i];
      const trouble = [then?.bad, then?.keyNotFound, then?.required];
      lab.equal(
        `${end}: TCPAOBad, KeyNotFound and Required since the first key`,
        [bad, keyNotFound, required],
        trouble,
      );
    }
    assertFewConfigures(lab, many);
    const longest = silence.takeLongest();
    // It reads no longer for karp than for its operator, but beside a karp that talks with 500 sessions
    const bound = 3 * own + 5;
    const stall = `${longest.toFixed(1)} s; allowed are ${bound.toFixed(1)} s, three times its operator's and 5 s`;
    lab.check("BIRD's longest silence", longest > 0 && longest <= bound, stall);
    await assertCaptured(lab, capture, handouts);
  },
};

/** The keys of all sessions share the option memory of one socket: karp doctor says how much that has to be. */
async function roomForKeys(lab: Lab, { karp }: ManySessions): Promise<void> {
  lab.step("karp doctor --kernel: option memory of one listener");
  const { stdout } = await karp.cli("doctor", "--kernel", "--json", "--config", karp.file);
  const findings = JSON.parse(stdout) as { about: string; severity: string; text: string; todo: string }[];
  const scarce = findings.find(({ about }) => about === "option memory");
  lab.check("too little is said", scarce?.severity === "warning", `${scarce?.text}; ${scarce?.todo}`);
  const advice = /sysctl -w (net\.core\.optmem_max=\d+)/.exec(scarce?.todo ?? "")?.[1] ?? "";
  await must(["sysctl", "-w", advice], { namespace: "r1" }); // each network namespace has its own
}

async function firstKey(lab: Lab, many: ManySessions, handouts: readonly Handout[]): Promise<Capture> {
  lab.step("the first keys go in at r1; r2 starts with them");
  await keysOnListener(many, SESSIONS);
  writeFarKeys(handouts, 0);
  const hosts = CAPTURED.map((n) => `host ${farAddress(n)}`).join(" or ");
  const capture = await Capture.start(lab, "three-sessions", "r1", `tcp port 179 and (${hosts})`);
  await many.far.start();
  await waitAll(many, "to be up with TCP-AO", ({ current }) => current !== undefined);
  lab.check(`${SESSIONS} sessions are up with TCP-AO`, true);
  return capture;
}

async function secondKey(lab: Lab, many: ManySessions, handouts: readonly Handout[]): Promise<void> {
  lab.step("the second keys go in; r2 asks for them once r1 accepts them, r1 when their date has come");
  await waitFor("the second key in r1's files", () => filesWith(2) === SESSIONS, SELDOM);
  lab.equal("keys on r1's listener", await keysOnListener(many, 2 * SESSIONS), 2 * SESSIONS);
  writeFarKeys(handouts, 1);
  lab.equal("r2's configure", await many.far.configure(), "Reconfigured");
  await waitAll(many, "to use the second key", ({ current, rnext }) => current === 2 && rnext === 2);
  const current = async (): Promise<boolean> => {
    const rows = (await many.karp.control.call("GET", "/v1/keys")) as { state: string; recvId: number }[];
    const count = rows.filter(({ state, recvId }) => state === "current" && recvId === 2).length;
    if (count < SESSIONS) throw new Error(`${count} are current`);
    return true;
  };
  await waitFor("karp to call the second key current in all sessions", current, SELDOM);
  lab.check(`${SESSIONS} sessions use the second key, and karp has seen it`, true);
}

/** Waits until r1's listener has so many, or more. */
function keysOnListener({ near }: ManySessions, least: number): Promise<number> {
  const count = async (): Promise<number> => {
    const found = Math.max(0, ...listenerKeys(near.pid).map(({ length }) => length));
    if (found < least) throw new Error(`${found} keys`);
    return found;
  };
  return waitFor(`${least} keys on r1's listener`, count, SELDOM);
}

async function waitAll(
  { near, far }: ManySessions,
  what: string,
  isReady: (seen: SeenSession) => boolean,
): Promise<void> {
  for (const bird of [near, far]) {
    const all = async (): Promise<boolean> => {
      const seen = [...(await seenSessions(bird)).values()];
      const ready = seen.filter((one) => one.isUp && isReady(one)).length;
      if (ready < SESSIONS) throw new Error(`${ready} of them`);
      return true;
    };
    await waitFor(`all sessions of ${bird.namespace} ${what}`, all, SELDOM);
  }
}

type Seen = readonly ReadonlyMap<string, SeenSession>[];

async function seenBoth({ near, far }: ManySessions): Promise<Seen> {
  return [await seenSessions(near), await seenSessions(far)];
}

async function assertUnbroken(lab: Lab, many: ManySessions, before: Seen): Promise<void> {
  for (const [i, now] of (await seenBoth(many)).entries()) {
    const kept = [...now].filter(([name, { isUp, since }]) => {
      const then = before[i]?.get(name)?.since;
      return isUp && sameSince(since, then) === then;
    });
    lab.equal(`r${i + 1}: sessions that were up all the time`, kept.length, SESSIONS);
  }
}

/** BIRD's log, not karp's: the first line is its operator's. */
function assertFewConfigures(lab: Lab, { near }: ManySessions): void {
  const [, ...karps] = near
    .logLines(/> Reconfiguring$/)
    .map((line) => Date.parse(`${line.slice(0, 23).replace(" ", "T")}Z`));
  const gaps = karps.slice(1).map((at, i) => (at - (karps[i] ?? at)) / 1000);
  const text = `${karps.length}, ${gaps.map((gap) => gap.toFixed(1)).join(", ")} s apart`;
  const isSeldom = gaps.every((gap) => gap >= INTERVAL_SECONDS);
  lab.check(
    "configures by karp, and the time between them",
    karps.length > 0 && karps.length <= MOST_CONFIGURES && isSeldom,
    text,
  );
}

async function assertCaptured(lab: Lab, capture: Capture, handouts: readonly Handout[]): Promise<void> {
  lab.step("the capture of three sessions, verified by independent code");
  await capture.stop(lab);
  const { connections, totals } = await verifyCapture(
    lab,
    capture.file,
    CAPTURED.flatMap((n) => mktsOf(n, handouts[n - 1] ?? { keys: [] })),
  );
  const established = connections.filter((connection) => connection.established);
  const directions = established.flatMap(({ fromClient, fromServer }) => [fromClient, fromServer]);
  const isSigned = directions.length > 0 && directions.every(({ failed, unsigned }) => failed + unsigned === 0);
  lab.check("every segment of an established connection is signed and verifies", isSigned);
  for (const n of CAPTURED) {
    // A first attempt may have ended before the session was up
    const own = established.findLast(({ server }) => server.startsWith(`${farAddress(n)} `));
    const seen = [own?.fromClient, own?.fromServer].map((one) => one?.runs.map(({ keyId }) => keyId));
    lab.equal(`${farAddress(n)}: KeyIDs in the order in which they came`, seen, [
      [1, 2],
      [1, 2],
    ]);
  }
  lab.equal("signed segments that fail, malformed ones", [totals.failed, totals.malformed], [0, 0]);
}
