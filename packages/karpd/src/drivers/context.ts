import type { MktAlgorithm } from "../core/keytable/row.ts";
import type { Keyer } from "../ports/keyer.ts";

/** What a driver is given by the runtime: time, a log and what is known of the kernel. Tests give their own. */
export interface DriverContext {
  readonly clock: DriverClock;
  readonly log: DriverLog;
  /** Algorithms of the kernel's TCP-AO; undefined: could not be found out. Absent: nobody asks. */
  readonly kernelAlgorithms?: () => Promise<ReadonlySet<MktAlgorithm> | undefined>;
  /** The process that keys sockets of others; connected when it is first needed. */
  readonly keyer?: () => Promise<Keyer>;
}

export interface DriverClock {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  /** Runs `action` once, later, unless cancelled. */
  after(milliseconds: number, action: () => void): DriverTimer;
}

export interface DriverTimer {
  cancel(): void;
}

/** One line, never with a key in it. */
export type DriverLog = (level: "debug" | "info" | "warning" | "error", text: string) => void;

export const systemClock: DriverClock = {
  now: () => Date.now(),
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
};

export function delay(clock: DriverClock, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(milliseconds, resolve);
  });
}
