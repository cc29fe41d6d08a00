// What a scenario leaves behind: result.json, read by the host.

/** Exit code of a guest whose scenario cannot run there. */
export const EXIT_SKIPPED = 77;

export interface Assertion {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** Seconds since the scenario began. */
  readonly at: number;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly passed: boolean;
  /** Why the scenario did not run; absent when it did. */
  readonly skipped?: string;
  readonly seconds: number;
  readonly assertions: readonly Assertion[];
}
