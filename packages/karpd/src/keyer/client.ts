import { connect, type Socket } from "node:net";
import { peerCredentials } from "../control/peerCredentials.ts";
import type { Keyer, SocketSurvey } from "../ports/keyer.ts";
import type { ApplyOutcome, DriverFinding, DriverKey, ObserveOutcome, RevokeOutcome } from "../ports/routingDriver.ts";
import { readLines, writeLine } from "./lines.ts";
import {
  fromWireObservation,
  type KeyerRequest,
  type KeyerRequestName,
  type KeyerResult,
  type KeyerSession,
  type KeySocketOutcome,
  parseAnswerOrEvent,
  parseResult,
  toWireKey,
} from "./protocol.ts";

/** Nobody answers on the keyer's socket, or not as a keyer does. The message says what to do. */
export class KeyerUnavailable extends Error {
  override readonly name = "KeyerUnavailable";
}

export interface KeyerClientOptions {
  readonly socketPath: string;
  /** Called when the keyer is there again after it was away, before anything else is asked. */
  readonly onConnected?: () => void;
  /** Longest wait for an answer. Default: 10 s. */
  readonly timeoutMilliseconds?: number;
}

/** What a request says beside its id. */
type Question = KeyerRequest extends infer R ? (R extends KeyerRequest ? Omit<R, "id"> : never) : never;

const RECONNECT_MILLISECONDS = 250;

/**
 * The keyer, as karpd and the supervisors of `karp wrap` talk to it. Connects with the first request, and again by itself
 * whenever the connection ends. After a restart of the keyer the last keys of each session are given to it again.
 */
export class KeyerClient implements Keyer {
  readonly #options: KeyerClientOptions;
  readonly #wanted = new Set<(session: string) => void>();
  readonly #keyed = new Set<(session: string) => void>();
  /** What was last asked for each session, for a keyer that has forgotten. */
  readonly #last = new Map<string, readonly DriverKey[]>();
  #connection: Promise<Connection> | undefined;
  #reconnecting: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: KeyerClientOptions) {
    this.#options = options;
  }

  async apply(session: string, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    this.#last.set(session, keys);
    return await this.#ask("apply", { request: "apply", session, keys: keys.map(toWireKey) });
  }

  async observe(session: string): Promise<ObserveOutcome> {
    return fromWireObservation(await this.#ask("observe", { request: "observe", session }));
  }

  async revoke(session: string, keep: readonly DriverKey[]): Promise<RevokeOutcome> {
    this.#last.set(session, keep);
    return await this.#ask("revoke", { request: "revoke", session, keep: keep.map(toWireKey) });
  }

  async examine(session: string): Promise<readonly DriverFinding[]> {
    return await this.#ask("examine", { request: "examine", session });
  }

  async survey(session: string): Promise<SocketSurvey> {
    return await this.#ask("survey", { request: "survey", session });
  }

  /** Has it read its configuration again. @throws KeyerUnavailable when nothing was changed */
  async reload(): Promise<void> {
    const { refused } = await this.#ask("reload", { request: "reload" });
    if (refused !== undefined) throw new KeyerUnavailable(`the keyer keeps what it read before: ${refused}`);
  }

  /** For supervisors: `fd` is a descriptor of this process. */
  async keySocket(
    fd: number,
    destination: { readonly address: string; readonly port: number },
  ): Promise<KeySocketOutcome> {
    return await this.#ask("keySocket", { request: "keySocket", fd, destination: { ...destination } });
  }

  /** The sessions that the keyer keys, as its own reading of the configuration has them. */
  async sessions(): Promise<readonly KeyerSession[]> {
    return await this.#ask("sessions", { request: "sessions" });
  }

  onWanted(listener: (session: string) => void): void {
    this.#wanted.add(listener);
  }

  /** The session has other keys than before: whoever waits for one should ask again. */
  onKeyed(listener: (session: string) => void): void {
    this.#keyed.add(listener);
  }

  /** Connects now instead of with the first request, and stays connected: events come from here on. */
  async connect(): Promise<void> {
    await this.#connect();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#reconnecting);
    const connection = await this.#connection?.catch(() => undefined);
    connection?.end();
  }

  async #ask<N extends KeyerRequestName>(name: N, question: Question): Promise<KeyerResult<N>> {
    const connection = await this.#connect();
    return parseResult(name, await connection.ask(question));
  }

  #connect(): Promise<Connection> {
    if (this.#isClosed) return Promise.reject(new KeyerUnavailable("karp is ending"));
    const connecting = this.#connection ?? this.#open();
    this.#connection = connecting;
    return connecting;
  }

  async #open(): Promise<Connection> {
    clearTimeout(this.#reconnecting);
    try {
      const connection = await openConnection(this.#options, {
        event: (name, session) => {
          for (const listener of name === "wanted" ? this.#wanted : this.#keyed) listener(session);
        },
        ended: () => this.#ended(),
      });
      this.#options.onConnected?.();
      this.#repeat(connection);
      return connection;
    } catch (error) {
      this.#ended();
      throw error;
    }
  }

  /** What this keyer may have forgotten. Answers are not waited for: whoever asked then has had one, or asks again. */
  #repeat(connection: Connection): void {
    for (const [session, keys] of this.#last) {
      connection.ask({ request: "apply", session, keys: keys.map(toWireKey) }).catch(() => undefined);
    }
  }

  #ended(): void {
    this.#connection = undefined;
    if (this.#isClosed) return;
    clearTimeout(this.#reconnecting);
    const again = (): void => void this.#connect().catch(() => undefined);
    this.#reconnecting = setTimeout(again, RECONNECT_MILLISECONDS).unref();
  }
}

interface Connection {
  ask(question: Question): Promise<unknown>;
  end(): void;
}

interface Hearer {
  event(name: "wanted" | "keyed", session: string): void;
  ended(): void;
}

async function openConnection(options: KeyerClientOptions, hearer: Hearer): Promise<Connection> {
  const socket = await open(options.socketPath);
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  let lastId = 0;
  readLines(socket, (line) => {
    try {
      const heard = parseAnswerOrEvent(line);
      if ("event" in heard) return hearer.event(heard.event, heard.session);
      const asker = waiting.get(heard.id);
      waiting.delete(heard.id);
      if ("error" in heard) asker?.reject(new KeyerUnavailable(`the keyer: ${heard.error}`));
      else asker?.resolve(heard.result);
    } catch {
      socket.destroy();
    }
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    for (const { reject } of waiting.values()) reject(new KeyerUnavailable("the keyer ended the connection"));
    waiting.clear();
    hearer.ended();
  });
  socket.unref();
  return {
    end: () => socket.destroy(),
    ask(question) {
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new KeyerUnavailable("the keyer ended the connection"));
        const milliseconds = options.timeoutMilliseconds ?? 10_000;
        const late = setTimeout(() => {
          waiting.delete(id);
          reject(new KeyerUnavailable(`the keyer did not answer within ${milliseconds / 1000} s`));
        }, milliseconds);
        waiting.set(id, {
          resolve: (result) => {
            clearTimeout(late);
            resolve(result);
          },
          reject: (error) => {
            clearTimeout(late);
            reject(error);
          },
        });
        writeLine(socket, { id, ...question });
      });
    },
  };
}

/** Keys are told to nobody but root's keyer, or one of our own user. */
async function open(path: string): Promise<Socket> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (error: NodeJS.ErrnoException) => reject(new KeyerUnavailable(unreachable(path, error.code))));
  });
  try {
    const { uid } = await peerCredentials(socket);
    if (uid !== 0 && uid !== process.geteuid?.()) {
      throw new KeyerUnavailable(`${path} is served by user ${uid}, not by root: no key goes there`);
    }
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}

function unreachable(path: string, code: string | undefined): string {
  if (code === "EACCES" || code === "EPERM")
    return `${path}: no permission; run karp as the user that the keyer serves`;
  if (code === "ENOENT" || code === "ECONNREFUSED") {
    return `no keyer at ${path}; start it: systemctl start karp-keyer (or: karp keyer)`;
  }
  return `cannot reach the keyer at ${path} (${code ?? "unknown error"})`;
}
