import type { TestContext } from "node:test";
import { type IkeEffect, IkeEndpoint, type IkeEvent, type IkeInput, type IkePeer } from "@karp/ikev2";
import { NodeCryptoProvider, Pump, UdpTransport } from "@karp/ikev2/node";
import { until } from "./site.ts";

/** Octets of a plaintext that are replaced before it is encrypted: what a peer could send that the engine never would. */
export interface Forgery {
  readonly find: Uint8Array;
  readonly put: Uint8Array;
}

class ForgingCrypto extends NodeCryptoProvider {
  forgery: Forgery | undefined;
  forged = 0;

  override aeadSeal(...[cipher, key, nonce, associatedData, plaintext]: Parameters<NodeCryptoProvider["aeadSeal"]>) {
    const at = this.forgery === undefined ? -1 : Buffer.from(plaintext).indexOf(this.forgery.find);
    if (this.forgery === undefined || at < 0) return super.aeadSeal(cipher, key, nonce, associatedData, plaintext);
    this.forged++;
    const changed = Uint8Array.from(plaintext);
    changed.set(this.forgery.put, at);
    return super.aeadSeal(cipher, key, nonce, associatedData, changed);
  }
}

/** An authenticated peer with an IKE engine and bad intentions. */
export class Intruder {
  readonly crypto = new ForgingCrypto();
  readonly events: IkeEvent[] = [];
  readonly peer: IkePeer;
  readonly #pump: Pump<IkeInput, IkeEffect>;

  private constructor(peer: IkePeer, transport: (receive: Receive) => UdpTransport) {
    this.peer = peer;
    const sockets = transport((datagram) => this.#pump.input({ kind: "datagram", ...datagram }));
    const policy = {
      consider: () => ({ kind: "refuse", notifyType: 43, detail: "no" }) as const,
      answerDelete: () => [],
    };
    this.#pump = new Pump(new IkeEndpoint({ crypto: this.crypto, policy }), (effect) => {
      if (effect.kind === "send") sockets.send(effect.local, effect.remote, effect.data);
      if (effect.kind === "event") this.events.push(effect.event);
    });
    this.#pump.input({ kind: "configure", peers: [peer] });
  }

  static async start(t: TestContext, peer: IkePeer): Promise<Intruder> {
    let receive: Receive = () => undefined;
    const transport = new UdpTransport(
      (datagram) => receive(datagram),
      () => undefined,
    );
    await transport.listen([peer.local]);
    const intruder = new Intruder(peer, (handler) => {
      receive = handler;
      return transport;
    });
    t.after(() => {
      intruder.#pump.stop();
      transport.close();
    });
    return intruder;
  }

  input(input: IkeInput): void {
    this.#pump.input(input);
  }

  /** Whatever the request came to. */
  async answer(requestId: number): Promise<IkeEvent> {
    return await until(
      () => this.events.find((event) => "requestId" in event && event.requestId === requestId),
      () => `no answer to ${requestId}: ${JSON.stringify(this.events)}`,
    );
  }

  async event<K extends IkeEvent["kind"]>(kind: K, requestId: number): Promise<Extract<IkeEvent, { kind: K }>> {
    return await until(
      () =>
        this.events.find(
          (event): event is Extract<IkeEvent, { kind: K }> =>
            event.kind === kind && "requestId" in event && event.requestId === requestId,
        ),
      () => `no ${kind} ${requestId}: ${JSON.stringify(this.events)}`,
    );
  }
}

type Receive = ConstructorParameters<typeof UdpTransport>[0];
