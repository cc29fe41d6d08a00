import { Worker } from "node:worker_threads";
import { StoreError } from "../ports/keyStore.ts";
import type { WorkerAnswer, WorkerReply, WorkerRequest } from "./protocol.ts";

/** A request without its number. */
export type Question = WorkerRequest extends infer R ? (R extends WorkerRequest ? Omit<R, "id"> : never) : never;

interface Waiting {
  resolve(answer: WorkerAnswer): void;
  reject(error: StoreError): void;
}

/** Questions and answers over a worker thread's message port. */
export class StoreWorker {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #failure: StoreError | undefined;

  constructor(path: string) {
    // Nothing of our environment or of node's options is the thread's business.
    this.#worker = new Worker(workerEntry(), { workerData: { path }, env: {}, execArgv: [], name: "key store" });
    this.#worker.on("message", (reply: WorkerReply) => this.#answer(reply));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(undefined));
  }

  /** Resolves with what the worker answered; rejects with a StoreError. */
  ask(question: Question): Promise<WorkerAnswer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...question, id });
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #answer(reply: WorkerReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.answer.kind === "failed") {
      waiting?.reject(new StoreError(reply.answer.fault.code, reply.answer.fault.message));
    } else {
      waiting?.resolve(reply.answer);
    }
  }

  #fail(cause: unknown): void {
    this.#failure ??= new StoreError("io", "the key store's worker thread has ended", { cause });
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
  }
}

/** From sources the worker is a TypeScript file next to this one; in the bundle it stands next to the bundle. */
function workerEntry(): URL {
  const isSource = import.meta.url.endsWith(".ts");
  return new URL(isSource ? "./worker.ts" : "./storage-worker.js", import.meta.url);
}
