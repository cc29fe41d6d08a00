import { type IncomingMessage, request } from "node:http";

/** The daemon is not there, or said no. The message is for people. */
export class ControlError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "ControlError";
    this.code = code;
  }
}

interface Call {
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Calls the control interface of the daemon behind `socketPath`. */
export class ControlClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async get(path: string): Promise<unknown> {
    return await this.#call("GET", path);
  }

  async post(path: string, body: unknown): Promise<unknown> {
    return await this.#call("POST", path, body);
  }

  /**
   * Lines of the event stream as parsed JSON, until `signal` aborts or the daemon goes. With `fromTheStart` those that
   * the daemon remembers come first.
   */
  async *events(
    signal?: AbortSignal,
    { fromTheStart = false }: { readonly fromTheStart?: boolean } = {},
  ): AsyncGenerator<Record<string, unknown>> {
    const headers = fromTheStart ? { "last-event-id": "0" } : {};
    const response = await this.#open("GET", "/v1/events/stream", { signal, headers });
    let buffered = "";
    for await (const chunk of response) {
      buffered += String(chunk);
      const blocks = buffered.split("\n\n");
      buffered = blocks.pop() ?? "";
      for (const block of blocks) {
        const data = block.split("\n").find((line) => line.startsWith("data: "));
        if (data !== undefined) yield JSON.parse(data.slice("data: ".length));
      }
    }
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await this.#open(method, path, { body });
    let text = "";
    for await (const chunk of response) text += String(chunk);
    const answer: unknown = JSON.parse(text);
    if ((response.statusCode ?? 500) < 400) return answer;
    const { code, text: sentence } = answer as { readonly code?: string; readonly text?: string };
    throw new ControlError(code ?? "failed", sentence ?? `the daemon answered ${response.statusCode}`);
  }

  #open(method: string, path: string, { body, signal, headers = {} }: Call): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          socketPath: this.#socketPath,
          method,
          path,
          headers:
            payload === undefined
              ? headers
              : { ...headers, "content-type": "application/json", "content-length": Buffer.byteLength(payload) },
          ...(signal === undefined ? {} : { signal }),
        },
        (response) => resolve(response.setEncoding("utf8")),
      );
      outgoing.on("error", (error: NodeJS.ErrnoException) => reject(this.#explain(error)));
      outgoing.end(payload);
    });
  }

  #explain(error: NodeJS.ErrnoException): Error {
    const at = this.#socketPath;
    switch (error.code) {
      case "ENOENT":
      case "ECONNREFUSED":
        return new ControlError(
          "notRunning",
          `no karp daemon answers on ${at}; start it with \`karp run\`, or name its socket with --socket`,
        );
      case "EACCES":
        return new ControlError(
          "permission",
          `you may not open ${at}; run this as root or as a member of the socket's group`,
        );
      default:
        return error;
    }
  }
}
