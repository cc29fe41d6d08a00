import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import type { DriverKey, RoutingDriver } from "../../src/ports/routingDriver.ts";
import { key, keyForms } from "./support.ts";

/** One driver with a routing daemon behind it, real or not. */
export interface Subject {
  readonly driver: RoutingDriver;
  readonly session: SessionConfiguration;
  /** SendIDs that the routing daemon has now. */
  installed(): Promise<readonly number[]>;
  /** The same daemon, a driver that remembers nothing: karp was killed and started again. */
  restarted(): RoutingDriver;
  /** Puts something into the daemon's place that karp did not write. */
  readonly putForeign?: () => Promise<{ isUntouched(): Promise<boolean> }>;
  /** The next apply fails between writing and activating. */
  readonly crashNextApply?: () => void;
  /** All that was logged. */
  readonly logged: readonly string[];
}

export interface Possibilities {
  /** Writing and activating are two steps. */
  readonly crashBetween: boolean;
  /** Somebody else can write where the driver writes. */
  readonly beForeign: boolean;
}

/** What every driver promises (ports/routingDriver.ts); what a driver cannot get into is not asked of it. */
export function conformance(name: string, make: (t: TestContext) => Promise<Subject>, can: Possibilities): void {
  const first = [key(1, "preferred")];
  const both = [key(1, "preferred"), key(2, "accept")];
  const ids = (keys: readonly DriverKey[]): readonly number[] => keys.map(({ sendId }) => sendId);

  test(`${name}: after "installed" the daemon has exactly these keys`, async (t) => {
    const { driver, session, installed } = await make(t);
    for (const keys of [first, both, [key(1, "deprecated"), key(2, "preferred")]]) {
      assert.deepEqual(await driver.apply(session, keys), { kind: "installed" });
      assert.deepEqual([...(await installed())].sort(), [...ids(keys)].sort());
    }
  });

  test(`${name}: the same keys again, in another order, are installed already`, async (t) => {
    const { driver, session, installed } = await make(t);
    await driver.apply(session, both);
    assert.deepEqual(await driver.apply(session, [...both].reverse()), { kind: "installed" });
    assert.deepEqual([...(await installed())].sort(), [...ids(both)].sort());
  });

  test(`${name}: a driver that remembers nothing finds the keys in place`, async (t) => {
    const { driver, session, installed, restarted } = await make(t);
    await driver.apply(session, both);
    const again = restarted();
    t.after(() => again.close());
    assert.deepEqual(await again.apply(session, both), { kind: "installed" });
    assert.deepEqual([...(await installed())].sort(), [...ids(both)].sort());
  });

  const testIf =
    (condition: boolean) =>
    (title: string, body: (t: TestContext) => Promise<void>): void => {
      if (condition) test(title, body);
    };

  testIf(can.crashBetween)(`${name}: killed between writing and activating, the next apply completes it`, async (t) => {
    const { driver, session, installed, restarted, crashNextApply } = await make(t);
    await driver.apply(session, first);
    assert.ok(crashNextApply);
    crashNextApply();
    assert.equal((await driver.apply(session, both)).kind, "pending");
    const again = restarted();
    t.after(() => again.close());
    assert.deepEqual(await again.apply(session, both), { kind: "installed" });
    assert.deepEqual([...(await installed())].sort(), [...ids(both)].sort());
  });

  testIf(can.beForeign)(`${name}: what others wrote is left alone`, async (t) => {
    const { driver, session, putForeign } = await make(t);
    assert.ok(putForeign);
    const foreign = await putForeign();
    assert.equal((await driver.apply(session, first)).kind, "foreign");
    assert.ok(await foreign.isUntouched());
  });

  test(`${name}: two keys with one ID, or two preferred ones, are refused`, async (t) => {
    const { driver, session } = await make(t);
    const clash = [key(1, "preferred"), key(2, "accept", { recvId: key(1, "accept").recvId })];
    assert.equal((await driver.apply(session, clash)).kind, "refused");
    assert.equal((await driver.apply(session, [key(1, "preferred"), key(2, "preferred")])).kind, "refused");
  });

  test(`${name}: revoke leaves only what is to be kept`, async (t) => {
    const { driver, session, installed } = await make(t);
    await driver.apply(session, both);
    assert.deepEqual(await driver.revoke(session, [key(2, "preferred")]), { kind: "revoked" });
    assert.deepEqual(await installed(), [key(2, "preferred").sendId]);
  });

  test(`${name}: revoke of the last key leaves none of karp's keys in use`, async (t) => {
    const { driver, session, installed } = await make(t);
    await driver.apply(session, both);
    assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" });
    const left = await installed();
    assert.ok(!left.some((id) => ids(both).includes(id)));
    assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" }, "and again");
  });

  test(`${name}: settings that make no sense are refused, not thrown`, async (t) => {
    const { driver, session } = await make(t);
    const broken = { ...session, driverSettings: { nonsense: 1 } };
    assert.equal((await driver.apply(broken, first)).kind, "refused");
    assert.equal((await driver.revoke(broken, [])).kind, "failed");
    assert.equal((await driver.observe(broken)).kind, "unavailable");
    assert.ok((await driver.examine(broken)).some(({ severity }) => severity === "error"));
  });

  test(`${name}: no key gets into a log line, a reason or a finding`, async (t) => {
    const { driver, session, logged } = await make(t);
    const said: unknown[] = [];
    for (const keys of [first, both, [key(2, "preferred")]]) said.push(await driver.apply(session, keys));
    said.push(await driver.observe(session), await driver.examine(session));
    said.push(await driver.revoke(session, [key(2, "preferred")]));
    const text = [JSON.stringify(said), ...logged].join("\n");
    for (const form of keyForms(both)) assert.ok(!text.includes(form));
  });
}
