import { LOOK_EVERY_MILLISECONDS, type RouterState } from "./runningRouter.ts";

/** Whether this kernel has TCP-AO for real sockets; false also where no native code can be loaded to ask. */
export async function kernelHasTcpAo(): Promise<boolean> {
  try {
    const { probeKernelTcpAo } = await import("@karp/tcp-ao/linux");
    return (await probeKernelTcpAo()).supported;
  } catch {
    return false;
  }
}

const LONGEST_SILENCE_LOOKS = 5000 / LOOK_EVERY_MILLISECONDS;

interface Ear {
  readonly segments: number;
  readonly keepalives: number;
  /** Looks in a row that saw segments come over UDP and nothing over the kernel's TCP. */
  readonly silentLooks: number;
  readonly longest: number;
}

/**
 * Whether the kernel's TCP session carried KEEPALIVEs to both ends for as long as the segments beside it came. A daemon
 * that is being started again hears neither: that is no silence.
 */
export class KernelWatch {
  readonly #ears = new Map<string, Ear>();

  look(states: readonly RouterState[]): void {
    for (const { name, statistics } of states) {
      const segments = statistics["segmentsVerified"] ?? 0;
      const keepalives = statistics["kernelKeepalives"] ?? 0;
      const last = this.#ears.get(name) ?? { segments: 0, keepalives: 0, silentLooks: 0, longest: 0 };
      const isSilent = segments > last.segments && keepalives === last.keepalives;
      const silentLooks = keepalives > last.keepalives ? 0 : last.silentLooks + (isSilent ? 1 : 0);
      this.#ears.set(name, { segments, keepalives, silentLooks, longest: Math.max(last.longest, silentLooks) });
    }
  }

  get ranThroughout(): boolean {
    const ears = [...this.#ears.values()];
    return ears.length > 1 && ears.every((ear) => ear.keepalives > 0 && ear.longest <= LONGEST_SILENCE_LOOKS);
  }
}
