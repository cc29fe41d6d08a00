import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { parseAddress, peering } from "@karp/tcp-ao";
import type { SessionConfiguration } from "../../core/configuration.ts";
import type { ApplyOutcome, DriverKey, Observation } from "../../ports/routingDriver.ts";
import type { DriverContext, DriverTimer } from "../context.ts";
import { messageOf } from "../text.ts";
import { bothObservations, bothOutcomes } from "./bothPaths.ts";
import { KernelSession } from "./kernelSession.ts";
import type { KernelAddressing, KernelSockets } from "./kernelSockets.ts";
import { KeyRing } from "./keyRing.ts";
import type { EndpointSettings } from "./settings.ts";
import { SegmentStream } from "./stream.ts";

/** One session's endpoint, its stream and the UDP socket that carries the segments; and the kernel's TCP, where it can. */
export class Runner {
  readonly #context: DriverContext;
  readonly #settings: EndpointSettings;
  readonly #ring: KeyRing;
  readonly #stream: SegmentStream;
  readonly #socket: Socket;
  readonly #kernel: KernelSession | undefined;
  #preferred: DriverKey | undefined;
  #timer: DriverTimer | undefined;
  #isClosed = false;

  private constructor(
    context: DriverContext,
    session: SessionConfiguration,
    settings: EndpointSettings,
    socket: Socket,
    sockets: KernelSockets | undefined,
  ) {
    this.#context = context;
    this.#settings = settings;
    this.#socket = socket;
    const localAddress = parseAddress(session.localAddress);
    const remoteAddress = parseAddress(session.remoteAddress);
    this.#ring = new KeyRing(peering(localAddress, remoteAddress, session.port));
    const isActive = Buffer.compare(localAddress, remoteAddress) < 0;
    const { intervalMilliseconds } = settings;
    const { endpoint } = this.#ring;
    this.#stream = new SegmentStream({
      endpoint,
      localAddress,
      remoteAddress,
      port: session.port,
      isActive,
      intervalMilliseconds,
      instance: random() & 0xffff,
      random,
    });
    const addressing = kernelAddressing(settings, isActive);
    const { log } = context;
    this.#kernel =
      sockets && new KernelSession({ sockets, addressing, isActive, intervalMilliseconds, identifier: random(), log });
  }

  /** @throws the error of bind(2) */
  static async start(
    context: DriverContext,
    session: SessionConfiguration,
    settings: EndpointSettings,
    sockets: KernelSockets,
  ): Promise<Runner> {
    const isKernelAble = await kernelTakesPart(context, session, settings);
    const socket = await bound(settings);
    const runner = new Runner(context, session, settings, socket, isKernelAble ? sockets : undefined);
    socket.on("message", (packet) => runner.#received(packet));
    socket.on("error", (error) => context.log("warning", `endpoint: ${session.name}: ${messageOf(error)}`));
    runner.#schedule();
    return runner;
  }

  /** `installed` only when both paths have the keys. */
  async apply(keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    if (this.#stream.established === undefined) this.#stream.abandonOpening();
    const outcome = this.#ring.apply(keys);
    this.#tickStream(); // the peer sees a new rnext_key at once
    if (this.#kernel === undefined || outcome.kind === "refused") return outcome;
    this.#preferred = keys.find(({ use }) => use === "preferred");
    return bothOutcomes(outcome, await this.#kernel.apply(keys));
  }

  /** Undefined: done. Otherwise why not. */
  revoke(keep: readonly DriverKey[]): string | undefined {
    this.#stream.abandonOpening();
    if (keep.length === 0) this.#stream.close();
    this.#preferred = keep.find(({ use }) => use === "preferred");
    const reasons = [this.#ring.revoke(keep), this.#kernel?.revoke(keep)];
    return reasons.filter((reason) => reason !== undefined).join("; ") || undefined;
  }

  observation(): Observation {
    const observation = this.#streamObservation();
    if (this.#kernel === undefined) return observation;
    return bothObservations(observation, this.#kernel, this.#preferred);
  }

  statistics(): Readonly<Record<string, number>> {
    const { counts } = this.#stream;
    if (this.#kernel === undefined) return { ...counts };
    const kernel = this.#kernel.counts;
    const gaps = counts.gaps + kernel.kernelGaps;
    const segmentsRejected = counts.segmentsRejected + kernel.kernelRejected;
    return { ...counts, ...kernel, gaps, segmentsRejected };
  }

  #streamObservation(): Observation {
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

  close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#stream.close();
    this.#kernel?.close();
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
    this.#tickStream();
    if (!this.#isClosed) this.#kernel?.tick();
  }

  #tickStream(): void {
    if (!this.#isClosed) this.#send(this.#stream.tick(this.#context.clock.now()));
  }

  #received(packet: Buffer): void {
    if (this.#isClosed) return;
    const { handshakes } = this.#stream.counts;
    this.#send(this.#stream.receive(Uint8Array.from(packet), this.#context.clock.now()));
    if (this.#stream.counts.handshakes > handshakes) this.#kernel?.peerAppeared();
  }

  #send(packets: readonly Uint8Array[]): void {
    const { address, port } = this.#settings.remote;
    for (const packet of packets) this.#socket.send(packet, port, address);
  }
}

/** All algorithms of the session or none: the peer is never offered what one of the paths cannot do. */
async function kernelTakesPart(
  context: DriverContext,
  session: SessionConfiguration,
  settings: EndpointSettings,
): Promise<boolean> {
  if (settings.kernel === "off") return false;
  const known = await context.kernelAlgorithms?.();
  return known !== undefined && known.size > 0 && session.algorithms.every((algorithm) => known.has(algorithm));
}

function kernelAddressing({ bind, remote, kernelPort }: EndpointSettings, isActive: boolean): KernelAddressing {
  const port = kernelPort ?? (isActive ? remote.port : bind.port);
  return { local: bind.address, remote: remote.address, port };
}

function random(): number {
  return randomBytes(4).readUInt32BE();
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
