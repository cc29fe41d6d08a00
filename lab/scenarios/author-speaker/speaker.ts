// A BGP speaker (RFC 4271) in under 150 lines, every connection of which is protected by TCP-AO (RFC 5925): what the author
// of a routing daemon has to write with @karp/tcp-ao/linux. Orders come as lines of JSON on stdin, since keys have no
// place in arguments; events leave as lines of JSON on stdout.
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { listenTcpAo, type PeerKey, PeerKeys } from "@karp/tcp-ao/linux";

export type Order =
  | { readonly order: "start"; readonly peer: string; readonly localAs: number; readonly prefix: string }
  | { readonly order: "add"; readonly key: Omit<PeerKey, "masterKey"> & { readonly keyHex: string } }
  | { readonly order: "listen"; readonly host: string }
  | { readonly order: "connect"; readonly localAddress: string; readonly localPort: number }
  | { readonly order: "rotate"; readonly recvId: number }
  | { readonly order: "observe" };

const BGP_PORT = 179;
const [OPEN, UPDATE, NOTIFICATION, KEEPALIVE] = [1, 2, 3, 4];
const HEADER_BYTES = 19;
const HOLD_SECONDS = 9;

class Speaker {
  readonly #keys: PeerKeys;
  readonly #order: Extract<Order, { order: "start" }>;

  constructor(order: Extract<Order, { order: "start" }>) {
    this.#order = order;
    this.#keys = new PeerKeys({ peer: order.peer });
  }

  async obey(order: Exclude<Order, { order: "start" }>): Promise<object> {
    switch (order.order) {
      case "add":
        this.#keys.add({ ...order.key, masterKey: Buffer.from(order.key.keyHex, "hex") });
        return {};
      case "listen": {
        const server = createServer((socket) => this.#accept(socket));
        await listenTcpAo(server, { host: order.host, port: BGP_PORT, keys: [] });
        this.#keys.protect(server);
        return {};
      }
      case "connect": {
        const { localAddress, localPort } = order;
        this.#run(await this.#keys.connect({ host: this.#order.peer, port: BGP_PORT, localAddress, localPort }));
        return {};
      }
      case "rotate":
        await this.#keys.rotate(order.recvId);
        return { keys: this.#keys.recvIds };
      case "observe":
        return { sessions: this.#observe() };
    }
  }

  #accept(socket: Socket): void {
    try {
      this.#keys.accept(socket);
      this.#run(socket);
    } catch (error) {
      socket.destroy();
      tell({ event: "refused", reason: String(error) });
    }
  }

  #run(socket: Socket): void {
    const local = socket.localAddress ?? "";
    let buffer = Buffer.alloc(0);
    const keepalives = setInterval(() => send(socket, KEEPALIVE), 1000);
    socket.on("error", (error) => tell({ event: "error", local, reason: String(error) }));
    socket.on("close", () => clearInterval(keepalives) ?? tell({ event: "closed", local }));
    socket.setTimeout(HOLD_SECONDS * 1000, () => socket.destroy(new Error("hold timer expired")));
    socket.on("data", (data) => {
      buffer = Buffer.concat([buffer, data]);
      while (buffer.length >= HEADER_BYTES) {
        const length = buffer.readUInt16BE(16);
        if (length < HEADER_BYTES || length > 4096) return void socket.destroy(new Error("bad message length"));
        if (buffer.length < length) return;
        this.#receive(socket, local, buffer.readUInt8(18), buffer.subarray(HEADER_BYTES, length));
        buffer = buffer.subarray(length);
      }
    });
    send(socket, OPEN, [4, ...u16(this.#order.localAs), ...u16(HOLD_SECONDS), ...octets(local), 0]);
  }

  #receive(socket: Socket, local: string, type: number, body: Buffer): void {
    if (type === OPEN) {
      send(socket, KEEPALIVE);
      // ORIGIN IGP, AS_PATH of one AS, NEXT_HOP; then the one prefix
      const path = [0x40, 2, 4, 2, 1, ...u16(this.#order.localAs)];
      const attributes = [0x40, 1, 1, 0, ...path, 0x40, 3, 4, ...octets(local)];
      const [address = "", bits] = this.#order.prefix.split("/");
      send(socket, UPDATE, [...u16(0), ...u16(attributes.length), ...attributes, Number(bits), ...octets(address)]);
    }
    if (type === NOTIFICATION) tell({ event: "notification", local, code: body[0], subcode: body[1] });
    if (type === UPDATE) for (const prefix of prefixesOf(body)) tell({ event: "route", local, prefix });
  }

  #observe(): object[] {
    return [...this.#keys.observe()].map(([socket, { currentKey, rnextKey, counters, keys }]) => ({
      local: socket.localAddress,
      port: socket.localPort,
      currentKey,
      rnextKey,
      trouble: Number(counters.bad + counters.keyNotFound + counters.required),
      keys: keys.map(({ recvId, good, bad }) => ({ recvId, good: Number(good), bad: Number(bad) })),
    }));
  }
}

/** The NLRI of an UPDATE. A prefix has as many octets as its length needs. */
function prefixesOf(body: Buffer): string[] {
  const attributes = 2 + body.readUInt16BE(0);
  const prefixes: string[] = [];
  let at = attributes + 2 + body.readUInt16BE(attributes);
  while (at < body.length) {
    const bits = body.readUInt8(at);
    const size = Math.ceil(bits / 8);
    prefixes.push(`${[0, 1, 2, 3].map((i) => (i < size ? body.readUInt8(at + 1 + i) : 0)).join(".")}/${bits}`);
    at += 1 + size;
  }
  return prefixes;
}

function send(socket: Socket, type: number | undefined, body: readonly number[] = []): void {
  socket.write(Uint8Array.from([...Array(16).fill(255), ...u16(HEADER_BYTES + body.length), type ?? 0, ...body]));
}

function u16(value: number): number[] {
  return [value >> 8, value & 255];
}

function octets(address: string): number[] {
  return address.split(".").map(Number);
}

function tell(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

let speaker: Speaker | undefined;
createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line) as Order;
  if (order.order === "start") speaker = new Speaker(order);
  else
    speaker?.obey(order).then(
      (answer) => tell({ event: "done", order: order.order, ...answer }),
      (error: unknown) => tell({ event: "failed", order: order.order, reason: String(error) }),
    );
});
