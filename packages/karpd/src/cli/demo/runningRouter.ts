import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import type { DaemonStatus } from "../../control/backend.ts";
import { ControlClient } from "../../control/client.ts";
import type { KeyView, RolloverView } from "../../core/views.ts";
import { CommandFailure } from "../text.ts";
import type { DemoRouter } from "./layOut.ts";
import { type Counters, Tally } from "./tally.ts";
import type { DemoView } from "./views.ts";

export interface RunningRouterOptions {
  /** Arguments of this node for `karp run` of one router; tests put a faulty daemon here. */
  readonly daemonArguments: (router: DemoRouter) => readonly string[];
  /** What the daemons write to standard error: for tests. */
  readonly onDaemonOutput?: (text: string) => void;
}

/** What one look at a daemon shows. Counters are those of all processes that were this router. */
export interface RouterState {
  readonly name: string;
  readonly keys: readonly KeyView[];
  readonly rollover?: RolloverView;
  readonly rollovers: number;
  readonly statistics: Counters;
  /** How often its daemon was started. */
  readonly starts: number;
  /** Its daemon has ended: what it said last. */
  readonly lastWords?: string;
}

export const LOOK_EVERY_MILLISECONDS = 250;
const SESSION = "demo";
/** On a machine with a lot else to do; a daemon that ends is noticed at once. */
const START_LIMIT_MILLISECONDS = 60_000;
const MOST_ERROR_CHARACTERS = 4000;

/** One daemon of the demo, as a process. */
export class RunningRouter {
  readonly router: DemoRouter;
  readonly #options: RunningRouterOptions;
  readonly #client: ControlClient;
  readonly #tally = new Tally();
  #child: ChildProcess | undefined;
  #errors = "";
  #last: RouterState;
  #stopping = false;
  #starts = 0;

  constructor(router: DemoRouter, options: RunningRouterOptions) {
    this.router = router;
    this.#options = options;
    this.#client = new ControlClient(router.socket);
    this.#last = { name: router.name, keys: [], rollovers: 0, statistics: {}, starts: 0 };
  }

  /** What the daemon said last, when it has ended by itself. */
  get lastWords(): string | undefined {
    const child = this.#child;
    if (child === undefined || (child.exitCode === null && child.signalCode === null)) return undefined;
    return this.#errors.trim().split("\n").at(-1) || `exit status ${child.exitCode ?? child.signalCode}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * In a process group of its own: Ctrl-C is for the demo, which then ends its daemons. The channel ends with the demo,
   * however it ends, and the daemon with the channel.
   */
  start(): void {
    this.#starts++;
    const child = spawn(process.execPath, [...this.#options.daemonArguments(this.router)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      detached: true,
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = `${this.#errors}${text}`.slice(-MOST_ERROR_CHARACTERS);
      this.#options.onDaemonOutput?.(text);
    });
    this.#child = child;
  }

  /** For tests: ends the process at once, and starts it again. */
  async killAndRestart(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    this.start();
  }

  /** Until the daemon answers; false when `signal` came first. @throws CommandFailure with what the daemon said */
  async ready(signal?: AbortSignal): Promise<boolean> {
    const end = performance.now() + START_LIMIT_MILLISECONDS;
    while (signal?.aborted !== true) {
      try {
        await this.#client.get("/v1/status");
        return true;
      } catch (error) {
        if (this.lastWords !== undefined || performance.now() > end)
          throw new CommandFailure(`daemon ${this.router.name} did not start: ${this.#errors.trim() || String(error)}`);
      }
      await delay(50);
    }
    return false;
  }

  /** A daemon that is being restarted answers nothing: then the last look counts. */
  async look(): Promise<RouterState> {
    try {
      const [status, keys, rollovers, statistics] = await Promise.all([
        this.#client.get("/v1/status") as Promise<DaemonStatus>,
        this.#client.get("/v1/keys") as Promise<readonly KeyView[]>,
        this.#client.get("/v1/rollovers") as Promise<readonly RolloverView[]>,
        this.#client.get("/v1/statistics") as Promise<Readonly<Record<string, Counters>>>,
      ]);
      const rollover = rollovers.find(({ session }) => session === SESSION);
      const counted = { ...statistics[SESSION], rollovers: rollover?.completed ?? 0 };
      const { rollovers: completed = 0, ...segments } = this.#tally.add(status.startedAt, counted);
      this.#last = {
        name: this.router.name,
        keys,
        ...(rollover === undefined ? {} : { rollover }),
        rollovers: completed,
        statistics: segments,
        starts: this.#starts,
      };
    } catch {
      // Not there at this moment: `judge` sees the last state, and fails if nothing better comes.
    }
    const { lastWords } = this;
    return { ...this.#last, starts: this.#starts, ...(lastWords !== undefined && { lastWords }) };
  }

  async follow(view: DemoView, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#stopping) {
      try {
        for await (const event of this.#client.events(signal, { fromTheStart: true }))
          view.event(this.router.name, event);
      } catch {
        // The stream ends with the daemon or with the demo.
      }
      if (!signal.aborted) await delay(LOOK_EVERY_MILLISECONDS);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const forced = setTimeout(() => child.kill("SIGKILL"), 3000);
    await gone;
    clearTimeout(forced);
  }
}
