// What is done with the setting of two routers, and what has to hold meanwhile.
import { sameSince } from "./bird.ts";
import type { KeyRow } from "./karp.ts";
import type { Lab } from "./lab.ts";
import { tcpAoCounters } from "./network.ts";
import {
  type Baseline,
  beginCapture,
  type CaptureOptions,
  ENDS,
  endCapture,
  type TwoRouters,
  takeBaseline,
} from "./twoRouters.ts";
import {
  assertSessionVerified,
  fromFirstSigned,
  sentBy,
  type Verification,
  type VerifiedConnection,
  type VerifierMkt,
  verifyCapture,
} from "./verify.ts";
import { waitFor } from "./wait.ts";

/** Starts both karps (mode opportunistic or required); waits until both use the first key; takes the baseline. */
export async function keySession(lab: Lab, setting: TwoRouters, options: CaptureOptions = {}): Promise<KeyRow> {
  lab.step("both karps start; the first key goes in, the session restarts once");
  await beginCapture(lab, setting, options);
  for (const karp of setting.karps) await startKarp(lab, karp);
  return await waitFirstKey(lab, setting);
}

export async function startKarp(lab: Lab, karp: TwoRouters["karps"][number]): Promise<void> {
  lab.defer(() => karp.saveViews());
  await karp.start();
}

/** @returns the key that both ends use, with all routes there */
export async function waitFirstKey(lab: Lab, setting: TwoRouters): Promise<KeyRow> {
  const key = await waitFor("both karps to see the first key in use", () => bothCurrent(setting), { seconds: 90 });
  for (const daemon of setting.daemons) await daemon.waitEstablished(setting.routes, 60);
  lab.check("both ends use the same first key", true, key.fingerprint);
  await takeBaseline(setting);
  return key;
}

/** The key that both karps call current, r1's row. @throws Error when they do not agree (yet) */
export async function bothCurrent({ karps, daemons }: TwoRouters): Promise<KeyRow> {
  const current = (end: 0 | 1) => karps[end].currentKey(daemons[end].peering.protocol);
  const [a, b] = [await current(0), await current(1)];
  if (a === undefined || b === undefined || a.fingerprint !== b.fingerprint) {
    throw new Error(`r1's current key is ${a?.fingerprint}, r2's ${b?.fingerprint}`);
  }
  if (a.sendId !== b.recvId || a.recvId !== b.sendId) throw new Error("the KeyIDs of the two ends do not mirror");
  return a;
}

/** Waits until both ends use another key than `old`. */
export function waitForOther(setting: TwoRouters, old: KeyRow, what: string, seconds = 60): Promise<KeyRow> {
  const other = async (): Promise<KeyRow | undefined> => {
    const key = await bothCurrent(setting);
    return key.fingerprint === old.fingerprint ? undefined : key;
  };
  return waitFor(what, other, { seconds });
}

/** Asks one end (0: r1, 1: r2) for the next key, waits until both ends use it, and asserts that nothing else changed. */
export async function rollOver(
  lab: Lab,
  setting: TwoRouters,
  initiator: 0 | 1,
  name = "rollover",
  { seconds = 60, isMoving = false }: { readonly seconds?: number; readonly isMoving?: boolean } = {},
): Promise<KeyRow> {
  const began = performance.now();
  const old = await bothCurrent(setting);
  await setting.karps[initiator].rekey(setting.daemons[initiator].peering.protocol);
  const next = await waitForOther(setting, old, `${name}: both ends to use the next key`, seconds);
  const took = ((performance.now() - began) / 1000).toFixed(1);
  lab.check(`${name}: both ends use the next key`, true, `${old.fingerprint} -> ${next.fingerprint} after ${took} s`);
  await assertUnbroken(lab, setting, name, { isMoving });
  return next;
}

/**
 * The session never went down, no route is missing, and the kernel has refused nothing, since the baseline.
 * @param isMoving routes come and go just now: their number is not looked at
 */
export async function assertUnbroken(
  lab: Lab,
  setting: TwoRouters,
  when: string,
  { isMoving = false }: { readonly isMoving?: boolean } = {},
): Promise<void> {
  for (const [i, end] of ENDS.entries()) {
    const daemon = setting.daemons[i as 0 | 1];
    const { since, info, routes: seen } = await daemon.status();
    const all = { imported: setting.routes, exported: setting.routes };
    const routes = isMoving ? all : seen;
    const { bad, keyNotFound, required } = await tcpAoCounters(end);
    const baseline = setting.baseline[i] as Baseline;
    const { counters } = baseline;
    lab.equal(
      `${when}: ${end}: Since, routes and counters of trouble`,
      { since: sameSince(since, baseline.since), info, routes, bad, keyNotFound, required },
      {
        since: baseline.since,
        info: "Established",
        routes: all,
        bad: counters.bad,
        keyNotFound: counters.keyNotFound,
        required: counters.required,
      },
    );
  }
}

/** Each key's counter grows, one key after the other; no key is used again after its successor. */
export function assertCountersInOrder(lab: Lab, { watch }: TwoRouters, keys: number): void {
  for (const [i, end] of ENDS.entries()) {
    const growth = watch.growth(i === 0 ? 0 : 1);
    const overlaps = growth.filter((key, n) => n > 0 && (growth[n - 1]?.last ?? 0) > key.first);
    const text = growth.map(({ recvId, good }) => `${recvId}: ${good}`).join(", ");
    const ok = growth.length === keys && overlaps.length === 0;
    lab.check(`${end}: the good counters of ${keys} keys grew in order`, ok, text);
  }
}

/**
 * Ends the capture and has it verified: one connection carried the session, each segment is signed and verifies, and the
 * KeyIDs of `history` (the keys that were current, in order) were sent by each end in that order.
 */
export async function assertCapture(
  lab: Lab,
  setting: TwoRouters,
  history: readonly Pick<KeyRow, "sendId" | "recvId">[],
): Promise<VerifiedConnection> {
  lab.step("the capture, verified by independent code");
  const file = await endCapture(lab, setting);
  const session = assertSessionVerified(lab, fromFirstSigned(await verifyCapture(lab, file, setting.watch.mkts())));
  const wanted = { r1: history.map(({ sendId }) => sendId), r2: history.map(({ recvId }) => recvId) };
  for (const [i, end] of ENDS.entries()) {
    const seen = sentBy(session, setting.addresses[i as 0 | 1]).runs.map(({ keyId }) => keyId);
    lab.equal(`${end}: every current key's KeyID was sent, in order`, seen, wanted[end]);
  }
  return session;
}

/**
 * For scenarios whose session restarts on purpose: ends the capture and asserts that every established connection was
 * signed as a whole and verifies, whichever key it began with.
 */
export async function assertAllSigned(
  lab: Lab,
  setting: TwoRouters,
  least: number,
  moreMkts: () => readonly VerifierMkt[] = () => [],
): Promise<Verification> {
  lab.step("the capture, verified by independent code");
  const file = await endCapture(lab, setting);
  const verification = await verifyCapture(lab, file, [...setting.watch.mkts(), ...moreMkts()]);
  const established = verification.connections.filter((connection) => connection.established);
  lab.check(
    `capture: ${least} connections or more were established`,
    established.length >= least,
    String(established.length),
  );
  const directions = established.flatMap(({ fromClient, fromServer }) => [fromClient, fromServer]);
  const sum = (name: "verified" | "failed" | "unsigned"): number =>
    directions.reduce((total, direction) => total + direction[name], 0);
  const seen = { verified: sum("verified") > 0, failed: sum("failed"), unsigned: sum("unsigned") };
  lab.equal("capture: segments of established connections", seen, { verified: true, failed: 0, unsigned: 0 });
  return verification;
}

/** What most scenarios end with: counters, then the capture. */
export async function assertHistory(lab: Lab, setting: TwoRouters, history: readonly KeyRow[]): Promise<void> {
  await assertUnbroken(lab, setting, "at the end");
  assertCountersInOrder(lab, setting, history.length);
  await assertCapture(lab, setting, history);
}
