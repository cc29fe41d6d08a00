// Starts programs through a small process of its own: to fork Node with all its memory costs a user-mode kernel four times as
// much, and most of what a scenario does is to start programs.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

export interface SpawnJob {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly input: string;
  /** After that it is killed. */
  readonly seconds: number;
}

export interface Spawned {
  /** Null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Answer = { readonly id: number } & (Spawned | { readonly error: string });

class Spawner {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, { resolve(spawned: Spawned): void; reject(error: Error): void }>();
  #lastId = 0;

  constructor() {
    const program = join(import.meta.dirname, "spawner.py");
    this.#child = spawn("python3", ["-B", program], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.on("exit", (code) => this.#fail(new Error(`${program} ended with ${code ?? "a signal"}`)));
    this.#child.stdin.on("error", (error) => this.#fail(error));
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#answered(JSON.parse(line) as Answer));
  }

  run(job: SpawnJob): Promise<Spawned> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ id, ...job })}\n`);
    });
  }

  #answered(answer: Answer): void {
    const asker = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("error" in answer) asker?.reject(new Error(answer.error));
    else asker?.resolve(answer);
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

let spawner: Spawner | undefined;

/** Runs a program to its end. @throws Error when it cannot be started */
export function runSmall(job: SpawnJob): Promise<Spawned> {
  spawner ??= new Spawner();
  return spawner.run(job);
}
