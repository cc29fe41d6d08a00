import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { UdpAddress } from "@karp/ikev2";

/** On this port IKE messages follow four zero octets (RFC 7296 section 2.23). */
const NAT_TRAVERSAL_PORT = 4500;
const NON_ESP_MARKER = new Uint8Array(4);

/** Why a packet did not get to the other end, as far as this machine was told: "ECONNREFUSED", "EHOSTUNREACH". */
export interface PathError {
  readonly code: string;
}

/** A UDP socket that is connected to one IKE responder: ICMP errors about it come back as errors. */
export class ProbeSocket {
  readonly #socket: Socket;
  readonly #remote: UdpAddress;
  /** Answers and errors that nobody has waited for yet. */
  readonly #waiting: (Uint8Array | PathError)[] = [];
  #wake: () => void = () => undefined;

  constructor(socket: Socket, remote: UdpAddress) {
    this.#socket = socket;
    this.#remote = remote;
    socket.on("message", (message) => this.#arrived(message));
    socket.on("error", (error: NodeJS.ErrnoException) => this.#arrived({ code: error.code ?? "EIO" }));
  }

  /**
   * From `local` where nobody has that port, else from one that the kernel chooses: the daemon holds its own.
   * @returns the error of bind() or connect() when neither can be had
   */
  static async open(local: UdpAddress, remote: UdpAddress): Promise<ProbeSocket | PathError> {
    for (const port of [local.port, 0]) {
      const socket = await bound({ address: local.address, port });
      if (!isPathError(socket)) return connected(socket, remote);
      if (port === 0 || !["EADDRINUSE", "EACCES"].includes(socket.code)) return socket;
    }
    return { code: "EADDRINUSE" };
  }

  get sourcePort(): number {
    return this.#socket.address().port;
  }

  /** Octets of the IKE message in an IP packet of so many octets. */
  messageBytes(packetBytes: number): number {
    const headers = (isIPv6(this.#remote.address) ? 40 : 20) + 8;
    return packetBytes - headers - this.#marker().length;
  }

  send(message: Uint8Array): void {
    this.#socket.send([this.#marker(), message], (error) => {
      if (error !== null) this.#arrived({ code: (error as NodeJS.ErrnoException).code ?? "EIO" });
    });
  }

  /** The next IKE message or error; undefined when none came for so long. */
  async receive(milliseconds: number): Promise<Uint8Array | PathError | undefined> {
    const next = this.#waiting.shift();
    if (next !== undefined || milliseconds <= 0) return next;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.#waiting.shift();
  }

  close(): void {
    this.#socket.close();
  }

  #marker(): Uint8Array {
    return this.#remote.port === NAT_TRAVERSAL_PORT ? NON_ESP_MARKER : new Uint8Array(0);
  }

  #arrived(what: Uint8Array | PathError): void {
    this.#waiting.push(isPathError(what) ? what : what.subarray(this.#marker().length));
    this.#wake();
  }
}

export function isPathError(value: object): value is PathError {
  return "code" in value;
}

function bound({ address, port }: UdpAddress): Promise<Socket | PathError> {
  const socket = createSocket(isIPv6(address) ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
  return new Promise((resolve) => {
    socket.once("error", (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve({ code: error.code ?? "EIO" });
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}

function connected(socket: Socket, remote: UdpAddress): Promise<ProbeSocket | PathError> {
  return new Promise((resolve) => {
    socket.connect(remote.port, remote.address, (error?: NodeJS.ErrnoException) => {
      if (error === undefined || error === null) {
        resolve(new ProbeSocket(socket, remote));
        return;
      }
      socket.close();
      resolve({ code: error.code ?? "EIO" });
    });
  });
}
