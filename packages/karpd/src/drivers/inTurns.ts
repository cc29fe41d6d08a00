import type { RoutingDriver } from "../ports/routingDriver.ts";

/**
 * The driver with one `apply` or `revoke` at a time for each session. Whoever calls gives up after a while and calls
 * again with newer keys; a call that still runs must not write its older ones after them. An `apply` that was overtaken
 * while it waited is not done at all.
 */
export function inTurns(driver: RoutingDriver): RoutingDriver {
  const turns = new Turns();
  const { release } = driver;
  return {
    name: driver.name,
    observes: driver.observes,
    apply: (session, keys) =>
      turns.take(session.name, (isOvertaken) =>
        isOvertaken() ? Promise.resolve(OVERTAKEN) : driver.apply(session, keys),
      ),
    revoke: (session, keep) => turns.take(session.name, () => driver.revoke(session, keep)),
    ...(release !== undefined && {
      release: (session, at) => turns.take(session.name, () => release.call(driver, session, at)),
    }),
    observe: (session) => driver.observe(session),
    examine: (session) => driver.examine(session),
    close: () => driver.close(),
  };
}

const OVERTAKEN = { kind: "pending", reason: "a later call came before this one could begin" } as const;

class Turns {
  readonly #last = new Map<string, { readonly done: Promise<unknown> }>();

  /** Runs `action` after all that came before it under this name; at once when there is nothing. */
  async take<T>(name: string, action: (isOvertaken: () => boolean) => Promise<T>): Promise<T> {
    const before = this.#last.get(name);
    const isOvertaken = (): boolean => this.#last.get(name) !== turn;
    const result: Promise<T> = before === undefined ? action(() => false) : before.done.then(() => action(isOvertaken));
    const turn = { done: result.then(nothing, nothing) };
    this.#last.set(name, turn);
    try {
      return await result;
    } finally {
      if (!isOvertaken()) this.#last.delete(name);
    }
  }
}

function nothing(): void {}
