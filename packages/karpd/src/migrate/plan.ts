import type { Survey } from "../ports/handover.ts";

/** One thing that will happen, in the order in which it will. */
export interface Step {
  readonly what: string;
  /** Whether the routing session goes down for it. */
  readonly resets: boolean;
  readonly when: string;
}

export interface PlanInput {
  readonly session: string;
  readonly mode: string;
  readonly survey: Survey;
  readonly configurationFile: string;
  /** Static KeyIDs that karp.yaml does not reserve yet. */
  readonly unreserved: readonly number[];
  readonly within: string;
}

/** What `karp migrate` would do; empty: karp keys the session already. */
export function planOf(input: PlanInput): readonly Step[] {
  const { survey, mode, session, configurationFile, unreserved } = input;
  if (survey.protection === "karp" && mode !== "observe") return [];
  const steps: Step[] = [];
  const changeDaemon = (resets: boolean, when: string): void => {
    for (const [index, what] of survey.changes.entries()) {
      steps.push({ what, resets: resets && index === survey.changes.length - 1, when });
    }
  };
  if (survey.protection !== "md5") changeDaemon(false, "at once");
  const reserve = unreserved.length === 0 ? "" : `, reserved-key-ids with ${unreserved.join(", ")}`;
  const isUnprotected = survey.protection === "none";
  steps.push({
    what: `${configurationFile}: session ${session}: mode: opportunistic${reserve}; then karp reload`,
    resets: isUnprotected,
    when: isUnprotected ? BOTH_READY : "at once",
  });
  if (survey.protection === "md5") {
    steps.push({
      what: "wait until both karps hold the key, and this one has written it",
      resets: false,
      when: BOTH_READY,
    });
    changeDaemon(true, "then; the session comes back when the neighbour has done the same");
  }
  if (survey.protection === "static") {
    const what = "karp's first key goes in beside the static one and takes its place, which then goes";
    steps.push({ what, resets: false, when: BOTH_READY });
  }
  const rollback = `wait for the session with karp's key; not there within ${input.within}: everything goes back as it was`;
  return [...steps, { what: rollback, resets: false, when: "last" }];
}

const BOTH_READY = "when the neighbour's karp is ready too (its operator migrates the session as well)";

export function planText({ session, survey }: PlanInput, steps: readonly Step[]): string {
  if (steps.length === 0) return `${session}: ${survey.now}: nothing is to be done`;
  const lines = steps.map(
    ({ what, resets, when }, index) =>
      `  ${index + 1}. ${resets ? "RESETS THE SESSION ONCE  " : ""}${what}\n     ${when}`,
  );
  const resets = steps.filter((step) => step.resets).length;
  const total = resets === 0 ? "the session stays up" : "the session goes down once, at both routers together";
  const warnings = survey.warnings.map((warning) => `  but: ${warning}`);
  return [`${session}: ${survey.now}`, ...lines, ...warnings, `in all: ${total}`].join("\n");
}
