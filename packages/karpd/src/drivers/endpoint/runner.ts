import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { parseAddress, peering } from "@karp/tcp-ao";
import type { SessionConfiguration } from "../../core/configuration.ts";
import type { ApplyOutcome, DriverKey, Observation } from "../../ports/routingDriver.ts";
import type { DriverContext, DriverTimer } from "../context.ts";
import { messageOf } from "../text.ts";
import { KeyRing } from "./keyRing.ts";
import type { EndpointSettings } from "./settings.ts";
import { SegmentStream } from "./stream.ts";

/** One session's endpoint, its stream and the UDP socket that carries the segments. */
export class Runner {
  readonly #context: DriverContext;
  readonly #settings: EndpointSettings;
  readonly #ring: KeyRing;
  readonly #stream: SegmentStream;
  readonly #socket: Socket;
  #timer: DriverTimer | undefined;
  #isClosed = false;

  private constructor(
    context: DriverContext,
    session: SessionConfiguration,
    settings: EndpointSettings,
    socket: Socket,
  ) {
    this.#context = context;
    this.#settings = settings;
    this.#socket = socket;
    const localAddress = parseAddress(session.localAddress);
    const remoteAddress = parseAddress(session.remoteAddress);
    this.#ring = new KeyRing(peering(localAddress, remoteAddress, session.port));
    this.#stream = new SegmentStream({
      endpoint: this.#ring.endpoint,
      localAddress,
      remoteAddress,
      port: session.port,
      isActive: Buffer.compare(localAddress, remoteAddress) < 0,
      intervalMilliseconds: settings.intervalMilliseconds,
      random: () => randomBytes(4).readUInt32BE(),
    });
  }

  /** @throws the error of bind(2) */
  static async start(
    context: DriverContext,
    session: SessionConfiguration,
    settings: EndpointSettings,
  ): Promise<Runner> {
    const socket = await bound(settings);
    const runner = new Runner(context, session, settings, socket);
    socket.on("message", (packet) => runner.#received(packet));
    socket.on("error", (error) => context.log("warning", `endpoint: ${session.name}: ${messageOf(error)}`));
    runner.#schedule();
    return runner;
  }

  apply(keys: readonly DriverKey[]): ApplyOutcome {
    if (this.#stream.established === undefined) this.#stream.abandonOpening();
    const outcome = this.#ring.apply(keys);
    this.#tick(); // the peer sees a new rnext_key at once
    return outcome;
  }

  /** Undefined: done. Otherwise why not. */
  revoke(keep: readonly DriverKey[]): string | undefined {
    this.#stream.abandonOpening();
    if (keep.length === 0) this.#stream.close();
    return this.#ring.revoke(keep);
  }

  observation(): Observation {
    const recvIdsPresent = this.#ring.recvIds;
    const { established } = this.#stream;
    if (established === undefined) return { connections: 0, recvIdsPresent };
    const { currentKey, rnextKey, received, counters, keys } = established.connection.status();
    return {
      connections: 1,
      currentSendId: currentKey.sendId,
      rnextRecvId: rnextKey.recvId,
      goodByRecvId: new Map(keys.map(({ recvId, good }) => [recvId, good])),
      goodTotal: counters.good,
      badTotal: counters.bad + counters.keyNotFound,
      ...(received && { receivedKeyId: received.keyId }),
      recvIdsPresent,
      establishedSince: new Date(established.openedAt).toISOString(),
    };
  }

  statistics(): Readonly<Record<string, number>> {
    return { ...this.#stream.counts };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#stream.close();
    return new Promise((resolve) => {
      this.#socket.close(() => resolve());
    });
  }

  #schedule(): void {
    this.#timer = this.#context.clock.after(this.#settings.intervalMilliseconds, () => {
      this.#tick();
      if (!this.#isClosed) this.#schedule();
    });
  }

  #tick(): void {
    if (!this.#isClosed) this.#send(this.#stream.tick(this.#context.clock.now()));
  }

  #received(packet: Buffer): void {
    if (!this.#isClosed) this.#send(this.#stream.receive(Uint8Array.from(packet), this.#context.clock.now()));
  }

  #send(packets: readonly Uint8Array[]): void {
    const { address, port } = this.#settings.remote;
    for (const packet of packets) this.#socket.send(packet, port, address);
  }
}

function bound({ bind }: EndpointSettings): Promise<Socket> {
  const socket = createSocket(bind.address.includes(":") ? "udp6" : "udp4");
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(bind.port, bind.address, () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}
