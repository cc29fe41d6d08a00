import type { BorrowedSocket } from "./borrowedSocket.ts";
import type { ConnectAnswer } from "./notifications.ts";

const MOST = 1024;

/**
 * Results of connect() that a signal kept from the daemon. The kernel repeats the call after the signal's handler, and
 * the daemon must then see the result of the first, not EALREADY for a connection that it never began.
 */
export class LostAnswers {
  /** By the cookie of the socket. */
  readonly #answers = new Map<bigint, ConnectAnswer>();

  remember(socket: BorrowedSocket, answer: ConnectAnswer): void {
    this.#answers.set(socket.cookie(), answer);
    if (this.#answers.size <= MOST) return;
    const [oldest] = this.#answers.keys();
    if (oldest !== undefined) this.#answers.delete(oldest);
  }

  /** Gives it out once. */
  take(socket: BorrowedSocket): ConnectAnswer | undefined {
    if (this.#answers.size === 0) return undefined;
    const cookie = socket.cookie();
    const answer = this.#answers.get(cookie);
    this.#answers.delete(cookie);
    return answer;
  }
}
