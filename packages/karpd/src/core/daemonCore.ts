import type {
  CryptoProvider,
  IkeEffect,
  IkeInput,
  Instant,
  Machine,
  MktPolicy,
  Now,
  UnixMilliseconds,
} from "@karp/ikev2";
import type { Configuration } from "./configuration.ts";
import { findFault } from "./configurationFault.ts";
import type { Entitlement } from "./gatekeeper/answers.ts";
import { Gatekeeper } from "./gatekeeper/gatekeeper.ts";
import type { Rules } from "./gatekeeper/rules.ts";
import { type DriverTraits, Turn } from "./gatekeeper/turn.ts";
import { makeViews } from "./gatekeeper/views.ts";
import type { KeyTableSnapshot } from "./keytable/row.ts";
import type { DaemonEffect, DaemonInput } from "./machine.ts";
import { earliest } from "./time.ts";
import type { DaemonViews } from "./views.ts";

export interface DaemonCoreOptions {
  readonly crypto: Pick<CryptoProvider, "random" | "digest">;
  /** As checked by whoever read it; `reconfigure` replaces it. */
  readonly configuration: Configuration;
  /** Everything in the store. */
  readonly snapshot: KeyTableSnapshot;
  readonly now: Now;
  readonly drivers: DriverTraits;
  /** The engine, which asks this policy about MKTs. */
  readonly createIke: (policy: MktPolicy) => Machine<IkeInput, IkeEffect>;
  /** Invariant 6: which local caller may read or change the keys of a session. */
  readonly mayUseKeys: Entitlement;
  /** The gatekeeper's decisions: replaced in proofs only. */
  readonly rules?: Rules;
}

/** The wall clock may run away from the monotonic one by so much before it is said. */
const MOST_DRIFT_MILLISECONDS = 180_000;

/**
 * All of karp that has no I/O: the IKE engine and the gatekeeper, and nothing that either does leaves before what it
 * depends on is on disk. Effects of one `handle` come in this order: persist, then the rest as it arose.
 */
export class DaemonCore implements Machine<DaemonInput, DaemonEffect> {
  readonly #gatekeeper: Gatekeeper;
  readonly #ike: Machine<IkeInput, IkeEffect>;
  #configuration: Configuration;
  #isConfigured = false;
  /** Wall clock minus monotonic clock. */
  #clockOffset: number;

  constructor(options: DaemonCoreOptions) {
    this.#configuration = options.configuration;
    this.#clockOffset = options.now.wall - options.now.monotonic;
    this.#gatekeeper = new Gatekeeper(options);
    this.#ike = options.createIke(this.#gatekeeper);
  }

  handle(input: DaemonInput, now: Now): readonly DaemonEffect[] {
    const turn = new Turn(now, this.#gatekeeper.ground);
    const effects: DaemonEffect[] = [];
    this.#noticeClockStep(turn);
    if (!this.#isConfigured) {
      this.#isConfigured = true;
      this.#gatekeeper.configure(turn, this.#configuration);
      this.#drain(turn, effects);
    }
    this.#take(turn, input, effects);
    this.#drain(turn, effects);
    const unsaved = this.#gatekeeper.takeChanges(now);
    return unsaved === undefined ? effects : [{ kind: "persist", ...unsaved }, ...effects];
  }

  nextDeadline(): Instant | undefined {
    if (!this.#isConfigured) return 0 as Instant;
    return earliest(this.#gatekeeper.nextDeadline(), this.#ike.nextDeadline());
  }

  /** What `karp show` prints. */
  views(now: Now): DaemonViews {
    return makeViews(this.#gatekeeper, now);
  }

  #take(turn: Turn, input: DaemonInput, effects: DaemonEffect[]): void {
    switch (input.kind) {
      case "datagram":
      case "certificateValidated":
        this.#giveToIke(turn, input, effects);
        return;
      case "timeout": {
        const ikeDeadline = this.#ike.nextDeadline();
        if (ikeDeadline !== undefined && ikeDeadline <= turn.now.monotonic) this.#giveToIke(turn, input, effects);
        this.#gatekeeper.onTimeout(turn);
        return;
      }
      case "unknownKeySeen":
        this.#gatekeeper.onUnknownKeySeen(turn);
        return;
      case "reconfigure":
        this.#reconfigure(turn, input.configuration);
        return;
      case "command":
        this.#gatekeeper.onCommand(turn, input.requestId, input.command);
        return;
      default:
        this.#gatekeeper.onAnswer(turn, input);
    }
  }

  /** All or nothing: a configuration with a fault changes nothing at all. */
  #reconfigure(turn: Turn, configuration: Configuration): void {
    const fault = findFault(configuration);
    if (fault === undefined) {
      this.#configuration = configuration;
      this.#gatekeeper.configure(turn, configuration);
    }
    const text =
      fault === undefined
        ? `${configuration.sessions.length} sessions are configured`
        : `nothing was changed: ${fault}`;
    const severity = fault === undefined ? "info" : "alarm";
    turn.effect({ kind: "event", event: { name: "configured", at: turn.now.wall, severity, text, data: {} } });
  }

  /** Passes what the gatekeeper says to the world and the engine, and what the engine says back, until all is said. */
  #drain(turn: Turn, effects: DaemonEffect[]): void {
    for (;;) {
      this.#gatekeeper.settle(turn);
      const outputs = turn.takeOutputs();
      if (outputs.length === 0 && this.#gatekeeper.isSettled) return;
      for (const output of outputs) {
        if (output.to === "world") effects.push(output.effect);
        else this.#giveToIke(turn, output.input, effects);
      }
    }
  }

  #giveToIke(turn: Turn, input: IkeInput, effects: DaemonEffect[]): void {
    for (const effect of this.#ike.handle(input, turn.now)) {
      if (effect.kind === "event") this.#gatekeeper.onIkeEvent(turn, effect.event);
      else effects.push(effect);
    }
  }

  /** Durations run on the monotonic clock: a wall clock that was set is worth a line, and removes no key. */
  #noticeClockStep(turn: Turn): void {
    const offset = turn.now.wall - turn.now.monotonic;
    const step = offset - this.#clockOffset;
    if (Math.abs(step) < MOST_DRIFT_MILLISECONDS) return;
    this.#clockOffset = offset;
    const seconds = Math.round(step / 1000);
    const text = `the wall clock was stepped by ${seconds} s; no key is removed because of it`;
    const at: UnixMilliseconds = turn.now.wall;
    turn.effect({ kind: "event", event: { name: "clockStepped", at, severity: "warning", text, data: { seconds } } });
  }
}
