// karp's control interface as any local program uses it: HTTP over a unix socket, server-sent events.
import { type IncomingMessage, request } from "node:http";

export class Control {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** @throws Error with the daemon's answer when it is not a success */
  async call(method: "GET" | "POST", path: string, body?: unknown): Promise<unknown> {
    const response = await this.#open(method, path, body);
    let text = "";
    for await (const chunk of response) text += String(chunk);
    if ((response.statusCode ?? 500) >= 400) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    return JSON.parse(text);
  }

  /** Calls `onEvent` for each event from now on. @returns a function that stops it */
  async follow(onEvent: (event: ControlEvent) => void): Promise<() => void> {
    const response = await this.#open("GET", "/v1/events/stream");
    let buffered = "";
    response.on("error", () => {}); // the daemon went: no more events
    response.on("data", (chunk: string) => {
      buffered += chunk;
      const blocks = buffered.split("\n\n");
      buffered = blocks.pop() ?? "";
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data !== undefined) onEvent(JSON.parse(data) as ControlEvent);
      }
    });
    return () => response.destroy();
  }

  #open(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      payload === undefined ? {} : { "content-type": "application/json", "content-length": payload.length };
    return new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: this.#socketPath, method, path, headers, agent: false }, (response) =>
        resolve(response.setEncoding("utf8")),
      );
      outgoing.on("error", reject);
      outgoing.setTimeout(10_000, () => outgoing.destroy(new Error(`${method} ${path}: no answer for 10 s`)));
      outgoing.end(payload);
    });
  }
}

/** What this lab reads of an event; see `karp show events --json`. */
export interface ControlEvent {
  readonly name: string;
  readonly severity: string;
  readonly session?: string;
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>>;
}
