import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { findPassword } from "../../src/drivers/frr/password.ts";
import { handovers } from "../../src/drivers/handovers.ts";
import { type Handover, HandoverFailure } from "../../src/ports/handover.ts";
import type { Keyer, SocketSurvey } from "../../src/ports/keyer.ts";
import type { DriverFinding } from "../../src/ports/routingDriver.ts";
import { context, folder, sessionOf } from "./support.ts";

const UNPROTECTED: SocketSurvey = { isUp: true, isKeyed: false, hasMd5: false, othersKeyIds: [], hasKeys: false };
const MD5 = { ...UNPROTECTED, hasMd5: true };

interface Sockets {
  readonly handover: Handover;
  seen: SocketSurvey;
  findings: readonly DriverFinding[];
  /** Session and number of keys. */
  readonly applied: string[];
}

function socketsOf(driver: string): Sockets {
  const keyer: Partial<Keyer> = {
    survey: async () => sockets.seen,
    examine: async () => sockets.findings,
    apply: async (session, keys) => {
      sockets.applied.push(`${session} ${keys.length}`);
      return { kind: "installed" };
    },
  };
  const handover = handovers[driver]?.(context({ keyer: async () => keyer as Keyer }));
  assert.ok(handover);
  const sockets: Sockets = { handover, seen: UNPROTECTED, findings: [], applied: [] };
  return sockets;
}

/** A vtysh that shows a running configuration, notes what it is told, and refuses what the test says. */
function vtysh(t: TestContext, running: string, refuses = ""): { readonly program: string; told(): string } {
  const directory = folder(t);
  writeFileSync(join(directory, "running"), running);
  const program = join(directory, "vtysh");
  const script = `#!/bin/sh
cd ${directory}
echo "$@" >>told
[ "$1" = -c ] && exec cat running
cat >>told
printf '%s' '${refuses}'
`;
  writeFileSync(program, script);
  chmodSync(program, 0o755);
  return { program, told: () => readFileSync(join(directory, "told"), "utf8") };
}

const RUNNING = `!
router bgp 65001
 neighbor 10.0.0.2 remote-as 65002
 neighbor 10.0.0.2 password what everybody knows
exit
!
router bgp 65001 vrf red
 neighbor 10.0.0.2 password of red
`;

test("any daemon: what protects its sockets, and what a person has to do about a password", async () => {
  for (const [driver, said] of [
    ["linux", /take the MD5 password for 10\.0\.0\.2 out of the routing daemon/],
    ["gobgp", /take auth-password of neighbor 10\.0\.0\.2 out/],
  ] as const) {
    const sockets = socketsOf(driver);
    const session = sessionOf(driver, {});
    const plain = await sockets.handover.survey(session);
    assert.deepEqual([plain.protection, plain.changes, plain.isPrepared, plain.isUp], ["none", [], false, true]);
    sockets.seen = { ...MD5, hasKeys: true };
    const md5 = await sockets.handover.survey(session);
    assert.deepEqual([md5.protection, md5.isPrepared], ["md5", true]);
    assert.match(md5.changes.join(), said);
    const back = await sockets.handover.remember(session);
    await sockets.handover.takeOver(session);
    await back();
    assert.deepEqual(sockets.applied, ["r2 0"], "what karp put there goes first");
    sockets.seen = { ...UNPROTECTED, isUp: false };
    await assert.rejects(back(), /^HandoverFailure: give the routing daemon its MD5 password again$/);
    sockets.seen = { ...UNPROTECTED, isKeyed: true };
    assert.equal((await sockets.handover.survey(session)).protection, "karp");
  }
});

test("keys of somebody else on the sockets: refused with their KeyIDs", async () => {
  const sockets = socketsOf("linux");
  sockets.seen = { ...UNPROTECTED, othersKeyIds: [7, 8] };
  await assert.rejects(sockets.handover.survey(sessionOf("linux", {})), /^HandoverFailure: .*KeyIDs 7, 8/);
});

test("what else stands in the way is a warning; the password, which the plan speaks of, is not said twice", async () => {
  const sockets = socketsOf("linux");
  sockets.seen = MD5;
  sockets.findings = [
    { severity: "ok", text: "bgpd listens" },
    { severity: "warning", text: "bgpd opens the connection itself" },
    {
      severity: "error",
      text: "the routing daemon has an MD5 password for 10.0.0.2, and the kernel takes no TCP-AO key beside it: karp migrate r2 --plan",
    },
  ];
  const { warnings } = await sockets.handover.survey(sessionOf("linux", {}));
  assert.deepEqual(warnings, ["bgpd opens the connection itself"]);
});

test("FRR: vtysh takes the password out and puts it back; the secret is never on a command line", async (t) => {
  const shell = vtysh(t, RUNNING);
  const sockets = socketsOf("frr");
  sockets.seen = MD5;
  const session = sessionOf("frr", { vtysh: shell.program });
  const { changes } = await sockets.handover.survey(session);
  assert.match(changes.join(), /^FRR, in `router bgp 65001`: no neighbor 10\.0\.0\.2 password \(/);
  const back = await sockets.handover.remember(session);
  await sockets.handover.takeOver(session);
  assert.match(shell.told(), /\n\nconfigure terminal\nrouter bgp 65001\nno neighbor 10\.0\.0\.2 password\nend\n$/);
  sockets.seen = UNPROTECTED;
  await back();
  assert.match(shell.told(), /\nrouter bgp 65001\nneighbor 10\.0\.0\.2 password what everybody knows\nend\n$/);
  assert.ok(
    !shell
      .told()
      .split("\n")
      .some((line) => line.startsWith("-") && line.includes("everybody")),
  );
});

test("FRR refuses, or cannot be asked: a sentence without the password", async (t) => {
  const sockets = socketsOf("frr");
  sockets.seen = MD5;
  const shell = vtysh(t, RUNNING, "% Unknown command: neighbor 10.0.0.2\\n");
  const session = sessionOf("frr", { vtysh: shell.program });
  const isSaid = (error: unknown): boolean =>
    error instanceof HandoverFailure && /% Unknown command/.test(error.message) && !/everybody/.test(error.message);
  await assert.rejects(sockets.handover.takeOver(session), isSaid);
  const gone = sessionOf("frr", { vtysh: "/nowhere/vtysh" });
  await assert.rejects(sockets.handover.survey(gone), /^HandoverFailure: FRR cannot be asked: .*ENOENT/);
});

test("FRR's password: of the neighbour itself, in the session's VRF; one of a peer-group is for people", () => {
  const at = { protocol: "bgp", remoteAddress: "10.0.0.2" } as const;
  assert.equal(findPassword(RUNNING, at)?.on, "neighbor 10.0.0.2 password what everybody knows");
  const inRed = findPassword(RUNNING, { ...at, vrf: "red" });
  assert.deepEqual([inRed?.context, inRed?.on], ["router bgp 65001 vrf red", "neighbor 10.0.0.2 password of red"]);
  assert.equal(findPassword(RUNNING, { ...at, remoteAddress: "10.0.0.20" }), undefined);
  assert.equal(findPassword(RUNNING, { ...at, vrf: "blue" }), undefined);
  assert.equal(findPassword(RUNNING, { ...at, protocol: "ldp" }), undefined);
  assert.equal(
    findPassword("router bgp 1\n neighbor PG password x\n neighbor 10.0.0.2 peer-group PG\n", at),
    undefined,
  );
  assert.equal(findPassword("key chain a\n neighbor 10.0.0.2 password x\n", at), undefined);
});
