import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { UdpAddress } from "../src/index.ts";
import { datagramParts, ikeMessageOf } from "./nonEspMarker.ts";

export interface ReceivedDatagram {
  readonly local: UdpAddress;
  readonly remote: UdpAddress;
  readonly data: Uint8Array;
}

/** A UDP socket that somebody else has bound for us, as systemd does. */
export interface HandedOverSocket {
  readonly descriptor: number;
  readonly local: UdpAddress;
}

/** Why an address could not be bound, as a sentence that says what to do. */
export class ListenError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "ListenError";
    this.code = code;
  }
}

/** One UDP socket per local address and port; the source address of what we send is the one that the peer knows. */
export class UdpTransport {
  readonly #sockets = new Map<string, Socket>();
  readonly #receive: (datagram: ReceivedDatagram) => void;
  readonly #sendFailed: (remote: UdpAddress, error: Error) => void;
  /** Descriptors by name. They stay open until the end: once closed here, nobody could give them to us again. */
  readonly #handedOver: ReadonlyMap<string, number>;

  constructor(
    receive: (datagram: ReceivedDatagram) => void,
    sendFailed: (remote: UdpAddress, error: Error) => void,
    handedOver: readonly HandedOverSocket[] = [],
  ) {
    this.#receive = receive;
    this.#sendFailed = sendFailed;
    this.#handedOver = new Map(handedOver.map(({ descriptor, local }) => [nameOf(local), descriptor]));
  }

  get addresses(): readonly string[] {
    return [...this.#sockets.keys()];
  }

  /** Makes the bound addresses equal to `wanted`: all of them or, on a ListenError, the same as before. */
  async listen(wanted: readonly UdpAddress[]): Promise<void> {
    this.#refuseUnwanted(wanted);
    const opened = new Map<string, Socket>();
    try {
      for (const address of wanted) {
        const name = nameOf(address);
        if (!this.#sockets.has(name) && !opened.has(name)) opened.set(name, await this.#open(address));
      }
    } catch (error) {
      for (const [name, socket] of opened) if (!this.#handedOver.has(name)) socket.close();
      throw error;
    }
    const names = new Set(wanted.map(nameOf));
    for (const [name, socket] of this.#sockets) {
      if (names.has(name)) continue;
      socket.close();
      this.#sockets.delete(name);
    }
    for (const [name, socket] of opened) this.#sockets.set(name, socket);
  }

  send(local: UdpAddress, remote: UdpAddress, data: Uint8Array): void {
    const socket = this.#sockets.get(nameOf(local));
    if (socket === undefined) {
      this.#sendFailed(remote, new Error(`no socket is bound to ${nameOf(local)}`));
      return;
    }
    try {
      socket.send(datagramParts(data, local.port), remote.port, remote.address, (error) => {
        if (error !== null) this.#sendFailed(remote, error);
      });
    } catch (error) {
      // Node throws for what it finds wrong itself: a port of 0, a datagram that is too long
      this.#sendFailed(remote, error instanceof Error ? error : new Error("the datagram could not be sent"));
    }
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  /** Whoever bound a socket for us meant us to use it: what is not in the configuration is a mistake in one of the two. */
  #refuseUnwanted(wanted: readonly UdpAddress[]): void {
    const names = wanted.map(nameOf);
    const unwanted = [...this.#handedOver.keys()].filter((name) => !names.includes(name));
    if (unwanted.length === 0) return;
    const what = `UDP ${unwanted.join(", ")} was handed over, and the configuration listens on ${names.join(", ")}`;
    throw new ListenError("NOTINLISTEN", `${what}; make \`ListenDatagram=\` of karp.socket and \`listen:\` agree`);
  }

  #open(address: UdpAddress): Promise<Socket> {
    const socket = createSocket(isIPv6(address.address) ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
    const descriptor = this.#handedOver.get(nameOf(address));
    return new Promise((resolve, reject) => {
      socket.once("error", (error: NodeJS.ErrnoException) => {
        socket.close();
        reject(listenError(address, error, this.#handedOver.size > 0));
      });
      const place = descriptor === undefined ? { port: address.port, address: address.address } : { fd: descriptor };
      socket.bind({ ...place, exclusive: true }, () => {
        socket.removeAllListeners("error");
        socket.on("error", (error) => this.#sendFailed(address, error));
        socket.on("message", (message, from) => this.#deliver(address, from, message));
        resolve(socket);
      });
    });
  }

  #deliver(local: UdpAddress, from: { readonly address: string; readonly port: number }, message: Uint8Array): void {
    const data = ikeMessageOf(message, local.port, from.port);
    if (data !== undefined) this.#receive({ local, remote: { address: from.address, port: from.port }, data });
  }
}

function nameOf({ address, port }: UdpAddress): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

const LISTEN_ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "another program has this port (strongSwan, libreswan or a second karp?); stop it, or choose other ports with `listen:`",
  EACCES:
    "ports below 1024 need privileges; let systemd hand the port over (karp.socket), start karp as root, or choose other ports with `listen:`",
  EADDRNOTAVAIL:
    "this address is not on any interface; correct `local:` or `listen:`, or wait until the interface is up",
};

function listenError(address: UdpAddress, error: NodeJS.ErrnoException, othersAreHandedOver: boolean): ListenError {
  const code = error.code ?? "EIO";
  const place = nameOf(address);
  const advice =
    code === "EACCES" && othersAreHandedOver
      ? `it was not handed over; add \`ListenDatagram=${place}\` to karp.socket, then: systemctl restart karp.socket karp`
      : LISTEN_ADVICE[code];
  return new ListenError(code, `cannot receive IKE on UDP ${place}: ${advice ?? error.message}`);
}
