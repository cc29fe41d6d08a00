// For how long a BIRD does not answer: it serves its control socket from the loop that also reads its configuration.
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Lab } from "./lab.ts";

const PAUSE_SECONDS = 0.05;

/** Asks BIRD again and again, on a connection of its own, and remembers the longest time without an answer. */
export class SilenceWatch {
  #longest = 0;
  #isStopped = false;
  #loop: Promise<void> = Promise.resolve();

  start(lab: Lab, controlSocket: string): void {
    this.#loop = this.#run(controlSocket);
    lab.defer(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
  }

  /** Seconds, since the last time this was asked. */
  takeLongest(): number {
    const longest = this.#longest;
    this.#longest = 0;
    return longest;
  }

  async #run(controlSocket: string): Promise<void> {
    const socket = connect(controlSocket).setEncoding("utf8");
    const answers = endsOfAnswers(socket);
    await answers.next(); // the welcome line
    while (!this.#isStopped) {
      const askedAt = performance.now();
      socket.write("show status\n");
      if ((await answers.next()).done) throw new Error("BIRD closed its control socket");
      this.#longest = Math.max(this.#longest, (performance.now() - askedAt) / 1000);
      await delay(PAUSE_SECONDS * 1000);
    }
    socket.destroy();
  }
}

/** One item for each line that ends an answer: four digits and a space. */
async function* endsOfAnswers(socket: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of socket) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => /^\d{4} /.test(line));
  }
}
