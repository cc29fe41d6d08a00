/** Whole seconds between which a connection came up. */
interface Span {
  readonly earliest: number;
  readonly latest: number;
}

/**
 * When each connection came up, for daemons that say only how many seconds ago that was: counted back from now, the
 * moment is off by one now and then, and by as long as the daemon took to answer.
 */
export class SteadySince {
  readonly #known = new Map<number, Span>();

  /** A new daemon counts its connections anew. */
  clear(): void {
    this.#known.clear();
  }

  /**
   * The same text for as long as it may be the same moment.
   * @param connection which one it is, counted by the daemon; its last digit is in the text, so that two are never the same
   */
  text(connection: number, epochSeconds: number): string {
    return this.#text(connection, { earliest: epochSeconds, latest: epochSeconds });
  }

  /** The same for a daemon that says for how many seconds the connection has been up, asked at `askedAt` (milliseconds). */
  textOfAge(connection: number, seconds: number, askedAt: number): string {
    const earliest = Math.floor(askedAt / 1000) - seconds;
    return this.#text(connection, { earliest, latest: Math.ceil(Date.now() / 1000) - seconds });
  }

  #text(connection: number, span: Span): string {
    const known = this.#known.get(connection);
    const isSame = known !== undefined && known.earliest - 1 <= span.latest && span.earliest <= known.latest + 1;
    if (known === undefined) this.#known.set(connection, span);
    const moment = (isSame ? known : span).latest * 1000 + (connection % 10) * 100;
    return new Date(moment).toISOString().replace("T", " ").replace("Z", "");
  }
}
