// A neighbour without karp: r1 has one, r2 is a BIRD whose keys a script of `karp handout --format bird` switches.
import { writeFileSync } from "node:fs";
import { type Bird, sameSince } from "../../lib/bird.ts";
import { must } from "../../lib/exec.ts";
import { Karp } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { tcpAoCounters } from "../../lib/network.ts";
import {
  beginCapture,
  ENDS,
  endCapture,
  FAST_ROLLOVER,
  routerName,
  setUpTwoBirds,
  type TwoRouters,
} from "../../lib/twoRouters.ts";
import { assertSessionVerified, verifyCapture } from "../../lib/verify.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

/** How long each key is sent with. */
export const PERIOD_SECONDS = 24;
const ROUTES = 100;

export class SoloSetting {
  readonly routers: TwoRouters<Bird>;
  readonly karp: Karp;
  readonly #script = "/etc/lab/r2/keys.sh";
  #lateSeconds = 0;
  #isRunning = true;

  constructor(routers: TwoRouters<Bird>, karp: Karp) {
    this.routers = routers;
    this.karp = karp;
  }

  get #far(): Bird {
    return this.routers.daemons[1];
  }

  /** Gives the neighbour its keys, as a person does: the text becomes a script there, run again and again. */
  async handOut(lab: Lab): Promise<void> {
    const given = await this.karp.cli("handout", "r2", "--format", "bird", "--socket", this.karp.socket);
    lab.equal("karp handout", [given.code, given.stderr], [0, ""]);
    writeFileSync(this.#script, given.stdout, { mode: 0o700 });
    await this.runScript();
  }

  async runScript(): Promise<void> {
    const { peering, controlSocket } = this.#far;
    const now = Math.floor(Date.now() / 1000) - this.#lateSeconds;
    const environment = [`NOW=${now}`, `BIRDC=birdc -s ${controlSocket}`];
    await must(["env", ...environment, "sh", this.#script, peering.keyFile], { namespace: "r2" });
  }

  /** The script runs once a second, by a clock that is late. */
  keepTime(lab: Lab, lateSeconds: number): void {
    this.#lateSeconds = lateSeconds;
    const loop = async (): Promise<void> => {
      while (this.#isRunning) {
        await this.runScript();
        await passTime(1);
      }
    };
    const running = loop();
    lab.defer(async () => {
      this.#isRunning = false;
      await running;
    });
  }

  /** karp says that this KeyID is current. */
  async waitCurrent(keyId: number, seconds: number): Promise<void> {
    await waitFor(
      `KeyID ${keyId} to be current`,
      async () => {
        const current = await this.karp.currentKey();
        if (current?.recvId !== keyId) throw new Error(`it is ${current?.recvId}`);
        return true;
      },
      { seconds },
    );
  }

  async keyIds(): Promise<readonly number[]> {
    const live = (await this.karp.keys()).filter(({ state }) => state !== "removed");
    return live.map(({ recvId }) => recvId);
  }

  async alarms(name: string): Promise<readonly string[]> {
    const events = await this.karp.events();
    return events.filter((event) => event.name === name && event.severity === "alarm").map(({ text }) => text);
  }
}

/** Two BIRDs with an unprotected session, and a karp at r1 for which r2 has none. */
export async function setUpSolo(lab: Lab, preferTimeout = "5s"): Promise<SoloSetting> {
  const routers = await setUpTwoBirds(lab, { routes: ROUTES, credentials: "psk" });
  const [near] = routers.daemons;
  const { local, remote } = near.peering;
  const lines = [...near.driverWords, `solo: { keys: 4, every: ${PERIOD_SECONDS}s }`];
  const karp = new Karp(
    lab,
    {
      namespace: "r1",
      router: routerName(1),
      credentials: undefined,
      sessions: [{ name: "r2", local, remote, peer: "none", lines }],
      rollover: { ...FAST_ROLLOVER, settle: "1s", "prefer-timeout": preferTimeout },
    },
    "opportunistic",
  );
  lab.step("karp at r1, peer: none: the session is left as it is until somebody has the keys");
  const before = await near.status();
  await karp.start();
  lab.defer(() => karp.saveViews());
  await passTime(3);
  const after = await near.status();
  const seen = [sameSince(after.since, before.since), after.ao];
  lab.equal("r1's session is untouched", seen, [before.since, undefined]);
  return new SoloSetting(routers, karp);
}

/** The keys are given; the session restarts once and carries the first one. */
export async function keySolo(lab: Lab, solo: SoloSetting): Promise<readonly string[]> {
  await beginCapture(lab, solo.routers);
  lab.step("karp handout r2 --format bird, and its script at r2");
  await solo.handOut(lab);
  for (const bird of solo.routers.daemons) {
    await waitFor("the session to carry TCP-AO", async () => (await bird.status()).ao, { seconds: 60 });
    await bird.waitEstablished(ROUTES);
  }
  await solo.waitCurrent(1, 30);
  const again = await solo.karp.cli("handout", "r2", "--format", "bird", "--socket", solo.karp.socket);
  lab.check("a second handout needs --again", again.code === 1 && again.stderr.includes("--again"), again.stderr);
  solo.routers.baseline = [];
  const baseline = [];
  for (const [i, end] of ENDS.entries()) {
    const status = await solo.routers.daemons[i as 0 | 1].status();
    baseline.push({ since: status.since, counters: await tcpAoCounters(end) });
  }
  solo.routers.baseline = baseline;
  return baseline.map(({ since }) => since);
}

/** Since unchanged, all routes, no segment refused since the first key was current, and the capture says so too. */
export async function assertUnbrokenSolo(lab: Lab, solo: SoloSetting, keyIds: readonly number[]): Promise<void> {
  const { routers } = solo;
  for (const [i, end] of ENDS.entries()) {
    const before = routers.baseline[i];
    const status = await routers.daemons[i as 0 | 1].status();
    lab.equal(`${end}: Since`, sameSince(status.since, before?.since), before?.since);
    lab.equal(`${end}: routes`, status.routes, { imported: ROUTES, exported: ROUTES });
    const { bad, keyNotFound } = await tcpAoCounters(end);
    const refused = [bad - (before?.counters.bad ?? 0), keyNotFound - (before?.counters.keyNotFound ?? 0)];
    lab.equal(`${end}: TCPAOBad and TCPAOKeyNotFound since`, refused, [0, 0]);
  }
  const file = await endCapture(lab, routers);
  const verification = await verifyCapture(lab, file, routers.watch.mkts());
  const { fromClient, fromServer } = assertSessionVerified(lab, verification);
  for (const direction of [fromClient, fromServer]) {
    const seen = direction.keyIds.map(({ keyId }) => keyId);
    lab.equal("capture: KeyIDs in the order in which they came", seen, keyIds);
  }
}
