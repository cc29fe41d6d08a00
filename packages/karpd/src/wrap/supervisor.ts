import { setTimeout as delay } from "node:timers/promises";
import type { KeySocketOutcome } from "../keyer/protocol.ts";
import { BorrowedSocket } from "./borrowedSocket.ts";
import { type Destination, decodeDestination } from "./destination.ts";
import { HoldBudget } from "./holdBudget.ts";
import { LostAnswers } from "./lostAnswers.ts";
import type { ConnectAnswer, ConnectNotification, Notifications } from "./notifications.ts";
import type { SessionTable, WrappedSession } from "./sessions.ts";
import { errnoOf, readMemory, SystemCallError } from "./system.ts";
import { Wakeups } from "./wakeups.ts";

/** The keyer as a supervisor uses it. */
export interface WrapKeyer {
  /** `fd` is a descriptor of this process. Rejects when there is no keyer. */
  keySocket(fd: number, destination: Destination): Promise<KeySocketOutcome>;
}

export interface SupervisorOptions {
  readonly notifications: Pick<Notifications, "next" | "isValid" | "answer">;
  readonly keyer: WrapKeyer;
  readonly sessions: () => SessionTable;
  /** Says one line to the operator. */
  readonly say: (text: string) => void;
  /** How long a connect() of a socket in non-blocking mode may wait for a key; see HoldBudget. */
  readonly holdMilliseconds: number;
  /** The same for a socket in blocking mode, whose thread waits anyway. Default: as long as Linux repeats a SYN. */
  readonly holdBlockingMilliseconds?: number;
}

/** net.ipv4.tcp_syn_retries = 6: 1 + 2 + 4 + 8 + 16 + 32 + 64 s. */
const SYN_MILLISECONDS = 127_000;
/** How often to look whether the daemon still waits: a signal may have ended its call. */
const LOOK_MILLISECONDS = 100;
/** How often to ask without news: they come by session, and in several VRFs several sessions go to one destination. */
const ASK_AGAIN_MILLISECONDS = 1000;
/** sizeof(struct sockaddr_storage): the kernel takes no longer address. */
const LONGEST_ADDRESS = 128;

const TIMED_OUT = { errno: errnoOf("ETIMEDOUT", 110) };
const UNREACHABLE = { errno: errnoOf("EHOSTUNREACH", 113) };
const INVALID = { errno: errnoOf("EINVAL", 22) };
/** Whatever goes wrong here, no connection leaves unsigned for it. */
const FAULT = { errno: errnoOf("EIO", 5) };

/** One connect() that stands still, with all that was taken from the daemon for it. */
interface Call {
  readonly notification: ConnectNotification;
  readonly socket: BorrowedSocket;
  /** Our copy, the only one that counts. */
  readonly address: Uint8Array;
  /** The question that the keyer has not answered yet: it may still take the socket, under our number for it. */
  question: Promise<unknown> | undefined;
}

/** What to do with a call; `gone`: nobody waits for it any more. */
type Decision = "connect" | "gone" | ConnectAnswer;

/** What the keyer says, or that there is none. */
type Asked = KeySocketOutcome | { readonly kind: "down"; readonly reason: string };

const SILENT: Asked = { kind: "down", reason: "the keyer does not answer in time" };

/** Answers the connect() calls of the daemon: keys the sockets that sessions of ours need, and connects them. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #budget: HoldBudget;
  readonly #wakeups = new Wakeups();
  readonly #lost = new LostAnswers();
  /** What was last said of a session, so that it is said once. */
  readonly #said = new Map<string, string>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#budget = new HoldBudget(options.holdMilliseconds);
  }

  /** Serves until no process has the filter any more. Rejects with SystemCallError when notifications fail. */
  async run(): Promise<void> {
    const { notifications } = this.#options;
    for (let next = await notifications.next(); next !== undefined; next = await notifications.next()) {
      void this.#serve(next);
    }
  }

  /** The session has other keys than before: who waits for one asks again. */
  keysChanged(session: string): void {
    this.#wakeups.wake(session);
  }

  /** The keyer is there again. */
  keyerReturned(): void {
    this.#wakeups.wakeAll();
  }

  /** Never rejects: a call that is not answered would stand still for ever. */
  async #serve(notification: ConnectNotification): Promise<void> {
    try {
      const taken = this.#take(notification);
      if (taken === undefined) return;
      if (taken === "continue" || "errno" in taken) return void this.#answer(notification, taken);
      await this.#serveTaken(taken).finally(() => this.#release(taken));
    } catch (error) {
      if (!this.#options.notifications.isValid(notification.id)) return;
      this.#options.say(`a connect() could not be handled and fails with EIO: ${textOf(error)}`);
      this.#answer(notification, FAULT);
    }
  }

  /**
   * Takes the socket and copies the address; what was read before a look that finds the call still waiting is of the
   * thread that called, and not of another with the same number.
   */
  #take(notification: ConnectNotification): Call | ConnectAnswer | undefined {
    const { id, thread, fd } = notification;
    const socket = this.#takeSocket(thread, fd);
    if ("errno" in socket) return this.#options.notifications.isValid(id) ? socket : undefined;
    let isKept = false;
    try {
      // By the socket and not by the address, which may be another one when the kernel reads it
      if (!socket.isTcp()) return this.#options.notifications.isValid(id) ? "continue" : undefined;
      const address = copyAddress(notification);
      if (!this.#options.notifications.isValid(id)) return undefined;
      if ("errno" in address) return address;
      isKept = true;
      return { notification, socket, address, question: undefined };
    } finally {
      if (!isKept) socket.close();
    }
  }

  async #release({ question, socket }: Call): Promise<void> {
    await question;
    socket.close();
  }

  #takeSocket(thread: number, fd: number): BorrowedSocket | { readonly errno: number } {
    try {
      return BorrowedSocket.take(thread, fd);
    } catch (error) {
      const errno = error instanceof Error && "errno" in error ? String(error.errno) : "";
      if (errno === "EBADF") return { errno: errnoOf("EBADF", 9) };
      throw error;
    }
  }

  async #serveTaken(call: Call): Promise<void> {
    const { notification, socket, address } = call;
    const earlier = this.#lost.take(socket);
    // No SYN is to come any more: the kernel says what it has to say, without a look at the address
    if (!socket.isClosed()) return this.#finish(call, earlier ?? socket.connect(address));
    const destination = decodeDestination(address);
    const session = destination && this.#options.sessions().at(destination);
    const decision = destination && session ? await this.#key(call, destination, session) : "connect";
    if (decision === "gone") return;
    if (decision !== "connect") return void this.#answer(notification, decision);
    this.#finish(call, socket.connect(address));
  }

  #finish({ notification, socket }: Call, result: ConnectAnswer): void {
    if (this.#answer(notification, result) === "lost") this.#lost.remember(socket, result);
    else this.#lost.rememberDelivered(socket, result);
  }

  async #key(call: Call, destination: Destination, session: WrappedSession): Promise<Decision> {
    const { thread } = call.notification;
    if (!call.socket.isNonBlocking()) {
      const patience = this.#options.holdBlockingMilliseconds ?? SYN_MILLISECONDS;
      return await this.#hold(call, destination, session, performance.now() + patience);
    }
    const began = performance.now();
    const decision = await this.#hold(call, destination, session, began + this.#budget.left(thread, began));
    const now = performance.now();
    this.#budget.spend(thread, now - began, now);
    return decision;
  }

  /** Asks the keyer until the socket has its keys, the time is over or the daemon has given up. */
  async #hold(call: Call, destination: Destination, session: WrappedSession, deadline: number): Promise<Decision> {
    const { notification } = call;
    for (;;) {
      const mark = this.#wakeups.mark(session.name);
      const decision = this.#judge(session, await this.#ask(call, destination, deadline));
      if (!this.#options.notifications.isValid(notification.id)) return "gone";
      if (decision !== "wait") return decision;
      const again = performance.now() + ASK_AGAIN_MILLISECONDS;
      for (let isNew = false; !isNew && performance.now() < again; ) {
        const left = deadline - performance.now();
        if (left <= 0) return TIMED_OUT;
        isNew = await this.#wakeups.sleep(session.name, mark, Math.min(left, LOOK_MILLISECONDS));
        if (!this.#options.notifications.isValid(notification.id)) return "gone";
      }
    }
  }

  async #ask(call: Call, destination: Destination, deadline: number): Promise<Asked> {
    const down = (error: unknown): Asked => ({ kind: "down", reason: textOf(error) });
    const question = this.#options.keyer.keySocket(call.socket.fd, destination).catch(down);
    call.question = question;
    const over = new AbortController();
    const late = delay(Math.max(0, deadline - performance.now()), SILENT, { signal: over.signal });
    const asked = await Promise.race([question, late.catch((): Asked => SILENT)]);
    over.abort();
    return asked;
  }

  #judge(session: WrappedSession, outcome: Asked): "connect" | "wait" | { readonly errno: number } {
    switch (outcome.kind) {
      case "keyed":
        this.#say(session, "its connections are keyed");
        return "connect";
      case "unsigned":
      case "notOurs":
        return "connect";
      case "waiting":
        this.#say(session, "a connection waits for a key");
        return "wait";
      case "refused":
        this.#say(session, `the keyer refuses to key its connection (${outcome.errno}): ${outcome.reason}`);
        return { errno: errnoOf(outcome.errno, errnoOf("ECONNREFUSED", 111)) };
      case "down":
        this.#say(session, `no keyer to ask, its connections ${session.onKarpDown}: ${outcome.reason}`);
        return session.onKarpDown === "fail" ? UNREACHABLE : "wait";
    }
  }

  #answer(notification: ConnectNotification, answer: ConnectAnswer): "delivered" | "lost" {
    return this.#options.notifications.answer(notification.id, answer);
  }

  #say({ name }: WrappedSession, text: string): void {
    if (this.#said.get(name) === text) return;
    this.#said.set(name, text);
    this.#options.say(`session ${name}: ${text}`);
  }
}

function copyAddress({ thread, address, length }: ConnectNotification): Uint8Array | { readonly errno: number } {
  if (length < 0 || length > LONGEST_ADDRESS) return INVALID;
  try {
    const bytes = readMemory(thread, address, length);
    return bytes.length === length ? bytes : { errno: errnoOf("EFAULT", 14) };
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "EFAULT") return { errno: error.errno };
    throw error;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
