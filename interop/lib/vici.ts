// VICI, the control protocol of charon: packets over a unix socket, each with a tree of texts, sections and lists.
import { connect, type Socket } from "node:net";

/** A value is octets (text is written as UTF-8), a list of them, or a section. */
export type ViciValue = string | Uint8Array | readonly (string | Uint8Array)[] | ViciSection;
export interface ViciSection {
  readonly [name: string]: ViciValue;
}

/** What charon says; all its values are text. */
export type ViciReply = string | string[] | ViciAnswer;
export interface ViciAnswer {
  [name: string]: ViciReply;
}

const PacketType = {
  COMMAND_REQUEST: 0,
  COMMAND_RESPONSE: 1,
  COMMAND_UNKNOWN: 2,
  EVENT_REGISTER: 3,
  EVENT_UNREGISTER: 4,
  EVENT_CONFIRM: 5,
  EVENT_UNKNOWN: 6,
  EVENT: 7,
} as const;

const ElementType = {
  SECTION_START: 1,
  SECTION_END: 2,
  KEY_VALUE: 3,
  LIST_START: 4,
  LIST_ITEM: 5,
  LIST_END: 6,
} as const;

/** charon said no: `success = no`, with its reason. */
export class ViciRefusal extends Error {}

interface Waiting {
  readonly resolve: (answer: ViciAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** One connection. Commands are answered one at a time, in order. */
export class Vici {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #received: Buffer = Buffer.alloc(0);
  #events: ViciAnswer[] = [];
  #broken: Error | undefined;

  static open(path: string): Promise<Vici> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Vici(socket));
      });
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (octets) => this.#take(octets));
    socket.on("error", (error) => this.#break(error));
    socket.on("close", () => this.#break(new Error("charon closed the control connection")));
  }

  /** @throws ViciRefusal when charon answers `success = no` */
  async command(name: string, message: ViciSection = {}): Promise<ViciAnswer> {
    const answer = await this.#exchange(PacketType.COMMAND_REQUEST, name, message);
    if (answer["success"] === "no") throw new ViciRefusal(`${name}: ${String(answer["errmsg"] ?? "no reason given")}`);
    return answer;
  }

  /** A command whose answer comes as a stream of events. */
  async stream(name: string, event: string, message: ViciSection = {}): Promise<readonly ViciAnswer[]> {
    await this.#exchange(PacketType.EVENT_REGISTER, event);
    this.#events = [];
    await this.command(name, message);
    await this.#exchange(PacketType.EVENT_UNREGISTER, event);
    return this.#events;
  }

  close(): void {
    this.#socket.destroy();
  }

  #exchange(type: number, name: string, message: ViciSection = {}): Promise<ViciAnswer> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const body = Buffer.concat([Buffer.of(type), shortText(name), ...encodeSection(message)]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    this.#socket.write(Buffer.concat([length, body]));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #take(octets: Buffer): void {
    this.#received = Buffer.concat([this.#received, octets]);
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readUInt32BE(0);
      if (this.#received.length < end) return;
      this.#packet(this.#received.subarray(4, end));
      this.#received = this.#received.subarray(end);
    }
  }

  #packet(packet: Buffer): void {
    const type = packet[0];
    if (type === PacketType.EVENT) {
      this.#events.push(decode(packet.subarray(2 + (packet[1] ?? 0))));
      return;
    }
    const waiting = this.#waiting.shift();
    if (type === PacketType.COMMAND_RESPONSE) waiting?.resolve(decode(packet.subarray(1)));
    else if (type === PacketType.EVENT_CONFIRM) waiting?.resolve({});
    else waiting?.reject(new Error(`charon does not know this command or event (answer of type ${type})`));
  }

  #break(error: Error): void {
    this.#broken ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#broken);
  }
}

function encodeSection(section: ViciSection): Buffer[] {
  return Object.entries(section).flatMap(([name, value]) => {
    if (typeof value === "string" || value instanceof Uint8Array) {
      return [Buffer.of(ElementType.KEY_VALUE), shortText(name), longText(value)];
    }
    if (isList(value)) {
      const items = value.flatMap((item) => [Buffer.of(ElementType.LIST_ITEM), longText(item)]);
      return [Buffer.of(ElementType.LIST_START), shortText(name), ...items, Buffer.of(ElementType.LIST_END)];
    }
    const inner = encodeSection(value);
    return [Buffer.of(ElementType.SECTION_START), shortText(name), ...inner, Buffer.of(ElementType.SECTION_END)];
  });
}

function isList(value: ViciValue): value is readonly (string | Uint8Array)[] {
  return Array.isArray(value);
}

function shortText(text: string): Buffer {
  const octets = Buffer.from(text);
  return Buffer.concat([Buffer.of(octets.length), octets]);
}

function longText(value: string | Uint8Array): Buffer {
  const octets = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(octets.length);
  return Buffer.concat([length, octets]);
}

function decode(octets: Buffer): ViciAnswer {
  let at = 0;
  const short = (): string => {
    const begin = at + 1;
    at = begin + octets.readUInt8(at);
    return octets.toString("utf8", begin, at);
  };
  const long = (): string => {
    const begin = at + 2;
    at = begin + octets.readUInt16BE(at);
    return octets.toString("utf8", begin, at);
  };
  const list = (): string[] => {
    const items: string[] = [];
    while (octets.readUInt8(at++) === ElementType.LIST_ITEM) items.push(long());
    return items;
  };
  const section = (): ViciAnswer => {
    const answer: ViciAnswer = {};
    while (at < octets.length) {
      const type = octets.readUInt8(at++);
      if (type === ElementType.SECTION_END) break;
      const name = short();
      if (type === ElementType.SECTION_START) answer[name] = section();
      else answer[name] = type === ElementType.LIST_START ? list() : long();
    }
    return answer;
  };
  return section();
}
