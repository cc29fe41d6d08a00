import { setTimeout as delay } from "node:timers/promises";
import type { StoreSettings } from "../config/settings.ts";
import { ControlClient, ControlError } from "../control/client.ts";
import type { SessionConfiguration } from "../core/configuration.ts";
import { formatRfc3339 } from "../core/time.ts";
import type { Handover } from "../ports/handover.ts";
import { markInStore } from "./markInStore.ts";

export interface Site {
  readonly session: SessionConfiguration;
  readonly store: StoreSettings;
  readonly socketPath: string;
  /** Undefined: this kind of driver has nothing of its own to hand over. */
  readonly handover: Handover | undefined;
}

export interface Told {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

/**
 * `karp unmanage`: karp leaves the session alone from now on, over restarts, and its keys stay as static ones. Neither
 * the daemon nor the peer is needed; what does not work is said, and the rest is done all the same.
 */
export async function unmanage(site: Site, nowMilliseconds: number): Promise<Told> {
  const { session, handover } = site;
  const at = formatRfc3339(nowMilliseconds as Parameters<typeof formatRfc3339>[0]);
  const marked = await mark(site, "unmanage", at);
  const released = await handover?.release(session, at);
  const lines = [...marked.lines];
  if (released === undefined) {
    lines.push(
      `the keys of ${session.name} stay where driver ${session.driver} has put them; karp does not touch them`,
    );
  } else if (released.kind === "failed") {
    lines.push(`the keys stay as they are, but the file does not say that it is yours: ${released.reason}`);
  } else {
    lines.push(...released.carryOn);
  }
  lines.push(`karp takes the session back, with it up, with: karp manage ${session.name}`);
  return { ok: marked.ok && released?.kind !== "failed", lines };
}

/** `karp manage`: the way back. The driver adopts the keys that it finds. */
export async function manage(site: Site): Promise<Told> {
  return await mark(site, "manage", "");
}

const BUSY_TRIES = 20;
const BUSY_MILLISECONDS = 500;

/** A driver that is at work is waited for, within reason. */
async function ask(socketPath: string, path: string, session: string): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      return ((await new ControlClient(socketPath).post(path, { session })) as { readonly text: string }).text;
    } catch (error) {
      const isBusy = error instanceof ControlError && error.code === "busy";
      if (!isBusy || tries === BUSY_TRIES) throw error;
      await delay(BUSY_MILLISECONDS);
    }
  }
}

/** By the running karp, or where none runs in its store. */
async function mark(site: Site, what: "unmanage" | "manage", at: string): Promise<Told> {
  const { session, socketPath } = site;
  try {
    return { ok: true, lines: [await ask(socketPath, `/v1/${what}`, session.name)] };
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    if (what === "unmanage" && error.code === "unmanaged") return { ok: true, lines: [error.message] };
    if (!["notRunning", "noAnswer", "gone"].includes(error.code)) throw error;
    return await markWithout(site, what, at, error.message);
  }
}

async function markWithout(site: Site, what: "unmanage" | "manage", at: string, why: string): Promise<Told> {
  const { session, store } = site;
  try {
    await markInStore(store, session.name, what === "unmanage" ? { kind: what, at } : { kind: what });
    const does = what === "unmanage" ? "leaves it alone" : "manages it";
    return { ok: true, lines: [`karp does not run (${why}); noted in its store: karp ${does} when it starts`] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const until =
      what === "unmanage" ? `take ${session.name} out of karp.yaml before you start karp again` : "start karp";
    return { ok: false, lines: [`karp does not run, and this could not be noted in its store: ${reason}; ${until}`] };
  }
}
