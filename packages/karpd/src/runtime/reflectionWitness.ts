import type { IkeEffect, IkeEndpoint, IkeEvent, IkeInput, Instant, Machine, Now } from "@karp/ikev2";

/**
 * The engine, and a witness beside it: when a peer "did not answer" although our own messages came back from its address,
 * the failure says so. Something between the two mirrors UDP, and no waiting will help.
 */
export class ReflectionWitness implements Machine<IkeInput, IkeEffect> {
  readonly #engine: IkeEndpoint;
  /** Of configured peers only, by name. */
  readonly #addresses = new Map<string, string>();
  readonly #reflecting = new Set<string>();

  constructor(engine: IkeEndpoint) {
    this.#engine = engine;
  }

  nextDeadline(): Instant | undefined {
    return this.#engine.nextDeadline();
  }

  handle(input: IkeInput, now: Now): readonly IkeEffect[] {
    if (input.kind === "configure") this.#learn(input);
    const before = this.#engine.counters.reflected;
    const effects = this.#engine.handle(input, now);
    if (input.kind === "datagram" && this.#engine.counters.reflected > before)
      this.#reflecting.add(input.remote.address);
    return effects.map((effect) =>
      effect.kind === "event" ? { kind: "event", event: this.#inFull(effect.event) } : effect,
    );
  }

  #learn({ peers }: Extract<IkeInput, { readonly kind: "configure" }>): void {
    this.#addresses.clear();
    this.#reflecting.clear();
    for (const { name, remote } of peers) this.#addresses.set(name, remote.address);
  }

  #inFull(event: IkeEvent): IkeEvent {
    const address = "peer" in event && event.peer !== undefined ? this.#addresses.get(event.peer) : undefined;
    if (address === undefined || !this.#reflecting.has(address)) return event;
    if (event.kind === "ikeSaEstablished") this.#reflecting.delete(address);
    if (!("failure" in event) || event.failure?.reason !== "timeout") return event;
    const detail = `${event.failure.detail}, and our own messages came back from ${address}: something there mirrors UDP`;
    return { ...event, failure: { ...event.failure, detail } };
  }
}
