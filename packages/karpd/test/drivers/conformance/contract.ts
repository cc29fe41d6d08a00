import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ApplyOutcome, DriverKey, Observation } from "../../../src/ports/routingDriver.ts";
import { key, keyForms } from "../support.ts";
import type { Kind, Situations, Subject } from "./subject.ts";

const first = [key(1, "preferred")];
const both = [key(1, "preferred"), key(2, "accept")];
const switched = [key(1, "deprecated"), key(2, "preferred")];
const second = [key(2, "preferred")];
const INSTALLED = { kind: "installed" };

/** What every driver promises (ports/routingDriver.ts), as tests. */
export function contract(name: string, kind: Kind): void {
  const promise = (title: string, body: (subject: Subject, t: TestContext) => Promise<void>): void => {
    test(`${name}: ${title}`, async (t) => body(await kind.make(t), t));
  };
  /** For a situation; where the driver says why it cannot get into it, that it indeed cannot. */
  const promiseIn = <S extends keyof Situations>(
    situation: S,
    title: string,
    body: (subject: Subject, act: Situations[S], t: TestContext) => Promise<void>,
  ): void => {
    const because = kind.impossible[situation];
    if (because !== undefined) {
      test(`${name}: not "${title}": ${because}`, async (t) => {
        assert.equal((await kind.make(t))[situation], undefined, `${situation} is possible after all`);
      });
      return;
    }
    test(`${name}: ${title}`, async (t) => {
      const subject = await kind.make(t);
      const act = subject[situation] as Situations[S] | undefined;
      assert.ok(act, `the subject makes ${situation} possible, or the kind says why not`);
      await body(subject, act, t);
    });
  };

  promise('after "installed" the daemon has exactly these keys', async (subject) => {
    for (const keys of [first, both, switched]) {
      assert.deepEqual(await subject.driver.apply(subject.session, keys), INSTALLED);
      await assertInstalled(subject, keys);
    }
  });

  promise("the same keys again, in another order, are installed already", async (subject) => {
    await subject.driver.apply(subject.session, both);
    assert.deepEqual(await subject.driver.apply(subject.session, [...both].reverse()), INSTALLED);
    await assertInstalled(subject, both);
  });

  promiseIn("written", "what is in place already is not written again", async (subject, written) => {
    await subject.driver.apply(subject.session, both);
    const before = await written();
    for (const keys of [both, [...both].reverse()]) await subject.driver.apply(subject.session, keys);
    await subject.driver.observe(subject.session);
    await subject.driver.examine(subject.session);
    assert.deepEqual(await written(), before, "apply is idempotent; observe and examine change nothing");
  });

  promise("a driver that remembers nothing finds the keys in place", async (subject, t) => {
    await subject.driver.apply(subject.session, both);
    const again = subject.restarted();
    t.after(() => again.close());
    assert.deepEqual(await again.apply(subject.session, both), INSTALLED);
    await assertInstalled(subject, both);
  });

  promiseIn(
    "crashNextApply",
    "killed between writing and activating, the next apply completes it",
    async (subject, crash, t) => {
      await subject.driver.apply(subject.session, first);
      crash();
      assert.equal((await subject.driver.apply(subject.session, both)).kind, "pending");
      const again = subject.restarted();
      t.after(() => again.close());
      assert.deepEqual(await again.apply(subject.session, both), INSTALLED);
      await assertInstalled(subject, both);
    },
  );

  promiseIn("putForeign", "what others wrote is left alone, by apply and by revoke", async (subject, putForeign) => {
    const foreign = await putForeign();
    const outcome = await subject.driver.apply(subject.session, first);
    assert.equal(outcome.kind, "foreign");
    assertSays(outcome);
    assert.ok(await foreign.isUntouched());
    await subject.driver.revoke(subject.session, []);
    assert.ok(await foreign.isUntouched(), "after revoke");
  });

  promise("two keys with one ID, or two preferred ones, are refused, and what was there stays", async (subject) => {
    await subject.driver.apply(subject.session, first);
    const clash = [key(1, "preferred"), key(2, "accept", { recvId: key(1, "accept").recvId })];
    for (const keys of [clash, [key(1, "preferred"), key(2, "preferred")]]) {
      const outcome = await subject.driver.apply(subject.session, keys);
      assert.equal(outcome.kind, "refused");
      assertSays(outcome);
    }
    await assertInstalled(subject, first);
  });

  promiseIn(
    "peerAsksFor",
    "a key that the peer still asks for is not deleted: pending, until the peer has moved",
    async (subject, peerAsksFor) => {
      await subject.driver.apply(subject.session, first);
      await peerAsksFor(key(1, "accept").sendId);
      for (const keys of [both, switched])
        assert.deepEqual(await subject.driver.apply(subject.session, keys), INSTALLED);
      const early = await subject.driver.apply(subject.session, second);
      assert.equal(early.kind, "pending");
      assertSays(early);
      await assertInstalled(subject, switched);
      await peerAsksFor(key(2, "accept").sendId);
      assert.deepEqual(await subject.driver.apply(subject.session, second), INSTALLED);
      await assertInstalled(subject, second);
    },
  );

  promiseIn(
    "peerAsksFor",
    "preferred is what we ask the peer for; what it asks us for is observed apart",
    async (subject, peerAsksFor) => {
      await subject.driver.apply(subject.session, first);
      await peerAsksFor(key(1, "accept").sendId);
      await subject.driver.apply(subject.session, both);
      assert.equal((await observed(subject)).rnextRecvId, key(1, "accept").recvId, "an accepted key is not asked for");
      await subject.driver.apply(subject.session, switched);
      const { rnextRecvId, currentSendId } = await observed(subject);
      assert.deepEqual([rnextRecvId, currentSendId], [key(2, "accept").recvId, key(1, "accept").sendId]);
      await peerAsksFor(key(2, "accept").sendId);
      assert.equal((await observed(subject)).currentSendId, key(2, "accept").sendId);
      // back, as after a withdrawal: the deprecated key is preferred again
      await subject.driver.apply(subject.session, both);
      assert.equal((await observed(subject)).rnextRecvId, key(1, "accept").recvId);
    },
  );

  promiseIn(
    "stopDaemon",
    "no daemon: pending and unavailable or empty, never zero; there again, installed",
    async (subject, stop) => {
      await subject.driver.apply(subject.session, first);
      const start = await stop();
      const outcome = await subject.driver.apply(subject.session, both);
      assert.equal(outcome.kind, "pending");
      assertSays(outcome);
      assertNothingMadeUp(await subject.driver.observe(subject.session));
      await start();
      assert.deepEqual(await subject.driver.apply(subject.session, both), INSTALLED);
      await assertInstalled(subject, both);
    },
  );

  promise("what cannot be observed is absent, and a driver that never observes says why", async (subject) => {
    const outcome = await subject.driver.observe(subject.session);
    if (!subject.driver.observes) assert.equal(outcome.kind, "unavailable");
    assertNothingMadeUp(outcome);
  });

  promiseIn("loseKeys", "keys that somebody took away are put back, or said to be lost", async (subject, lose, t) => {
    await subject.driver.apply(subject.session, both);
    await lose();
    const again = subject.restarted();
    t.after(() => again.close());
    const outcome = await again.apply(subject.session, both);
    if (outcome.kind === "installed") await assertInstalled(subject, both);
    else assertSays(outcome);
    assert.ok(["installed", "lost", "pending"].includes(outcome.kind), outcome.kind);
  });

  promiseIn(
    "forgetAlgorithm",
    "an algorithm that is not known is refused by the key's name, and the keys before stay",
    async (subject, forget) => {
      await subject.driver.apply(subject.session, first);
      forget("hmac-sha-1-96");
      const strange = key(2, "accept", { algorithm: "hmac-sha-1-96" });
      const outcome = await subject.driver.apply(subject.session, [key(1, "preferred"), strange]);
      assert.ok(outcome.kind === "refused");
      assert.deepEqual(outcome.adminKeyNames, [strange.adminKeyName]);
      await assertInstalled(subject, first);
    },
  );

  promise("revoke leaves only what is to be kept", async (subject) => {
    await subject.driver.apply(subject.session, both);
    assert.deepEqual(await subject.driver.revoke(subject.session, second), { kind: "revoked" });
    await assertInstalled(subject, second);
  });

  promise("revoke of the last key leaves none of karp's keys in use, and can be said again", async (subject) => {
    await subject.driver.apply(subject.session, both);
    for (const _ of ["once", "again"]) {
      assert.deepEqual(await subject.driver.revoke(subject.session, []), { kind: "revoked" });
      const left = await subject.installed();
      assert.ok(!left.some((id) => idsOf(both).includes(id)), `${left.join()} are left`);
    }
  });

  promise("after a revocation a new key is installed, and the revoked ones do not come back", async (subject) => {
    await subject.driver.apply(subject.session, first);
    await subject.driver.revoke(subject.session, []);
    assert.deepEqual(await subject.driver.apply(subject.session, second), INSTALLED);
    const present = await subject.installed();
    // what kept the session closed may be there until the connection has moved
    assert.ok(present.includes(key(2, "accept").sendId) && !present.includes(key(1, "accept").sendId), present.join());
  });

  promiseIn("withBrokenSettings", "settings that make no sense are refused, not thrown", async (subject, broken) => {
    const { driver } = subject;
    assert.equal((await driver.apply(broken(), first)).kind, "refused");
    assert.equal((await driver.revoke(broken(), [])).kind, "failed");
    assert.equal((await driver.observe(broken())).kind, "unavailable");
    assert.ok((await driver.examine(broken())).some(({ severity }) => severity === "error"));
  });

  promise("examine says something in whole sentences, also before the first key", async (subject) => {
    for (const _ of ["before", "after"]) {
      const findings = await subject.driver.examine(subject.session);
      assert.ok(findings.length > 0);
      for (const { text } of findings) assert.ok(text.length > 10 && !text.includes("undefined"), text);
      await subject.driver.apply(subject.session, first);
    }
  });

  promise("no key gets into a log line, a reason or a finding", async (subject) => {
    const { driver, session, logged } = subject;
    const said: unknown[] = [];
    for (const keys of [first, both, second]) said.push(await driver.apply(session, keys));
    said.push(await driver.observe(session), await driver.examine(session), await driver.revoke(session, second));
    const text = [JSON.stringify(said), ...logged].join("\n");
    for (const form of keyForms(both)) assert.ok(!text.includes(form));
  });

  promise("is called by its name, and can be closed twice", async ({ driver }) => {
    assert.equal(driver.name, name);
    await driver.close();
    await driver.close();
  });
}

function idsOf(keys: readonly DriverKey[]): readonly number[] {
  return keys.map(({ sendId }) => sendId);
}

async function assertInstalled(subject: Subject, keys: readonly DriverKey[]): Promise<void> {
  assert.deepEqual([...(await subject.installed())].sort(), [...idsOf(keys)].sort());
}

function assertSays(outcome: ApplyOutcome): void {
  assert.ok(outcome.kind !== "installed");
  assert.ok(outcome.reason.length > 10 && !/undefined|\[object/.test(outcome.reason), outcome.reason);
}

async function observed({ driver, session }: Subject): Promise<Observation> {
  const outcome = await driver.observe(session);
  assert.ok(outcome.kind === "observed", JSON.stringify(outcome));
  return outcome.observation;
}

/** With no connection there is no current_key and no rnext_key: neither 0 nor the last ones. */
function assertNothingMadeUp(outcome: Awaited<ReturnType<Subject["driver"]["observe"]>>): void {
  if (outcome.kind === "unavailable") {
    assert.ok(outcome.reason.length > 5);
    return;
  }
  if ((outcome.observation.connections ?? 0) > 0) return;
  for (const field of ["currentSendId", "rnextRecvId", "receivedKeyId"] as const)
    assert.ok(!(field in outcome.observation), `${field} without a connection`);
  for (const [recvId] of outcome.observation.goodByRecvId ?? [])
    assert.fail(`a counter of ${recvId} without a connection`);
}
