import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { withSessionWords, withSessionWordsOf } from "../../src/migrate/configurationEdit.ts";
import { type Migration, migrate, migrationPlan, RolledBack } from "../../src/migrate/migrate.ts";
import { planOf } from "../../src/migrate/plan.ts";
import { type Handover, HandoverFailure, type Survey } from "../../src/ports/handover.ts";
import { sessionOf } from "../drivers/support.ts";

const survey: Survey = {
  protection: "none",
  now: "protocol r2: no authentication",
  changes: [],
  warnings: [],
  staticKeyIds: [],
  isPrepared: false,
  isUp: true,
  leftOver: [],
};
const MD5 = { ...survey, protection: "md5", changes: ["bird.conf line 3: take out `password …;`"] } as const;
const STATIC = { ...survey, protection: "static", staticKeyIds: [9] } as const;

function resetsOf(found: Survey, mode = "observe"): readonly boolean[] {
  const input = { session: "r2", mode, survey: found, configurationFile: "karp.yaml", unreserved: [], within: "60 s" };
  return planOf(input).map(({ resets }) => resets);
}

test("the plan: without authentication and from MD5 one step resets the session, from static keys none", () => {
  assert.deepEqual(resetsOf(survey), [true, false]);
  assert.deepEqual(resetsOf({ ...survey, changes: ["add include"] }), [false, true, false]);
  assert.deepEqual(resetsOf(MD5), [false, false, true, false]);
  assert.deepEqual(resetsOf(STATIC), [false, false, false]);
  assert.deepEqual(resetsOf({ ...survey, protection: "karp" }, "opportunistic"), []);
});

test("karp.yaml: other words for one session; comments, order and other sessions stay", () => {
  const text =
    "# ours\nsessions:\n  r1: { mode: observe }\n  r2: # the other\n    peer: r2 # who\n    mode: observe\nrollover: {}\n";
  const changed = withSessionWords(text, "r2", { mode: "opportunistic", reservedKeyIds: [9] });
  assert.equal(
    changed,
    "# ours\nsessions:\n  r1: { mode: observe }\n  r2:\n    # the other\n    peer: r2 # who\n    mode: opportunistic\n    reserved-key-ids: [ 9 ]\nrollover: {}\n",
  );
  assert.throws(() => withSessionWords(text, "r3", { mode: "observe", reservedKeyIds: [] }), /no session r3/);
});

test("karp.yaml: the way back keeps what somebody else has edited meanwhile", () => {
  const before = "sessions:\n  r1: {}\n  r2:\n    mode: observe # for now\n";
  const after = withSessionWords(before, "r2", { mode: "opportunistic", reservedKeyIds: [9] });
  const edited = after.replace("r1: {}", "r1: { mode: required }");
  const back = before.replace("r1: {}", "r1: { mode: required }");
  assert.equal(withSessionWordsOf(before, edited, "r2"), back);
  assert.throws(() => withSessionWordsOf(before, "sessions: {}", "r2"), /no session r2/);
});

interface World {
  readonly migration: Migration;
  readonly log: string[];
  readonly file: string;
  readonly yaml: string;
  found: Survey;
  view: Record<string, unknown>;
  /** karp is gone. */
  close(): void;
  failsToTakeOver: boolean;
  /** Taking over is a person's work, which nobody does. */
  waitsForAPerson: boolean;
}

/** A daemon that answers what the test says, and a handover that notes what is asked of it. */
async function worldOf(t: TestContext, found: Survey): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "karp-migrate-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const yaml = "sessions:\n  r2:\n    mode: observe\n";
  const file = join(folder, "karp.yaml");
  await writeFile(file, yaml, { mode: 0o640 });
  const log: string[] = [];
  const handover: Handover = {
    release: async () => ({ kind: "released", carryOn: [] }),
    survey: async () => world.found,
    takeOver: async () => {
      log.push("take over");
      if (world.failsToTakeOver) throw new HandoverFailure("BIRD would not take it");
      if (!world.waitsForAPerson) world.found = { ...world.found, protection: "karp" };
    },
    remember: async () => {
      log.push("remember");
      return async () => void log.push("files back");
    },
    settle: async () => void log.push("settled"),
  };
  const socketPath = join(folder, "control.sock");
  const server = createServer((request, response) => {
    if (request.url === "/v1/reload") log.push(`reload ${/mode: (\w+)/.exec(readSync(file))?.[1]}`);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url === "/v1/sessions" ? [{ session: "r2", ...world.view }] : { ok: true }));
  }).listen(socketPath);
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  t.after(close);
  let now = 0;
  const clock = {
    now: () => now,
    sleep: async (milliseconds: number) => {
      now += milliseconds;
    },
  };
  const session = sessionOf("bird", {}, { mode: "observe" });
  const migration = { session, configurationFile: file, socketPath, handover, withinSeconds: 20, clock, say: () => {} };
  const world: World = {
    migration,
    log,
    file,
    yaml,
    found,
    view: {},
    close,
    failsToTakeOver: false,
    waitsForAPerson: false,
  };
  return world;
}

function readSync(file: string): string {
  return process.getBuiltinModule("node:fs").readFileSync(file, "utf8");
}

test("from MD5: nothing of the routing daemon's is touched before this karp has written the key", async (t) => {
  const world = await worldOf(t, { ...MD5, isPrepared: true });
  world.view = { currentKey: "0011223344556677", connections: 1 };
  await migrate(world.migration);
  assert.deepEqual(world.log, ["remember", "reload opportunistic", "take over", "settled"]);
  assert.equal((await stat(world.file)).mode & 0o777, 0o640);
});

test("the neighbour does not get ready: the password stays, and the mode goes back", async (t) => {
  const world = await worldOf(t, MD5);
  await assert.rejects(
    migrate(world.migration),
    (error) => error instanceof RolledBack && /as it was/.test(error.message),
  );
  assert.deepEqual(world.log, ["remember", "reload opportunistic", "reload observe", "files back", "settled"]);
  assert.equal(await readFile(world.file, "utf8"), world.yaml);
});

test("the session does not come up: karp lets go first, then the files go back", async (t) => {
  const world = await worldOf(t, { ...MD5, isPrepared: true });
  world.view = { currentKey: "0011223344556677", connections: 0 };
  await assert.rejects(migrate(world.migration), RolledBack);
  assert.deepEqual(world.log, [
    "remember",
    "reload opportunistic",
    "take over",
    "reload observe",
    "files back",
    "settled",
  ]);
});

test("a person is to take the password out and does not: everything goes back", async (t) => {
  const world = await worldOf(t, { ...MD5, isPrepared: true });
  world.waitsForAPerson = true;
  world.view = { currentKey: "0011223344556677", connections: 1 };
  const isSaid = (error: unknown): boolean =>
    error instanceof RolledBack && /password is still there/.test(error.message);
  await assert.rejects(migrate(world.migration), isSaid);
  assert.deepEqual(world.log, [
    "remember",
    "reload opportunistic",
    "take over",
    "reload observe",
    "files back",
    "settled",
  ]);
});

test("karp dies on the way: the routing daemon's files go back all the same, and what did not is said", async (t) => {
  const world = await worldOf(t, { ...MD5, isPrepared: true });
  world.view = { currentKey: "0011223344556677", connections: 0 };
  const { takeOver } = world.migration.handover;
  const handover = {
    ...world.migration.handover,
    takeOver: async (session: Parameters<typeof takeOver>[0]) => {
      await takeOver(session);
      world.close();
    },
  };
  await assert.rejects(
    migrate({ ...world.migration, handover }),
    (error) => error instanceof RolledBack && /NOT PUT BACK: mode of r2 in .*karp.yaml: .*karp/.test(error.message),
  );
  assert.deepEqual(world.log, ["remember", "reload opportunistic", "take over", "files back"]);
  assert.equal(await readFile(world.file, "utf8"), world.yaml, "for karp's next start");
});

test("a signal while it waits: everything goes back", async (t) => {
  const world = await worldOf(t, MD5);
  const stopped = new AbortController();
  const clock = { ...world.migration.clock, sleep: async () => stopped.abort("stopped by SIGHUP") };
  await assert.rejects(
    migrate({ ...world.migration, clock, signal: stopped.signal }),
    /^RolledBack: stopped by SIGHUP; everything was put back; the session is as it was/,
  );
  assert.deepEqual(world.log, ["remember", "reload opportunistic", "reload observe", "files back", "settled"]);
});

test("it stays down after everything was put back: that is said", async (t) => {
  const world = await worldOf(t, { ...MD5, isPrepared: true });
  const { takeOver } = world.migration.handover;
  const handover = {
    ...world.migration.handover,
    takeOver: async (session: Parameters<typeof takeOver>[0]) => {
      await takeOver(session);
      world.found = { ...world.found, isUp: false };
    },
  };
  await assert.rejects(migrate({ ...world.migration, handover }), /STILL DOWN/);
});

test("the routing daemon does not take the change: everything goes back", async (t) => {
  const world = await worldOf(t, { ...survey, changes: ["add include"] });
  world.failsToTakeOver = true;
  await assert.rejects(migrate(world.migration), /BIRD would not take it; everything was put back/);
  assert.deepEqual(world.log, ["remember", "take over", "files back", "settled"]);
  assert.equal(await readFile(world.file, "utf8"), world.yaml);
});

test("static KeyIDs are reserved in karp.yaml, and the plan says so", async (t) => {
  const world = await worldOf(t, STATIC);
  world.view = { currentKey: "0011223344556677", connections: 1 };
  const { text, isNeeded } = await migrationPlan(world.migration);
  assert.ok(isNeeded && text.includes("reserved-key-ids with 9") && text.endsWith("the session stays up"));
  await migrate(world.migration);
  assert.match(await readFile(world.file, "utf8"), /reserved-key-ids: \[ 9 \]/);
});
