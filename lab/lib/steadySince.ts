/**
 * When each connection came up, for daemons that say only how many seconds ago that was: counted back from now, the
 * moment is off by one now and then.
 */
export class SteadySince {
  readonly #known = new Map<number, number>();

  /** A new daemon counts its connections anew. */
  clear(): void {
    this.#known.clear();
  }

  /** @param connection which one it is, counted by the daemon; its last digit is in the text, so that two are never the same */
  text(connection: number, epochSeconds: number): string {
    const known = this.#known.get(connection);
    if (known === undefined) this.#known.set(connection, epochSeconds);
    const isSame = known !== undefined && Math.abs(known - epochSeconds) <= 1;
    const moment = (isSame ? known : epochSeconds) * 1000 + (connection % 10) * 100;
    return new Date(moment).toISOString().replace("T", " ").replace("Z", "");
  }

  /** The same for a daemon that says for how long the connection has been up. */
  textOfAge(connection: number, seconds: number): string {
    return this.text(connection, Math.round(Date.now() / 1000) - seconds);
  }
}
