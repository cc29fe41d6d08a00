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
  /** Silence is no fault. */
  readonly isStream?: boolean;
}

const LONGEST_WAIT_MILLISECONDS = 30_000;

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
    const response = await this.#open("GET", "/v1/events/stream", { signal, headers, isStream: true });
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
    const answer = parsed(await this.#read(response));
    if (answer === undefined)
      throw new ControlError(
        "notKarp",
        `whatever answers on ${this.#socketPath} is no karp daemon; name the right socket with --socket`,
      );
    if ((response.statusCode ?? 500) < 400) return answer;
    const { code, text: sentence } = Object(answer) as { readonly code?: string; readonly text?: string };
    throw new ControlError(code ?? "failed", sentence ?? `the daemon answered ${response.statusCode}`);
  }

  async #read(response: IncomingMessage): Promise<string> {
    let text = "";
    try {
      for await (const chunk of response) text += String(chunk);
    } catch (error) {
      throw this.#explain(error as NodeJS.ErrnoException);
    }
    return text;
  }

  #open(
    method: string,
    path: string,
    { body, signal, headers = {}, isStream = false }: Call,
  ): Promise<IncomingMessage> {
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
        (response) => {
          if (isStream) outgoing.setTimeout(0);
          resolve(response.setEncoding("utf8"));
        },
      );
      outgoing.on("error", (error: NodeJS.ErrnoException) => reject(this.#explain(error)));
      outgoing.setTimeout(LONGEST_WAIT_MILLISECONDS, () =>
        outgoing.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })),
      );
      outgoing.end(payload);
    });
  }

  #explain(error: NodeJS.ErrnoException): Error {
    const at = this.#socketPath;
    switch (error.code) {
      case "ENOENT":
      case "ENOTDIR":
      case "ECONNREFUSED":
        return new ControlError(
          "notRunning",
          `no karp daemon answers on ${at}; start it with \`karp run\`, or name its socket with --socket`,
        );
      case "EACCES":
      case "EPERM":
        return new ControlError(
          "permission",
          `you may not open ${at}; run this as root or as a member of the socket's group`,
        );
      case "ECONNRESET":
      case "EPIPE":
        return new ControlError(
          "gone",
          `the daemon behind ${at} closed the connection before it answered: it is being stopped, or has too many ` +
            "connections; try again",
        );
      case "ETIMEDOUT":
        return new ControlError(
          "noAnswer",
          `the daemon behind ${at} does not answer within ${LONGEST_WAIT_MILLISECONDS / 1000} s; look at its log`,
        );
      case "ENAMETOOLONG":
      case "EINVAL":
        return new ControlError("badSocket", `${at} cannot be the path of a socket; name another with --socket`);
      default:
        return typeof error.code === "string" && error.code.startsWith("HPE_")
          ? new ControlError(
              "notKarp",
              `whatever answers on ${at} is no karp daemon; name the right socket with --socket`,
            )
          : error;
    }
  }
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
