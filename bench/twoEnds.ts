import {
  EncryptionAlgorithm,
  type IkeEffect,
  IkeEndpoint,
  type IkeEvent,
  type IkeInput,
  type IkePeer,
  type IkeSuite,
  type Instant,
  IntegrityAlgorithm,
  KeyExchangeMethod,
  keyIdBitmapOf,
  type MktPolicy,
  type MktTerms,
  mktSelectors,
  type Now,
  PseudorandomFunction,
  parseAddress,
  parseIdentity,
  type UnixMilliseconds,
} from "@karp/ikev2";
import { NodeCryptoProvider } from "@karp/ikev2/node";

export type Side = "a" | "b";

/** How the two ends of association `index` prove themselves. */
export type Authentications = (
  side: Side,
  index: number,
) => Pick<IkePeer, "localAuthentication" | "remoteAuthentication">;

export interface TwoEndsOptions {
  readonly associations: number;
  readonly authentications: Authentications;
  /** Key exchange methods for PFS in CREATE_CHILD_SA; none: no PFS. */
  readonly pfs?: readonly number[];
  /** Answers validateCertificate; without it nobody asks. */
  readonly judge?: (question: Extract<IkeEffect, { kind: "validateCertificate" }>) => Promise<IkeInput>;
  /** Sees every datagram. */
  readonly tap?: (from: Side, data: Uint8Array) => void;
}

type MktNegotiated = Extract<IkeEvent, { kind: "mktNegotiated" }>;

/**
 * Two endpoints in one process that hand each other datagrams, each copied as a socket would. Every MKT is accepted and
 * committed at once: there is no store, no driver and no socket in what is measured here. A failure throws.
 */
export class TwoEnds {
  readonly cryptos: Readonly<Record<Side, NodeCryptoProvider>>;
  readonly #endpoints: Readonly<Record<Side, IkeEndpoint>>;
  readonly #options: TwoEndsOptions;
  readonly #terms: readonly Readonly<Record<Side, MktTerms>>[];
  readonly #nothingTaken = keyIdBitmapOf([]);
  readonly #queue: { readonly to: Side; readonly input: IkeInput }[] = [];
  readonly #questions: Promise<void>[] = [];
  readonly #negotiated: Record<Side, number> = { a: 0, b: 0 };
  #requests = 0;
  #last: MktNegotiated | undefined;

  constructor(options: TwoEndsOptions, cryptos = { a: new NodeCryptoProvider(), b: new NodeCryptoProvider() }) {
    this.#options = options;
    this.cryptos = cryptos;
    this.#endpoints = { a: this.#endpoint("a"), b: this.#endpoint("b") };
    const indices = Array.from({ length: options.associations }, (_, index) => index);
    this.#terms = indices.map((index) => ({
      a: termsOf("a", index, options.pfs ?? []),
      b: termsOf("b", index, options.pfs ?? []),
    }));
    for (const side of ["a", "b"] as const) {
      const peers = indices.map((index) => peerOf(side, index, options.authentications(side, index)));
      this.#perform(side, { kind: "configure", peers });
    }
  }

  /** Side a asks for an MKT with this SendID; both have it when this is done. Without an IKE SA one is made. */
  createMkt(association: number, sendId: number, rekeys?: number): void | Promise<void> {
    const { a, b } = this.#negotiated;
    const expected = { a: a + 1, b: b + 1 };
    this.#queue.push({
      to: "a",
      input: {
        kind: "createMkt",
        requestId: ++this.#requests,
        peer: nameOf(association),
        sendId,
        taken: this.#nothingTaken,
        terms: this.#termsOf("a", association),
        ...(rekeys === undefined ? {} : { rekeys }),
      },
    });
    const done = this.#run();
    return done === undefined ? this.#require(expected) : done.then(() => this.#require(expected));
  }

  /** Side a will not prefer this MKT again. */
  deleteMkt(association: number, sendId: number): void {
    const items = [{ kind: "deleteMkts", sendIds: [sendId] } as const];
    const requestId = ++this.#requests;
    this.#queue.push({
      to: "a",
      input: { kind: "inform", requestId, peer: nameOf(association), items, connect: false },
    });
    void this.#run();
  }

  /** What side a was given last. */
  get lastMkt(): MktNegotiated {
    if (this.#last === undefined) throw new Error("nothing was negotiated yet");
    return this.#last;
  }

  get establishedIkeSas(): number {
    const established = (endpoint: IkeEndpoint): number =>
      endpoint.ikeSas().filter(({ state }) => state === "established").length;
    return Math.min(established(this.#endpoints.a), established(this.#endpoints.b));
  }

  /** Until both ends are silent; a promise only where somebody has to judge certificates. */
  #run(): undefined | Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.#perform(next.to, next.input);
    }
    return this.#questions.length === 0 ? undefined : this.#runOn();
  }

  async #runOn(): Promise<void> {
    await Promise.all(this.#questions.splice(0));
    await this.#run();
  }

  #perform(side: Side, input: IkeInput): void {
    for (const effect of this.#endpoints[side].handle(input, now())) {
      if (effect.kind === "send") this.#deliver(side, effect);
      else if (effect.kind === "event") this.#note(side, effect.event);
      else if (effect.kind === "validateCertificate") this.#judge(side, effect);
      else if (effect.event.level === "warn") throw new Error(`${side}: ${effect.event.name}: ${effect.event.detail}`);
    }
  }

  #deliver(from: Side, { local, remote, data }: Extract<IkeEffect, { kind: "send" }>): void {
    this.#options.tap?.(from, data);
    this.#queue.push({
      to: from === "a" ? "b" : "a",
      input: { kind: "datagram", local: remote, remote: local, data: new Uint8Array(data) },
    });
  }

  #note(side: Side, event: IkeEvent): void {
    if (event.kind === "mktNegotiated") {
      const { commitId } = event;
      this.#negotiated[side]++;
      if (side === "a") this.#last = event;
      if (commitId !== undefined) this.#queue.push({ to: side, input: { kind: "commit", commitId } });
    } else if ("failure" in event && event.failure !== undefined) {
      throw new Error(`${side}: ${event.kind}: ${event.failure.detail}`);
    } else if (event.kind === "peerRejected") {
      throw new Error(`${side}: ${event.detail}`);
    }
  }

  #judge(side: Side, question: Extract<IkeEffect, { kind: "validateCertificate" }>): void {
    const { judge } = this.#options;
    if (judge === undefined) throw new Error("a certificate to judge, and nobody who does");
    this.#questions.push(judge(question).then((input) => void this.#queue.push({ to: side, input })));
  }

  #require(expected: Readonly<Record<Side, number>>): void {
    const { a, b } = this.#negotiated;
    if (a !== expected.a || b !== expected.b) throw new Error(`MKTs: ${a} and ${b}, not ${expected.a}`);
  }

  #termsOf(side: Side, association: number): MktTerms {
    const terms = this.#terms[association];
    if (terms === undefined) throw new Error(`there is no association ${association}`);
    return terms[side];
  }

  #endpoint(side: Side): IkeEndpoint {
    const policy: MktPolicy = {
      consider: (request) => ({
        kind: "accept",
        // a and b count alike: what a calls n, b calls n as well
        sendId: request.recvId,
        terms: this.#termsOf(side, indexOf(request.peer)),
        ...(request.rekeys === undefined ? {} : { replaces: request.rekeys }),
        context: request.peer,
      }),
      answerDelete: (_peer, recvIds) => recvIds,
    };
    return new IkeEndpoint({ crypto: this.cryptos[side], policy });
  }
}

/** AES-128-GCM, PRF-HMAC-SHA2-256, X25519. */
export const suite: IkeSuite = {
  encryption: [{ id: EncryptionAlgorithm.ENCR_AES_GCM_16, keyLengthBits: 128 }],
  integrity: [],
  prf: [PseudorandomFunction.PRF_HMAC_SHA2_256],
  keyExchange: [KeyExchangeMethod.CURVE25519],
};

/** The one router at side a has an association with each of many at side b. */
export function identityText(side: Side, index: number): string {
  return side === "a" ? "a.example.net" : `b${index}.example.net`;
}

export function identityOf(side: Side, index: number): IkePeer["localIdentity"] {
  const parsed = parseIdentity(identityText(side, index));
  if (parsed === undefined) throw new Error("no identity");
  return parsed;
}

const epochMilliseconds = Date.now() - performance.now();

function now(): Now {
  const monotonic = performance.now();
  return { monotonic: monotonic as Instant, wall: (epochMilliseconds + monotonic) as UnixMilliseconds };
}

function nameOf(index: number): string {
  return `peer-${index}`;
}

function indexOf(name: string): number {
  return Number(name.slice("peer-".length));
}

/** Each association between two addresses of its own: both ends find a peer by its address. */
function addressOf(side: Side, index: number): string {
  return `${side === "a" ? 10 : 11}.${index >> 16}.${(index >> 8) & 0xff}.${index & 0xff}`;
}

function peerOf(side: Side, index: number, authentications: ReturnType<Authentications>): IkePeer {
  const other = side === "a" ? "b" : "a";
  return {
    name: nameOf(index),
    localIdentity: identityOf(side, index),
    remoteIdentity: identityOf(other, index),
    local: { address: addressOf(side, index), port: 500 },
    remote: { address: addressOf(other, index), port: 500 },
    ...authentications,
    suites: [suite],
    rekeyAfterSeconds: 8 * 3600,
    reauthenticateAfterSeconds: 90 * 86_400,
    livenessAfterSeconds: 30 * 60,
  };
}

function termsOf(side: Side, index: number, keyExchange: readonly number[]): MktTerms {
  const octets = (at: Side): Uint8Array => parseAddress(addressOf(at, index)) ?? new Uint8Array(4);
  return {
    integrity: [IntegrityAlgorithm.AUTH_AES_CMAC_96, IntegrityAlgorithm.AUTH_HMAC_SHA1_96],
    tcpOptions: [1],
    keyExchange,
    ...mktSelectors(octets(side), octets(side === "a" ? "b" : "a"), 179),
  };
}
