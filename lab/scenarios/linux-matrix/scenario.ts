// The driver linux over IPv6, in a VRF, and on IPv6 sockets that speak IPv4; all three algorithms of the kernel, the MAC
// with and without the TCP options. The daemons are two FRRs, and a plain program where FRR has no such socket.
import { Capture } from "../../lib/capture.ts";
import type { KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertCountersInOrder, assertUnbroken, startKarp, waitFirstKey, waitForOther } from "../../lib/rollovers.ts";
import { RTR_PORT } from "../../lib/rtrPair.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { ENDS } from "../../lib/twoRouters.ts";
import { assertSessionVerified, sentBy, type Verification, type VerifierMkt, verifyCapture } from "../../lib/verify.ts";
import { layOutMatrix, type Matrix, type MatrixSession } from "./sessions.ts";

/** Of each session, in order. */
type Histories = readonly (readonly KeyRow[])[];

export const scenario: Scenario = {
  title: "driver linux: IPv6, a VRF and IPv4-mapped sockets, each algorithm with each option flag; 2 rollovers of all",
  timeoutSeconds: 600,
  async run(lab) {
    const matrix = await layOutMatrix(lab);
    const captures = await start(lab, matrix);
    const { sessions } = matrix;
    const histories: KeyRow[][] = [];
    for (const session of sessions) {
      histories.push([await waitFirstKey(lab, session)]);
      session.watch.look();
    }
    for (const initiator of [0, 1] as const) {
      lab.step(`all sessions roll at once, asked for at ${ENDS[initiator]}`);
      for (const { kind } of sessions) await matrix.karps[initiator].rekey(kind.name);
      for (const [i, session] of sessions.entries()) histories[i]?.push(await waitNext(lab, session, histories[i]));
    }
    await assertKeys(lab, sessions);
    await assertCaptures(lab, sessions, captures, histories);
  },
};

async function waitNext(lab: Lab, session: MatrixSession, history: readonly KeyRow[] = []): Promise<KeyRow> {
  const name = `${session.kind.name}, rollover ${history.length}`;
  const next = await waitForOther(session, history.at(-1) as KeyRow, `${name}: both ends to use the next key`);
  lab.check(`${name}: both ends use the next key`, true, next.fingerprint);
  session.watch.look();
  return next;
}

/** Everything; what opens connections comes last. */
async function start(lab: Lab, { keyers, karps, frrs, rtrs }: Matrix): Promise<readonly [Capture, Capture]> {
  lab.step("r1's daemons listen; keyers and karps; then r2's daemons open seven sessions under karp wrap");
  for (const daemon of [frrs[0], rtrs[0]]) await daemon.start();
  const filter = `tcp port 179 or tcp port ${RTR_PORT}`;
  const captures = [
    await Capture.start(lab, "default", "r1", filter),
    await Capture.start(lab, "vrf", "r1", filter, "e1"),
  ] as const;
  for (const keyer of keyers) await keyer.start();
  for (const karp of karps) await startKarp(lab, karp);
  for (const daemon of [frrs[1], rtrs[1]]) await daemon.start();
  return captures;
}

/** As the kernel had them, not as somebody wrote them. */
async function assertKeys(lab: Lab, sessions: readonly MatrixSession[]): Promise<void> {
  for (const session of sessions) {
    const { algorithm, name, tcpOptions } = session.kind;
    await assertUnbroken(lab, session, `${name}, at the end`);
    assertCountersInOrder(lab, session, 3);
    const wanted = { algorithm: algorithm.replace("sha-256-128", "sha-256-96"), macLength: macLength(algorithm) };
    const seen = session.watch.mkts().map(({ algorithm: of, macLength: length, tcpOptions: covers }) => {
      return { algorithm: of, macLength: length, tcpOptions: covers ? "covered" : "omitted" };
    });
    lab.equal(`${name}: the kernel's three keys`, seen, Array(3).fill({ ...wanted, tcpOptions }));
  }
}

/** RFC 5926 section 2, and RFC 9235's name for the third. */
function macLength(algorithm: string): number {
  return algorithm === "hmac-sha-256-128" ? 16 : 12;
}

/** Every segment of each session is signed and verifies from its first SYN on, and the keys came in order. */
async function assertCaptures(
  lab: Lab,
  sessions: readonly MatrixSession[],
  [onDefault, onVrf]: readonly [Capture, Capture],
  histories: Histories,
): Promise<void> {
  lab.step("the captures, verified by independent code");
  for (const capture of [onDefault, onVrf]) {
    await capture.stop(lab);
    const own = sessions.filter(({ kind }) => (kind.over === "ipv4 in a VRF") === (capture === onVrf));
    const mkts = own.flatMap(({ watch }): VerifierMkt[] => watch.mkts());
    const verification = await verifyCapture(lab, capture.file, mkts);
    const { segments, verified } = verification.totals;
    lab.equal(`${segments} segments, all signed and verified`, verified, segments);
    for (const session of own) assertSent(lab, session, verification, histories[sessions.indexOf(session)] ?? []);
  }
}

function assertSent(lab: Lab, session: MatrixSession, verification: Verification, history: readonly KeyRow[]): void {
  const { addresses, kind } = session;
  const connections = verification.connections.filter(({ client }) =>
    addresses.some((address) => client.startsWith(`${address} `)),
  );
  const carrier = assertSessionVerified(lab, { ...verification, connections });
  lab.check(`${kind.name}: the capture has its first SYN`, carrier.beginningCaptured);
  const wanted = { r1: history.map(({ sendId }) => sendId), r2: history.map(({ recvId }) => recvId) };
  for (const [i, end] of ENDS.entries()) {
    const seen = sentBy(carrier, addresses[i as 0 | 1]).runs.map(({ keyId }) => keyId);
    lab.equal(`${kind.name}: ${end}: every current key's KeyID was sent, in order`, seen, wanted[end]);
  }
}
