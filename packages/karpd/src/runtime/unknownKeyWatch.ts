import { readFile } from "node:fs/promises";

const PERIOD_MILLISECONDS = 1000;
/** What Linux counts of segments whose key is none of the receiver's, or not the one that the KeyIDs name here. */
const COUNTERS = ["TCPAOKeyNotFound", "TCPAOBad"] as const;

export interface UnknownKeyWatchOptions {
  /** Text of /proc/net/netstat, of the network namespace in which karp and the routing daemons run. */
  readonly read?: () => Promise<string>;
  readonly onSeen: () => void;
}

/**
 * Sees that segments come in with unknown TCP-AO keys: a peer that has a key connects to a router that has none. The kernel
 * counts them without saying whose they were. Where it has no such counters there is nothing to see.
 */
export class UnknownKeyWatch {
  readonly #read: () => Promise<string>;
  readonly #onSeen: () => void;
  #timer: NodeJS.Timeout | undefined;
  #last: number | undefined;
  #isReading = false;

  constructor({ read = () => readFile("/proc/net/netstat", "latin1"), onSeen }: UnknownKeyWatchOptions) {
    this.#read = read;
    this.#onSeen = onSeen;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), PERIOD_MILLISECONDS);
    this.#timer.unref();
    void this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The first look is what later ones are compared with. */
  async look(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const count = await this.#read().then(unknownKeys, () => undefined);
    this.#isReading = false;
    const hasGrown = count !== undefined && this.#last !== undefined && count > this.#last;
    this.#last = count;
    if (count === undefined) this.stop();
    else if (hasGrown) this.#onSeen();
  }
}

/** Undefined: not a kernel with TCP-AO. */
function unknownKeys(netstat: string): number | undefined {
  // Pairs of lines: "TcpExt: NAME NAME …" and "TcpExt: VALUE VALUE …"
  const [names = [], values = []] = netstat
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  const counts = COUNTERS.map((name) => Number(values[names.indexOf(name)] ?? Number.NaN));
  return counts.some(Number.isNaN) ? undefined : counts.reduce((sum, count) => sum + count, 0);
}
