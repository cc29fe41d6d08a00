import type { NumberedEvent } from "../control/backend.ts";
import type { DaemonEvent } from "../core/events.ts";

const REMEMBERED_EVENTS = 1000;

/** The newest events, and those who want to hear of the next ones. */
export class EventLog {
  readonly #events: NumberedEvent[] = [];
  readonly #listeners = new Set<(event: NumberedEvent) => void>();
  #lastId = 0;

  add(event: DaemonEvent): void {
    this.#lastId += 1;
    const numbered = { ...event, id: this.#lastId };
    this.#events.push(numbered);
    if (this.#events.length > REMEMBERED_EVENTS) this.#events.shift();
    for (const listener of this.#listeners) listener(numbered);
  }

  newest(limit: number): readonly NumberedEvent[] {
    return this.#events.slice(-limit);
  }

  subscribe(listener: (event: NumberedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
