import { readFile } from "node:fs/promises";
import { ControlClient } from "../control/client.ts";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { SessionView } from "../core/views.ts";
import type { Handover, Survey, Undo } from "../ports/handover.ts";
import { replaceFile, withSessionWords, withSessionWordsOf } from "./configurationEdit.ts";
import { type PlanInput, planOf, planText } from "./plan.ts";

export interface Migration {
  readonly session: SessionConfiguration;
  readonly configurationFile: string;
  readonly socketPath: string;
  readonly handover: Handover;
  /** How long each wait may take before everything goes back, in seconds. */
  readonly withinSeconds: number;
  readonly clock: MigrationClock;
  /** Aborted, with a sentence as its reason: everything goes back. */
  readonly signal?: AbortSignal;
  /** One line for people, as it happens. */
  readonly say: (line: string) => void;
}

export interface MigrationClock {
  /** Milliseconds; only differences count. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

/** It was begun, did not work and was taken back. */
export class RolledBack extends Error {
  override readonly name = "RolledBack";
}

const POLL_MILLISECONDS = 500;
/** For BIRD's and the neighbour's timers, after everything is back. */
const WAY_BACK_SECONDS = 120;

/** What would happen, in words; changes nothing. `resets`: the session would go down. */
export async function migrationPlan(
  migration: Migration,
): Promise<{ readonly text: string; readonly isNeeded: boolean }> {
  const input = await planInput(migration);
  const steps = planOf(input);
  return { text: planText(input, steps), isNeeded: steps.length > 0 };
}

/**
 * Moves a session from no authentication, TCP MD5 or static keys to karp, with all that there was put back when it does
 * not come up.
 * @throws RolledBack, HandoverFailure, ControlError
 */
export async function migrate(migration: Migration): Promise<string> {
  const { session, handover, say } = migration;
  const { survey, unreserved } = await planInput(migration);
  await karpView(migration); // karp runs: it is needed for every step
  const filesBack = await handover.remember(session);
  let modeBack: Undo | undefined;
  try {
    if (survey.protection !== "md5" && survey.changes.length > 0) await change(migration, survey);
    modeBack = await setMode(migration, [...session.reservedKeyIds, ...unreserved]);
    if (survey.protection === "md5") {
      say("waits until both karps hold the key");
      const isPrepared = async (): Promise<boolean> => (await handover.survey(session)).isPrepared;
      await until(migration, "the neighbour's karp did not get ready", isPrepared);
      await change(migration, survey);
    }
    say("waits for the session with karp's key");
    await until(migration, "the session did not come up with karp's key", () => isKeyed(migration));
  } catch (error) {
    await takeBack(migration, survey, { modeBack, filesBack }, error);
  }
  await handover.settle?.(session);
  const done = await handover.survey(session);
  return [`${session.name}: ${done.now}; karp rolls its keys from now on`, ...done.leftOver].join("\n");
}

async function planInput(migration: Migration): Promise<PlanInput & { readonly survey: Survey }> {
  const { session, configurationFile, withinSeconds } = migration;
  const survey = await migration.handover.survey(session);
  const unreserved = survey.staticKeyIds.filter((id) => !session.reservedKeyIds.includes(id));
  return {
    session: session.name,
    mode: session.mode,
    survey,
    configurationFile,
    unreserved,
    within: `${withinSeconds} s`,
  };
}

async function change(migration: Migration, survey: Survey): Promise<void> {
  const { session, handover, say } = migration;
  for (const line of survey.changes) say(line);
  await handover.takeOver(session);
  const isChanged = async (): Promise<boolean> => (await handover.survey(session)).protection !== "md5";
  await until(migration, "the MD5 password is still there", isChanged);
  say("the routing daemon has read its configuration");
}

async function setMode(migration: Migration, reservedKeyIds: readonly number[]): Promise<Undo> {
  const { configurationFile, session, say } = migration;
  const before = await readFile(configurationFile, "utf8");
  const mode = session.mode === "observe" ? "opportunistic" : session.mode;
  const after = withSessionWords(before, session.name, { mode, reservedKeyIds });
  await replaceFile(configurationFile, after);
  const fileBack = async (): Promise<void> => {
    const now = await readFile(configurationFile, "utf8");
    // Somebody may have edited it meanwhile, and keeps that
    await replaceFile(configurationFile, now === after ? before : withSessionWordsOf(before, now, session.name));
  };
  try {
    await reload(migration);
  } catch (error) {
    await fileBack();
    throw error;
  }
  say(`${configurationFile}: session ${session.name} has mode ${mode}, and karp has read it`);
  return async () => {
    await fileBack();
    await reload(migration);
  };
}

async function reload({ socketPath }: Migration): Promise<void> {
  await new ControlClient(socketPath).post("/v1/reload", {});
}

async function isKeyed(migration: Migration): Promise<boolean> {
  const { currentKey, connections } = await karpView(migration);
  return currentKey !== undefined && connections !== undefined && connections > 0;
}

async function karpView({ socketPath, session }: Migration): Promise<SessionView> {
  const views = (await new ControlClient(socketPath).get("/v1/sessions")) as readonly SessionView[];
  const view = views.find((one) => one.session === session.name);
  if (view === undefined) throw new Error(`the running karp has no session ${session.name}: karp reload`);
  return view;
}

async function until(migration: Migration, failure: string, probe: () => Promise<boolean>): Promise<void> {
  const { clock, withinSeconds, signal } = migration;
  const end = clock.now() + withinSeconds * 1000;
  while (!(await probe())) {
    if (signal?.aborted) throw new RolledBack(String(signal.reason));
    if (clock.now() > end) throw new RolledBack(`${failure} within ${withinSeconds} s`);
    await clock.sleep(POLL_MILLISECONDS);
  }
}

interface WayBack {
  readonly modeBack: Undo | undefined;
  readonly filesBack: Undo;
}

/** The mode first: karp lets go before the daemon's files are as they were. What fails keeps nothing else from going back. */
async function takeBack(
  migration: Migration,
  survey: Survey,
  { modeBack, filesBack }: WayBack,
  cause: unknown,
): Promise<never> {
  const reason = messageOf(cause);
  migration.say(`${reason}: everything goes back as it was`);
  const left: string[] = [];
  for (const [what, undo] of [
    [`mode of ${migration.session.name} in ${migration.configurationFile}`, modeBack],
    ["the routing daemon's configuration", filesBack],
  ] as const) {
    await undo?.().catch((error: unknown) => left.push(`${what}: ${messageOf(error)}`));
  }
  for (const line of left) migration.say(`NOT PUT BACK: ${line}`);
  if (left.length === 0) await migration.handover.settle?.(migration.session);
  const outcome = left.length === 0 ? "everything was put back" : `NOT PUT BACK: ${left.join("; ")}`;
  const isBack = !survey.isUp || (await comesUp(migration));
  const state = isBack ? `the session is as it was: ${survey.now}` : "THE SESSION IS STILL DOWN: see the neighbour";
  throw new RolledBack(`${reason}; ${outcome}; ${state}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function comesUp({ signal: _, ...migration }: Migration): Promise<boolean> {
  const { session, handover } = migration;
  const isUp = async (): Promise<boolean> => (await handover.survey(session)).isUp;
  return await until({ ...migration, withinSeconds: WAY_BACK_SECONDS }, "", isUp).then(
    () => true,
    () => false,
  );
}
