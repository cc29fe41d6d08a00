import type { Instant, Now } from "@karp/ikev2";
import { NotifyType } from "@karp/ikev2";
import type { KeyTableChange } from "../keytable/row.ts";
import { later } from "../time.ts";
import type { Association } from "./association.ts";
import { hasUnsaved, onSaved, onSaveFailed, refuseWaiting, takeUnsaved } from "./persist.ts";
import type { Turn } from "./turn.ts";

/** The store's word about one transaction. */
export type Stored =
  | { readonly kind: "persisted"; readonly requestId: number }
  | { readonly kind: "persistFailed"; readonly requestId: number; readonly reason: string };

export interface Save {
  readonly requestId: number;
  readonly changes: readonly KeyTableChange[];
}

interface StoreFailure {
  readonly reason: string;
  readonly retryAt: Instant;
  readonly attempts: number;
}

interface UnderWay {
  readonly associations: readonly Association[];
  readonly since: Instant;
}

/** A store that has not answered for so long is taken for one that does not work. */
const STORE_TIMEOUT_SECONDS = 30;
/** Nothing new is given to a store that does not answer. */
const SILENCE_SECONDS = 60;

/** Which associations have something to store, what is being stored, and how the store does. */
export class Saves {
  /** Oldest first. */
  readonly #underWay = new Map<number, UnderWay>();
  #unsaved = new Set<Association>();
  #failure: StoreFailure | undefined;

  /** Undefined while the store works. */
  get failure(): { readonly reason: string } | undefined {
    return this.#failure;
  }

  /** When to try again what could not be stored, or not to wait for the store any longer. */
  get deadline(): Instant | undefined {
    if (this.#failure !== undefined) return this.#unsaved.size > 0 ? this.#failure.retryAt : undefined;
    const [oldest] = this.#underWay.values();
    return oldest === undefined ? undefined : later(oldest.since, STORE_TIMEOUT_SECONDS);
  }

  /** It may have something to store. */
  add(association: Association): void {
    this.#unsaved.add(association);
  }

  /** One transaction for all that this turn changed; nothing that depends on it has left yet. */
  take(now: Now, nextRequestId: () => number): Save | undefined {
    const unsaved = [...this.#unsaved].filter(hasUnsaved);
    this.#unsaved = new Set();
    if (this.#failure !== undefined && now.monotonic < this.#failure.retryAt) {
      this.#unsaved = new Set(unsaved);
      return undefined;
    }
    // One that is being stored comes back when that is answered.
    const saving = unsaved.filter((association) => association.saving === undefined);
    if (saving.length === 0) return undefined;
    const requestId = nextRequestId();
    const changes = saving.flatMap((association) => takeUnsaved(association, requestId));
    this.#underWay.set(requestId, { associations: saving, since: now.monotonic });
    return { requestId, changes };
  }

  /** Whose changes they were. */
  onStored(turn: Turn, answer: Stored): readonly Association[] {
    const saving = this.#underWay.get(answer.requestId)?.associations ?? [];
    this.#underWay.delete(answer.requestId);
    if (saving.length === 0) return saving;
    if (answer.kind === "persisted") this.#succeed(turn, saving, answer.requestId);
    else this.#fail(turn, saving, answer);
    return saving;
  }

  /** Nobody is kept waiting for a store that is silent. What it was given counts as under way until it answers. */
  onTimeout(turn: Turn): void {
    if (this.#failure !== undefined) return;
    const { monotonic } = turn.now;
    const isLate = ({ since }: UnderWay): boolean => later(since, STORE_TIMEOUT_SECONDS) <= monotonic;
    const late = [...this.#underWay.values()].filter(isLate);
    if (late.length === 0) return;
    const reason = `the store has not answered for ${STORE_TIMEOUT_SECONDS} s`;
    this.#failure = { reason, retryAt: later(monotonic, SILENCE_SECONDS), attempts: 0 };
    for (const { associations } of late) {
      for (const association of associations) refuseWaiting(turn, association, reason);
    }
    tellFailure(turn, reason);
  }

  #succeed(turn: Turn, saving: readonly Association[], requestId: number): void {
    const former = this.#failure;
    this.#failure = undefined;
    for (const association of saving) onSaved(turn, association, requestId);
    if (former !== undefined) storeEvent(turn, "storeRecovered", "info", "the key table can be stored again");
  }

  #fail(
    turn: Turn,
    saving: readonly Association[],
    { requestId, reason }: Extract<Stored, { readonly kind: "persistFailed" }>,
  ): void {
    const former = this.#failure;
    const attempts = (former?.attempts ?? 0) + 1;
    const retryAt = later(turn.now.monotonic, Math.min(60, 2 ** Math.min(attempts - 1, 6)));
    this.#failure = { reason, retryAt, attempts };
    for (const association of saving) {
      onSaveFailed(turn, association, requestId, { notifyType: NotifyType.TEMPORARY_FAILURE, reason });
    }
    if (former?.reason === reason) return;
    tellFailure(turn, reason);
  }
}

function tellFailure(turn: Turn, reason: string): void {
  const text = `the key table cannot be stored: ${reason}; keys in place keep working`;
  storeEvent(turn, "storeFailed", "alarm", text);
}

function storeEvent(
  turn: Turn,
  name: "storeFailed" | "storeRecovered",
  severity: "alarm" | "info",
  text: string,
): void {
  turn.effect({ kind: "event", event: { name, at: turn.now.wall, severity, text, data: {} } });
}
