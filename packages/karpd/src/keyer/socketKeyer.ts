import type { SessionConfiguration } from "../core/configuration.ts";
import { keySetFault } from "../drivers/keys.ts";
import type { Keyer, SocketSurvey } from "../ports/keyer.ts";
import type { ApplyOutcome, DriverFinding, DriverKey, ObserveOutcome, RevokeOutcome } from "../ports/routingDriver.ts";
import { closedKeyFor, makeClosedKey } from "./closedKey.ts";
import { type Kernel, linuxKernel } from "./kernel.ts";
import { type Keyed, mustBeSigned, type SocketKeyerLog } from "./keyed.ts";
import type { Ledger } from "./ledger.ts";
import type { InterfaceIndex } from "./match.ts";
import { SessionSockets } from "./sessionSockets.ts";

export interface SocketKeyerOptions {
  readonly sessions: readonly SessionConfiguration[];
  readonly ledger: Ledger;
  readonly indexOf: InterfaceIndex;
  readonly log: SocketKeyerLog;
  readonly kernel?: Kernel;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
}

/** A supervisor that holds a connect() asks every second. */
const HELD_MILLISECONDS = 5000;

/**
 * Keys the sockets of other processes for the configured sessions, and no others: those that are there at a call, and by
 * {@link tick} those that come later. Keeps the last keys of each session in memory; knows nothing after a restart but
 * which keys it wrote.
 */
export class SocketKeyer implements Keyer {
  readonly #options: SocketKeyerOptions;
  readonly #sockets: SessionSockets;
  readonly #keyed = new Map<string, Keyed>();
  readonly #listeners = { wanted: new Set<(session: string) => void>(), keyed: new Set<(session: string) => void>() };
  readonly #now: () => number;
  /** When a supervisor last asked for a session. */
  readonly #heldAt = new Map<string, number>();

  constructor(options: SocketKeyerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const { ledger, indexOf, log } = options;
    this.#sockets = new SessionSockets({
      ledger,
      indexOf,
      log,
      kernel: this.kernel,
      isHeld: (name) => this.#isHeld(name),
    });
    this.reconfigure(options.sessions);
  }

  /** Other sessions than before. Sockets of those that are gone keep their keys. */
  reconfigure(sessions: readonly SessionConfiguration[]): void {
    const { ledger } = this.#options;
    ledger.keepClosedOnly(new Set(sessions.filter(({ mode }) => mode !== "observe").map(({ name }) => name)));
    for (const name of this.#keyed.keys()) {
      if (!sessions.some((session) => session.name === name)) this.#keyed.delete(name);
    }
    for (const session of sessions) {
      const before = this.#keyed.get(session.name);
      this.#set({
        session,
        keys: before?.keys,
        closedKey: closedKeyFor(session, before, ledger.wasClosed(session.name)),
      });
    }
  }

  get sessions(): readonly SessionConfiguration[] {
    return [...this.#keyed.values()].map(({ session }) => session);
  }

  keyedSessions(): readonly Keyed[] {
    return [...this.#keyed.values()];
  }

  get kernel(): Kernel {
    return this.#options.kernel ?? linuxKernel;
  }

  get ledger(): Ledger {
    return this.#options.ledger;
  }

  get indexOf(): InterfaceIndex {
    return this.#options.indexOf;
  }

  async apply(name: string, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    const before = this.#keyed.get(name);
    if (before === undefined) return { kind: "refused", reason: unknownSession(name) };
    // Whoever lets go may do that in any mode
    const fault = keySetFault(keys) ?? (keys.length > 0 ? observedOnly(before) : undefined);
    if (fault !== undefined) return { kind: "refused", reason: fault };
    const closedKey = keys.length > 0 ? undefined : before.closedKey;
    const keyed = this.#set({ ...before, keys, closedKey });
    this.ledger.noteClosed(name, mustBeSigned(keyed));
    this.#announce("keyed", name);
    this.#refresh();
    return this.#sockets.sync(keyed);
  }

  async observe(name: string): Promise<ObserveOutcome> {
    const keyed = this.#keyed.get(name);
    if (keyed === undefined) return { kind: "unavailable", reason: unknownSession(name) };
    this.#refresh();
    const outcome = this.#sockets.sync(keyed);
    const observation = this.#sockets.observe(keyed);
    if (outcome.kind !== "installed") this.#sockets.sayOnce(`${name}: ${outcome.reason}`);
    return { kind: "observed", observation };
  }

  async revoke(name: string, keep: readonly DriverKey[]): Promise<RevokeOutcome> {
    const before = this.#keyed.get(name);
    if (before === undefined) return { kind: "failed", reason: unknownSession(name) };
    const fault = keySetFault(keep);
    if (fault !== undefined) return { kind: "failed", reason: fault };
    const closedKey = keep.length > 0 ? undefined : makeClosedKey(before.session);
    const keyed = this.#set({ ...before, keys: keep, closedKey });
    this.ledger.noteClosed(name, mustBeSigned(keyed));
    this.#announce("keyed", name);
    this.#refresh();
    return this.#sockets.revoke(keyed, this.#ports());
  }

  async examine(name: string): Promise<readonly DriverFinding[]> {
    const keyed = this.#keyed.get(name);
    if (keyed === undefined) return [{ severity: "error", text: unknownSession(name) }];
    this.#refresh(true);
    return this.#sockets.examine(keyed.session);
  }

  /** @throws Error for a session that is not configured */
  async survey(name: string): Promise<SocketSurvey> {
    const keyed = this.#keyed.get(name);
    if (keyed === undefined) throw new Error(unknownSession(name));
    this.#refresh(true);
    return this.#sockets.survey(keyed);
  }

  /** Keys sockets that have come since, and closes unsigned connections that must be signed. At least once a second. */
  tick(): void {
    this.#refresh();
    for (const keyed of this.#keyed.values()) {
      if (!this.#sockets.hasNews(keyed)) continue;
      const outcome = this.#sockets.sync(keyed);
      if (outcome.kind !== "installed" && outcome.kind !== "pending") {
        this.#sockets.sayOnce(`${keyed.session.name}: ${outcome.reason}`);
      }
    }
  }

  onWanted(listener: (session: string) => void): void {
    this.#listeners.wanted.add(listener);
  }

  onKeyed(listener: (session: string) => void): void {
    this.#listeners.keyed.add(listener);
  }

  /** A connect() of the session is held. */
  want(name: string): void {
    this.#heldAt.set(name, this.#now());
    this.#announce("wanted", name);
  }

  /** Supervisors ask again every second for a connect() that they hold. */
  #isHeld(name: string): boolean {
    const at = this.#heldAt.get(name);
    return at !== undefined && this.#now() - at < HELD_MILLISECONDS;
  }

  async close(): Promise<void> {}

  #announce(event: "wanted" | "keyed", name: string): void {
    for (const listener of this.#listeners[event]) listener(name);
  }

  #set(keyed: Keyed): Keyed {
    this.#keyed.set(keyed.session.name, keyed);
    this.#sockets.unsettle(keyed.session.name);
    return keyed;
  }

  #refresh(withMd5Peers = false): void {
    this.#sockets.refresh(this.#ports(), withMd5Peers);
  }

  #ports(): ReadonlySet<number> {
    return new Set(this.sessions.map(({ port }) => port));
  }
}

/** Whoever speaks for karpd: what the configuration only observes has no keys. */
function observedOnly({ session: { mode, name } }: Keyed): string | undefined {
  return mode === "observe"
    ? `session ${name} is in mode observe for the keyer, which installs nothing: if it is not any more, karp reload`
    : undefined;
}

function unknownSession(name: string): string {
  return `the keyer's configuration has no session ${name} with a driver that keys sockets; karp reload has it read again`;
}
