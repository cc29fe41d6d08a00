import type { BorrowedSocket } from "./borrowedSocket.ts";
import type { ConnectAnswer } from "./notifications.ts";

type Socket = Pick<BorrowedSocket, "cookie">;

const MOST = 1024;
/** Milliseconds. */
const REPEATED_WITHIN = 50;

/**
 * Results of connect() that a signal kept from the daemon. The kernel repeats the call after the signal's handler, and
 * the daemon must then see the result of the first, not EALREADY for a connection that it never began.
 */
export class LostAnswers {
  readonly #now: () => number;
  /** By the cookie of the socket. */
  readonly #answers = new Map<bigint, { readonly answer: ConnectAnswer; readonly until: number }>();

  /** @param now milliseconds of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  remember(socket: Socket, answer: ConnectAnswer): void {
    this.#keep(socket, answer, Number.POSITIVE_INFINITY);
  }

  /**
   * A success that the kernel took from us may be dropped all the same: the signal came before the thread looked. Such a
   * call is repeated at once; a daemon that connects again later is told that the socket is connected.
   */
  rememberDelivered(socket: Socket, answer: ConnectAnswer): void {
    if (answer !== "continue" && answer.errno === 0) this.#keep(socket, answer, this.#now() + REPEATED_WITHIN);
  }

  #keep(socket: Socket, answer: ConnectAnswer, until: number): void {
    const cookie = socket.cookie();
    this.#answers.delete(cookie);
    this.#answers.set(cookie, { answer, until });
    if (this.#answers.size <= MOST) return;
    const [oldest] = this.#answers.keys();
    if (oldest !== undefined) this.#answers.delete(oldest);
  }

  /** Gives it out once. */
  take(socket: Socket): ConnectAnswer | undefined {
    if (this.#answers.size === 0) return undefined;
    const cookie = socket.cookie();
    const kept = this.#answers.get(cookie);
    this.#answers.delete(cookie);
    return kept !== undefined && this.#now() < kept.until ? kept.answer : undefined;
  }
}
