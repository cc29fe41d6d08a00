// Our end: the IKEv2 engine on real sockets and real time, without the daemon around it.
import type { TestContext } from "node:test";
import {
  type CertificateVerdict,
  EncryptionAlgorithm,
  type EngineSettings,
  type Identity,
  type IkeEffect,
  IkeEndpoint,
  type IkeEvent,
  type IkeInput,
  type IkePeer,
  type IkeSaView,
  type IkeSuite,
  IntegrityAlgorithm,
  KeyExchangeMethod,
  keyIdBitmapOf,
  mktSelectors,
  NotifyType,
  PseudorandomFunction,
  parseAddress,
  parseIdentity,
  Secret,
  utf8Encode,
} from "@karp/ikev2";
import { NodeCryptoProvider, Pump, UdpTransport } from "@karp/ikev2/node";
import type { Charon } from "./charon.ts";
import { until } from "./wait.ts";

export const PSK = "d2f1b6f5e21c4d0a9a57c3c1f3b0e8a4";

export const aesGcm: IkeSuite = {
  encryption: [{ id: EncryptionAlgorithm.ENCR_AES_GCM_16, keyLengthBits: 128 }],
  integrity: [],
  prf: [PseudorandomFunction.PRF_HMAC_SHA2_256],
  keyExchange: [KeyExchangeMethod.CURVE25519],
};

/** Waits in milliseconds, so that a lost message costs no time. */
const HASTY = { firstSeconds: 0.3, factor: 1.8, tries: 4 };

export interface KarpOptions {
  readonly peer?: Partial<IkePeer>;
  readonly settings?: Partial<EngineSettings>;
  /** Who judges the peer's certificates; without it nobody is believed. */
  readonly judge?: (chain: readonly Uint8Array[], identity: Identity) => Promise<CertificateVerdict>;
}

type EventOf<K extends IkeEvent["kind"]> = Extract<IkeEvent, { readonly kind: K }>;

export class KarpEnd {
  readonly address: string;
  readonly identity: string;
  endpoint: IkeEndpoint;
  readonly events: IkeEvent[] = [];
  readonly logs: string[] = [];
  /** Datagrams that arrive are lost while this says so. */
  loses: (data: Uint8Array) => boolean = () => false;
  #pump: Pump<IkeInput, IkeEffect>;
  readonly #transport: UdpTransport;
  readonly #judge: KarpOptions["judge"];
  readonly #charon: Charon;
  readonly #settings: Partial<EngineSettings>;
  #held: (() => void)[] | undefined;
  #peer: IkePeer;
  #requests = 0;

  /** An end with an address and an identity that no other test has, configured for this charon. */
  static async open(t: TestContext, charon: Charon, options: KarpOptions = {}): Promise<KarpEnd> {
    const end = new KarpEnd(charon, options);
    t.after(() => end.close());
    await end.#transport.listen([500, 4500].map((port) => ({ address: end.address, port })));
    end.configure({});
    return end;
  }

  private constructor(charon: Charon, options: KarpOptions) {
    this.address = charon.site.here();
    this.identity = `${this.address.replaceAll(".", "-")}.karp.example`;
    this.#charon = charon;
    this.#judge = options.judge;
    this.#settings = { retransmission: HASTY, ...options.settings };
    this.endpoint = this.#makeEndpoint();
    this.#pump = this.#makePump();
    this.#transport = new UdpTransport(
      (datagram) => this.#receive({ kind: "datagram", ...datagram }),
      (_remote, error) => this.logs.push(`send failed: ${error.message}`),
    );
    this.#peer = {
      name: "charon",
      localIdentity: identityOf(this.identity),
      remoteIdentity: identityOf("charon.example"),
      local: { address: this.address, port: 500 },
      remote: { address: charon.address, port: 500 },
      localAuthentication: psk(),
      remoteAuthentication: psk(),
      suites: [aesGcm],
      rekeyAfterSeconds: 3600,
      reauthenticateAfterSeconds: 86_400,
      livenessAfterSeconds: 3600,
      ...options.peer,
    };
  }

  #makeEndpoint(): IkeEndpoint {
    return new IkeEndpoint({
      crypto: new NodeCryptoProvider(),
      policy: {
        consider: () => ({
          kind: "refuse",
          notifyType: NotifyType.NO_PROPOSAL_CHOSEN,
          detail: "charon asks for no MKT",
        }),
        answerDelete: () => [],
      },
      settings: this.#settings,
    });
  }

  #makePump(): Pump<IkeInput, IkeEffect> {
    return new Pump(this.endpoint, (effect) => this.#perform(effect));
  }

  /** As after a crash: no IKE SA is known any more, and nobody was told. */
  forget(): void {
    this.#pump.stop();
    this.endpoint = this.#makeEndpoint();
    this.#pump = this.#makePump();
    this.configure({});
  }

  close(): void {
    this.#pump.stop();
    this.#transport.close();
  }

  input(input: IkeInput): void {
    this.#pump.input(input);
  }

  configure(changes: Partial<IkePeer>): void {
    this.#peer = { ...this.#peer, ...changes };
    this.input({ kind: "configure", peers: [this.#peer] });
  }

  /** Asks for an MKT for BGP with charon, which knows no such thing. @returns requestId */
  createMkt(sendId = 1): number {
    const requestId = ++this.#requests;
    this.input({
      kind: "createMkt",
      requestId,
      peer: "charon",
      sendId,
      taken: keyIdBitmapOf([]),
      terms: {
        integrity: [IntegrityAlgorithm.AUTH_AES_CMAC_96, IntegrityAlgorithm.AUTH_HMAC_SHA1_96],
        tcpOptions: [1],
        keyExchange: [],
        ...mktSelectors(octetsOf(this.address), octetsOf(this.#charon.address), 179),
      },
    });
    return requestId;
  }

  /** Says something to the peer, which begins an IKE SA without an MKT if there is none. @returns requestId */
  inform(): number {
    const requestId = ++this.#requests;
    this.input({ kind: "inform", requestId, peer: "charon", items: [], connect: true });
    return requestId;
  }

  /** The first event of this kind, from the `from`th event on, or the next one. */
  async event<K extends IkeEvent["kind"]>(kind: K, from = 0): Promise<EventOf<K>> {
    const isIt = (event: IkeEvent): event is EventOf<K> => event.kind === kind;
    return await until(
      () => this.events.slice(from).find(isIt),
      () => `our end has no event ${kind}; there were:\n${this.story()}`,
    );
  }

  /** Our only IKE SA that is established; one that was replaced may be waiting for charon's Delete. */
  async established(): Promise<IkeSaView> {
    return await until(
      () => {
        const sas = this.endpoint.ikeSas();
        const [sa, ...more] = sas.filter(({ state }) => state !== "replaced" && state !== "closing");
        return sa?.state === "established" && more.length === 0 ? sa : undefined;
      },
      () => `our end has no established IKE SA, but ${JSON.stringify(this.endpoint.ikeSas())}:\n${this.story()}`,
    );
  }

  async gone(): Promise<void> {
    await until(
      () => this.endpoint.ikeSas().length === 0,
      () => `our end still has ${JSON.stringify(this.endpoint.ikeSas())}:\n${this.story()}`,
    );
  }

  /** From now on nothing arrives, until `release`. */
  hold(): void {
    this.#held = [];
  }

  /** What was held arrives, and everything else as usual. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const deliver of held) deliver();
  }

  get heldMessages(): number {
    return this.#held?.length ?? 0;
  }

  story(): string {
    return [
      ...this.events.map((event) => `  ${JSON.stringify(event, bigints)}`),
      ...this.logs.map((log) => `  ${log}`),
    ].join("\n");
  }

  #receive(input: IkeInput & { readonly kind: "datagram" }): void {
    if (this.loses(input.data)) return;
    if (this.#held === undefined) this.input(input);
    else this.#held.push(() => this.input(input));
  }

  #perform(effect: IkeEffect): void {
    switch (effect.kind) {
      case "send":
        this.#transport.send(effect.local, effect.remote, effect.data);
        return;
      case "event":
        this.events.push(effect.event);
        return;
      case "log":
        this.logs.push(`${effect.event.name}: ${effect.event.detail}`);
        return;
      case "validateCertificate":
        void this.#validate(effect.requestId, effect.chain, effect.remoteIdentity);
    }
  }

  async #validate(requestId: number, chain: readonly Uint8Array[], identity: Identity): Promise<void> {
    const verdict = (await this.#judge?.(chain, identity)) ?? { ok: false, reason: "nobody judges certificates here" };
    this.input({ kind: "certificateValidated", requestId, verdict });
  }
}

export function identityOf(text: string): Identity {
  const identity = parseIdentity(text);
  if (identity === undefined) throw new Error(`no identity: ${text}`);
  return identity;
}

export function psk(text = PSK): { readonly kind: "psk"; readonly secret: Secret } {
  return { kind: "psk", secret: new Secret(utf8Encode(text)) };
}

function octetsOf(address: string): Uint8Array {
  return parseAddress(address) ?? new Uint8Array(4);
}

function bigints(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
