import { connect, type Socket } from "node:net";
import type { DriverClock, DriverTimer } from "../context.ts";
import { errnoOf, messageOf } from "../text.ts";
import { type Reply, ReplyReader } from "./replies.ts";

/** BIRD could not be asked; the message is a sentence for the operator. `isDown`: nobody listens on the socket. */
export class BirdUnreachable extends Error {
  override readonly name = "BirdUnreachable";
  readonly isDown: boolean;
  readonly isForbidden: boolean;

  constructor(message: string, errno?: string) {
    super(message);
    this.isDown = errno === "ENOENT" || errno === "ECONNREFUSED";
    this.isForbidden = errno === "EACCES" || errno === "EPERM";
  }
}

/** One connection to BIRD's control socket. Commands wait for each other. */
export interface Conversation {
  /** The welcome line: "BIRD 3.4.0 ready.". */
  readonly welcome: Reply;
  /** @throws BirdUnreachable when no whole answer came in time */
  ask(command: string, timeoutMilliseconds?: number): Promise<Reply>;
}

const ANSWER_TIMEOUT_MILLISECONDS = 10_000;
/**
 * BIRD's control socket queues few connections, and a busy BIRD accepts late: further ones get EAGAIN. With hundreds of
 * sessions on one BIRD the conversations take turns; more than one, for a `configure` may take long.
 */
const MOST_CONVERSATIONS = 4;
const conversations = new Map<string, Turns>();

interface Turns {
  running: number;
  readonly waiting: (() => void)[];
  /** Commands under way for which BIRD has more time than for others: it may answer nobody until then. */
  long: number;
}

/**
 * Connects, talks, hangs up. BIRD serves its control socket from its main loop, so a connection is kept no longer than
 * needed. A conversation begins no other one.
 * @throws BirdUnreachable
 */
export async function converse<T>(
  path: string,
  clock: DriverClock,
  talk: (conversation: Conversation) => Promise<T>,
): Promise<T> {
  const turns = conversations.get(path) ?? { running: 0, waiting: [], long: 0 };
  conversations.set(path, turns);
  if (turns.running >= MOST_CONVERSATIONS) await new Promise<void>((resolve) => turns.waiting.push(resolve));
  else turns.running++;
  try {
    return await converseNow(new Line(path, clock, turns), talk);
  } finally {
    const next = turns.waiting.shift(); // takes the place over
    if (next !== undefined) next();
    else if (--turns.running === 0) conversations.delete(path);
  }
}

async function converseNow<T>(line: Line, talk: (conversation: Conversation) => Promise<T>): Promise<T> {
  try {
    const welcome = await line.next(ANSWER_TIMEOUT_MILLISECONDS);
    return await talk({ welcome, ask: (command, timeout) => line.ask(command, timeout) });
  } finally {
    line.close();
  }
}

/** A connected socket and the one answer that is waited for. */
class Line {
  readonly #path: string;
  readonly #clock: DriverClock;
  readonly #turns: Turns;
  readonly #socket: Socket;
  readonly #reader = new ReplyReader();
  readonly #replies: Reply[] = [];
  #waiting: { resolve(reply: Reply): void; reject(error: Error): void; timer: DriverTimer } | undefined;
  #failure: BirdUnreachable | undefined;

  constructor(path: string, clock: DriverClock, turns: Turns) {
    this.#path = path;
    this.#clock = clock;
    this.#turns = turns;
    this.#socket = connect(path).setEncoding("utf8");
    this.#socket.on("data", (text: string) => this.#data(text));
    this.#socket.on("error", (error) => this.#fail(unreachable(path, error)));
    this.#socket.on("close", () => this.#fail(new BirdUnreachable(`BIRD closed its control socket ${path}`)));
  }

  async ask(command: string, timeoutMilliseconds = ANSWER_TIMEOUT_MILLISECONDS): Promise<Reply> {
    if (/[\r\n]/.test(command)) throw new BirdUnreachable("a command has one line");
    this.#replies.length = 0;
    if (this.#failure === undefined) this.#socket.write(`${command}\n`);
    if (timeoutMilliseconds <= ANSWER_TIMEOUT_MILLISECONDS) return this.next(timeoutMilliseconds);
    this.#turns.long++;
    try {
      return await this.next(timeoutMilliseconds);
    } finally {
      this.#turns.long--;
    }
  }

  next(timeoutMilliseconds: number): Promise<Reply> {
    const reply = this.#replies.shift();
    if (reply !== undefined) return Promise.resolve(reply);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject, timer: this.#deadline(timeoutMilliseconds) };
    });
  }

  /** While BIRD reads its configuration for one conversation, the others get their time anew: it does not hear them. */
  #deadline(milliseconds: number): DriverTimer {
    return this.#clock.after(milliseconds, () => {
      if (this.#turns.long > 0 && milliseconds <= ANSWER_TIMEOUT_MILLISECONDS && this.#waiting !== undefined) {
        this.#waiting = { ...this.#waiting, timer: this.#deadline(milliseconds) };
        return;
      }
      this.#fail(new BirdUnreachable(`BIRD did not answer on ${this.#path} within ${milliseconds / 1000} s`));
    });
  }

  close(): void {
    this.#waiting?.timer.cancel();
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #data(text: string): void {
    try {
      this.#replies.push(...this.#reader.push(text));
    } catch (error) {
      this.#fail(new BirdUnreachable(`${this.#path}: ${messageOf(error)}`));
      return;
    }
    const waiting = this.#waiting;
    const reply = waiting && this.#replies.shift();
    if (waiting === undefined || reply === undefined) return;
    this.#waiting = undefined;
    waiting.timer.cancel();
    waiting.resolve(reply);
  }

  #fail(error: BirdUnreachable): void {
    this.#failure ??= error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.timer.cancel();
    waiting?.reject(this.#failure);
    this.#socket.destroy();
  }
}

function unreachable(path: string, error: Error): BirdUnreachable {
  const errno = errnoOf(error);
  if (errno === "ENOENT") return new BirdUnreachable(`BIRD is not running: there is no control socket ${path}`, errno);
  if (errno === "ECONNREFUSED") return new BirdUnreachable(`BIRD is not running: nobody listens on ${path}`, errno);
  if (errno === "EACCES" || errno === "EPERM") {
    return new BirdUnreachable(`no permission to use ${path}: add karp's user to the group that owns it`, errno);
  }
  return new BirdUnreachable(`cannot use BIRD's control socket ${path}: ${messageOf(error)}`, errno);
}
