import { createSocket, type Socket } from "node:dgram";
import { readFileSync, writeFileSync } from "node:fs";
import type { DemoRouter } from "../../src/cli/demo/layOut.ts";
import { found } from "../daemon/site.ts";

const ADDRESSES = ["127.0.0.1", "127.0.0.2"] as const;

/** Stands between the two routers of a demo: their segments pass here, and only theirs. */
export class Relay {
  /** Nothing passes. */
  isCut = false;
  readonly #sockets: readonly [Socket, Socket];
  /** Where each router receives its segments. */
  readonly #routers: [number?, number?] = [];

  private constructor(sockets: readonly [Socket, Socket]) {
    this.#sockets = sockets;
    for (const own of [0, 1] as const) {
      sockets[own].on("message", (packet) => {
        const port = this.#routers[own];
        if (!this.isCut && port !== undefined) sockets[own === 0 ? 1 : 0].send(packet, port, ADDRESSES[own]);
      });
    }
  }

  static async open(): Promise<Relay> {
    const sockets = [createSocket("udp4"), createSocket("udp4")] as const;
    for (const [own, socket] of sockets.entries())
      await new Promise<void>((resolve) => socket.bind(0, ADDRESSES[own], resolve));
    return new Relay(sockets);
  }

  /** Before a daemon starts: what it believes to be the other end's address is a socket of the relay. */
  insert({ name, configuration }: DemoRouter): void {
    const own = name === "r1" ? 0 : 1;
    const text = readFileSync(configuration, "utf8");
    this.#routers[own] = Number(found(/bind: "[\d.]+:(\d+)"/.exec(text)?.[1], "bind"));
    const stand = this.#sockets[own === 0 ? 1 : 0].address();
    writeFileSync(configuration, text.replace(/remote: "[\d.]+:\d+"/, `remote: "${stand.address}:${stand.port}"`));
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}
