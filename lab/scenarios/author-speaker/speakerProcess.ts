// The speaker as a process of the lab: orders to its stdin, events from its stdout.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Lab } from "../../lib/lab.ts";
import { GiveUpError, waitFor } from "../../lib/wait.ts";
import type { Order } from "./speaker.ts";

export interface SpeakerSession {
  readonly local: string;
  readonly port: number;
  readonly currentKey: number;
  readonly rnextKey: number;
  readonly trouble: number;
  readonly keys: readonly { readonly recvId: number; readonly good: number; readonly bad: number }[];
}

export interface SpeakerEvent {
  readonly event: "done" | "failed" | "route" | "refused" | "error" | "closed" | "notification";
  readonly order?: Order["order"];
  readonly reason?: string;
  readonly local?: string;
  readonly prefix?: string;
  readonly keys?: readonly number[];
  readonly sessions?: readonly SpeakerSession[];
}

export class SpeakerProcess {
  readonly events: SpeakerEvent[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;

  constructor(lab: Lab, namespace: string) {
    const program = join(import.meta.dirname, "speaker.ts");
    const command = ["netns", "exec", namespace, "node", program];
    this.#child = spawn("ip", command, { cwd: lab.repo, stdio: ["pipe", "pipe", "pipe"] });
    const log = createWriteStream(join(lab.out, "speaker.log"));
    this.#child.stderr.pipe(log);
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      log.write(`${line}\n`);
      this.events.push(JSON.parse(line) as SpeakerEvent);
    });
    lab.defer(() => void this.#child.kill("SIGKILL"));
  }

  order(order: Order): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  /** Gives an order and waits until it is carried out. @throws Error when the speaker says that it failed */
  async obeyed(order: Order, seconds = 30): Promise<SpeakerEvent> {
    const before = this.events.length;
    this.order(order);
    return await waitFor(
      `the speaker to ${order.order}`,
      () => {
        const answer = this.events.slice(before).find((event) => event.order === order.order);
        if (answer?.event === "failed") throw new GiveUpError(`the speaker could not ${order.order}: ${answer.reason}`);
        if (this.#child.exitCode !== null) throw new GiveUpError("the speaker has ended; see speaker.log");
        return answer;
      },
      { seconds },
    );
  }

  async observe(): Promise<readonly SpeakerSession[]> {
    const { sessions = [] } = await this.obeyed({ order: "observe" });
    return [...sessions].sort((a, b) => a.local.localeCompare(b.local));
  }

  /** Prefixes that came in the session with this address of ours. */
  routes(local: string): ReadonlySet<string> {
    const prefixes = this.events.filter((event) => event.event === "route" && event.local === local);
    return new Set(prefixes.map(({ prefix = "" }) => prefix));
  }
}
