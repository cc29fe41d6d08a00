import { isDeepStrictEqual } from "node:util";
import type { Assertion, ScenarioResult } from "./result.ts";

/** Thrown by `lab.skip`: the scenario cannot run here, and the message says what is missing. */
export class SkipError extends Error {}

/** A scenario's handle: where things are, what was asserted, what has to be ended. */
export class Lab {
  readonly scenario: string;
  /** The working tree, read-only in the guest. */
  readonly repo: string;
  /** bin/karp.js of the karp that is tested. */
  readonly program: string;
  /** The output folder of this run: captures, logs, result. */
  readonly out: string;
  readonly #began = performance.now();
  readonly #assertions: Assertion[] = [];
  readonly #cleanUps: (() => void | Promise<void>)[] = [];
  #skipped: string | undefined;

  constructor(scenario: string, { repo, program, out }: Pick<Lab, "repo" | "program" | "out">) {
    this.scenario = scenario;
    this.repo = repo;
    this.program = program;
    this.out = out;
  }

  /** One line of the live view. */
  say(line: string): void {
    process.stdout.write(`${this.#seconds().toFixed(1).padStart(6)}  ${line}\n`);
  }

  step(title: string): void {
    this.say(`== ${title}`);
  }

  /** Records an assertion and goes on either way. @returns `ok`. */
  check(name: string, ok: boolean, detail = ""): boolean {
    this.#assertions.push({ name, ok, detail, at: Number(this.#seconds().toFixed(3)) });
    this.say(`${ok ? "ok    " : "NOT OK"} ${name}${detail ? `: ${detail}` : ""}`);
    return ok;
  }

  /** Records that `actual` deeply equals `expected`. */
  equal(name: string, actual: unknown, expected: unknown): boolean {
    const ok = isDeepStrictEqual(actual, expected);
    const text = JSON.stringify(actual);
    return this.check(name, ok, ok ? text : `${text}, expected ${JSON.stringify(expected)}`);
  }

  /** An assertion has not held so far. */
  get hasFailed(): boolean {
    return this.#assertions.some(({ ok }) => !ok);
  }

  /** Runs a part whose failure is recorded but does not keep later parts from running. */
  async part<T>(name: string, run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof SkipError) throw error;
      this.check(`${name} runs to its end`, false, errorText(error));
      return undefined;
    }
  }

  /** Ends the scenario as skipped: `missing` says what is missing and how to get it. */
  skip(missing: string): never {
    throw new SkipError(missing);
  }

  /** Runs `action` after the scenario, last registered first. */
  defer(action: () => void | Promise<void>): void {
    this.#cleanUps.push(action);
  }

  markSkipped(reason: string): void {
    this.#skipped = reason;
    this.say(`skipped: ${reason}`);
  }

  async cleanUp(): Promise<void> {
    for (const action of this.#cleanUps.splice(0).reverse()) {
      try {
        await action();
      } catch (error) {
        this.check("cleaning up works", false, errorText(error));
      }
    }
  }

  result(): ScenarioResult {
    const passed = this.#assertions.length > 0 && this.#assertions.every(({ ok }) => ok);
    const base = { scenario: this.scenario, passed, seconds: this.#seconds(), assertions: this.#assertions };
    return this.#skipped === undefined ? base : { ...base, skipped: this.#skipped };
  }

  #seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }
}

/** An error with its causes, on one or more lines. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by ${errorText(error.cause)}`;
}
