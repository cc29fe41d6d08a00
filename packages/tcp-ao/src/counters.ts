/** What was seen of segments with one MKT. */
export interface KeyCounters {
  /** Segments whose MAC was right. */
  readonly good: number;
  /** Segments whose MAC or option length was wrong. */
  readonly bad: number;
}

/** What was seen on a connection or an endpoint; the names are those of Linux's counters. */
export interface TcpAoCounters extends KeyCounters {
  /** Segments with a KeyID for which no MKT is installed. */
  readonly keyNotFound: number;
  /** Segments without TCP-AO that were discarded because it is required. */
  readonly required: number;
}

/** A {@link TcpAoCounters} that counts. */
export class Counters {
  #counts: TcpAoCounters = { good: 0, bad: 0, keyNotFound: 0, required: 0 };

  add(what: keyof TcpAoCounters): void {
    this.#counts = { ...this.#counts, [what]: this.#counts[what] + 1 };
  }

  read(): TcpAoCounters {
    return this.#counts;
  }
}
