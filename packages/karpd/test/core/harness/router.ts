import {
  type IkeEffect,
  type IkeEvent,
  type IkeInput,
  type Machine,
  type MktPolicy,
  type Now,
  Secret,
} from "@karp/ikev2";
import type { Configuration } from "../../../src/core/configuration.ts";
import { DaemonCore } from "../../../src/core/daemonCore.ts";
import type { DaemonEvent } from "../../../src/core/events.ts";
import type { Rules } from "../../../src/core/gatekeeper/rules.ts";
import type { KeyTableChange, KeyTableRow } from "../../../src/core/keytable/row.ts";
import type { Command, CommandReply, DaemonEffect, DaemonInput } from "../../../src/core/machine.ts";
import type { KeyView, RolloverView, SessionView } from "../../../src/core/views.ts";
import type { RoutingDaemon } from "./routingDaemon.ts";
import type { World } from "./world.ts";

/** What survives a crash. */
export class Disk {
  readonly rows = new Map<string, KeyTableRow>();
  readonly facts = new Map<string, string>();
  failure: string | undefined;
  writes = 0;

  write(changes: readonly KeyTableChange[]): void {
    this.writes += 1;
    for (const change of changes) {
      if (change.kind === "put") this.rows.set(change.row.adminKeyName, copyRow(change.row));
      else if (change.kind === "delete") this.rows.delete(change.adminKeyName);
      else if (change.kind === "setFact") this.facts.set(change.name, change.value);
      else this.facts.delete(change.name);
    }
  }

  copy(): Disk {
    const disk = new Disk();
    for (const [name, row] of this.rows) disk.rows.set(name, copyRow(row));
    for (const [name, value] of this.facts) disk.facts.set(name, value);
    return disk;
  }
}

function copyRow(row: KeyTableRow): KeyTableRow {
  return row.key === undefined ? row : { ...row, key: new Secret(row.key.expose((octets) => octets.slice())) };
}

export interface RouterParts {
  readonly name: string;
  readonly world: World;
  readonly daemon: RoutingDaemon;
  readonly createIke: (policy: MktPolicy) => Machine<IkeInput, IkeEffect>;
  readonly crypto: ConstructorParameters<typeof DaemonCore>[0]["crypto"];
  configuration: Configuration;
  rules?: Rules;
}

/** One router: a DaemonCore, its disk, its routing daemon; it can crash between any two effects. */
export class Router {
  readonly parts: RouterParts;
  disk = new Disk();
  core: DaemonCore | undefined;
  /** The gatekeeper, as the engine sees it. */
  policy: MktPolicy | undefined;
  readonly events: DaemonEvent[] = [];
  /** The events in virtual time, for those who read a failure. */
  readonly log: string[] = [];
  /** KEY_STATEs that were handed to the engine. */
  readonly told: { readonly sendId: number; readonly state: number }[] = [];
  /** Seconds of KMP_FREEZE that were handed to the engine. */
  readonly frozen: number[] = [];
  /** Changes what the engine tells the gatekeeper. */
  alter: ((event: IkeEvent) => IkeEvent) | undefined;
  readonly effects: DaemonEffect["kind"][] = [];
  readonly replies = new Map<number, CommandReply>();
  /** Crash before the effect with this number. */
  crashAt: number | undefined;
  effectCount = 0;
  #lastCommand = 0;
  #ike: Machine<IkeInput, IkeEffect> | undefined;
  readonly #inFlight = new Set<() => unknown>();

  constructor(parts: RouterParts) {
    this.parts = parts;
  }

  get daemon(): RoutingDaemon {
    return this.parts.daemon;
  }

  start(): void {
    const { crypto, configuration, createIke, rules, world, daemon } = this.parts;
    const disk = this.disk.copy();
    this.core = new DaemonCore({
      crypto,
      configuration,
      snapshot: { rows: [...disk.rows.values()], facts: disk.facts },
      now: world.now(),
      drivers: { observes: () => daemon.observes },
      createIke: (policy) => {
        this.policy = policy;
        return this.#listening(createIke(policy));
      },
      mayUseKeys: ({ uid }) => uid === 0,
      ...(rules === undefined ? {} : { rules }),
    });
    this.input({ kind: "timeout" });
  }

  /** What a hostile peer does: its engine says what its gatekeeper never would. */
  misuse(input: IkeInput): void {
    const { world } = this.parts;
    for (const effect of this.#ike?.handle(input, world.now()) ?? []) {
      if (effect.kind === "send") world.transmit(this, effect.local, effect.remote, effect.data);
    }
  }

  /** Notes what is told to the peer. */
  #listening(ike: Machine<IkeInput, IkeEffect>): Machine<IkeInput, IkeEffect> {
    this.#ike = ike;
    return {
      nextDeadline: () => ike.nextDeadline(),
      handle: (input, now) => {
        if (input.kind === "inform") {
          this.told.push(...input.items.filter((item) => item.kind === "keyState"));
          this.frozen.push(...input.items.flatMap((item) => (item.kind === "freeze" ? [item.seconds] : [])));
        }
        const { alter } = this;
        const effects = ike.handle(input, now);
        if (alter === undefined) return effects;
        return effects.map((effect) => (effect.kind === "event" ? { ...effect, event: alter(effect.event) } : effect));
      },
    };
  }

  /** The process dies. What the driver was doing is done, or will never be. */
  crash(): void {
    this.core = undefined;
    for (const act of this.#inFlight) if (this.parts.world.random() < 0.5) act();
    this.#inFlight.clear();
  }

  input(input: DaemonInput): void {
    const { core } = this;
    if (core === undefined) return;
    const now = this.parts.world.now();
    for (const effect of core.handle(input, now)) {
      this.effectCount += 1;
      if (this.crashAt === this.effectCount) {
        this.crash();
        this.parts.world.after(2000, () => this.start());
        return;
      }
      this.#perform(effect, core, now);
    }
  }

  /** The reply, if it comes at once. */
  command(command: Command): CommandReply | undefined {
    this.#lastCommand += 1;
    const requestId = this.#lastCommand;
    this.input({ kind: "command", requestId, command });
    return this.replies.get(requestId);
  }

  /** Asks, and runs until the reply comes: at once, or when what it promises is on disk. */
  ask(command: Command, seconds = 30): CommandReply | undefined {
    this.command(command);
    this.parts.world.runUntil(() => this.lastReply() !== undefined, seconds);
    return this.lastReply();
  }

  /** The reply to the last command, once it came. */
  lastReply(): CommandReply | undefined {
    return this.replies.get(this.#lastCommand);
  }

  rollover(session = "r"): RolloverView {
    const found = this.core?.views(this.parts.world.now()).rollovers.find((view) => view.session === session);
    if (found === undefined) throw new Error("no such session");
    return found;
  }

  session(session = "r"): SessionView {
    const found = this.core?.views(this.parts.world.now()).sessions.find((view) => view.session === session);
    if (found === undefined) throw new Error("no such session");
    return found;
  }

  keys(): readonly KeyView[] {
    return this.core?.views(this.parts.world.now()).keys ?? [];
  }

  keysIn(...states: readonly string[]): readonly KeyView[] {
    return this.keys().filter(({ state }) => states.includes(state));
  }

  eventNames(): readonly string[] {
    return this.events.map(({ name }) => name);
  }

  #perform(effect: DaemonEffect, core: DaemonCore, _now: Now): void {
    const { world, daemon } = this.parts;
    this.effects.push(effect.kind);
    const answer = (milliseconds: number, make: () => DaemonInput): void => {
      world.after(milliseconds, () => {
        if (this.core !== core) return;
        this.input(make());
      });
    };
    switch (effect.kind) {
      case "persist": {
        const { requestId, changes } = effect;
        // Cloned now: what is written is what was asked for, not what became of it.
        const frozen = changes.map((change) =>
          change.kind === "put" ? { ...change, row: copyRow(change.row) } : change,
        );
        answer(world.diskMilliseconds, () => {
          if (this.disk.failure !== undefined) return { kind: "persistFailed", requestId, reason: this.disk.failure };
          this.disk.write(frozen);
          return { kind: "persisted", requestId };
        });
        return;
      }
      case "apply": {
        const { requestId, keys } = effect;
        const act = (): ReturnType<RoutingDaemon["apply"]> => daemon.apply(keys, world.milliseconds);
        this.#inFlight.add(act);
        answer(daemon.latencyMilliseconds, () => {
          this.#inFlight.delete(act);
          return { kind: "applied", requestId, outcome: act() };
        });
        return;
      }
      case "observe":
        answer(daemon.latencyMilliseconds, () => ({
          kind: "observed",
          requestId: effect.requestId,
          outcome: daemon.observe(),
        }));
        return;
      case "revoke":
        world.after(daemon.latencyMilliseconds, () => {
          const outcome = daemon.apply(effect.keep, world.milliseconds);
          const isDone = outcome.kind === "installed";
          if (isDone) world.onRevoked();
          if (this.core === core)
            this.input({
              kind: "revoked",
              requestId: effect.requestId,
              outcome: isDone ? { kind: "revoked" } : { kind: "failed", reason: "scripted" },
            });
        });
        return;
      case "send":
        world.transmit(this, effect.local, effect.remote, effect.data);
        return;
      case "event":
        this.events.push(effect.event);
        this.log.push(
          `${(world.milliseconds / 1000).toFixed(3)} ${this.parts.name} ${effect.event.name}: ${effect.event.text}`,
        );
        return;
      case "reply":
        this.replies.set(effect.requestId, effect.reply);
        return;
      default:
    }
  }
}
