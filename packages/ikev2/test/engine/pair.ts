/** Two endpoints, virtual time, and the messages between them in a queue: deliver, lose, double and reorder at will. */
import assert from "node:assert/strict";
import {
  decodeMessage,
  decodePayloads,
  type EngineSettings,
  ExchangeType,
  hex,
  type IkeEffect,
  IkeEndpoint,
  type IkeEvent,
  type IkeInput,
  type IkeLogEvent,
  type IkePeer,
  type InformItem,
  type Instant,
  keyIdBitmapOf,
  type MktDecision,
  type MktPolicy,
  type MktRequest,
  NotifyType,
  type Now,
  nameOf,
  type Payload,
  SecurityProtocolId,
  type UdpAddress,
  type UnixMilliseconds,
} from "../../src/index.ts";
import { type End, otherEnd, peerOf, termsOf } from "./peers.ts";
import { RecordingCrypto } from "./recordingCrypto.ts";

export interface Packet {
  readonly from: End;
  readonly local: UdpAddress;
  readonly remote: UdpAddress;
  readonly data: Uint8Array;
  /** "IKE_AUTH request {IDi, IDr, AUTH, …}" */
  readonly text: string;
}

/** Says yes to everything unless told otherwise, and knows the MKTs that were made. */
export class TestPolicy implements MktPolicy {
  readonly asked: MktRequest[] = [];
  /** Our RecvID to our SendID. */
  readonly mkts = new Map<number, number>();
  readonly #end: End;
  nextSendId = 100;
  decide: ((request: MktRequest) => MktDecision | undefined) | undefined;

  constructor(end: End) {
    this.#end = end;
  }

  consider(request: MktRequest): MktDecision {
    this.asked.push(request);
    const decision = this.decide?.(request);
    if (decision !== undefined) return decision;
    const replaces = request.rekeys === undefined ? undefined : this.mkts.get(request.rekeys);
    return {
      kind: "accept",
      sendId: this.nextSendId++,
      terms: termsOf(this.#end),
      ...(replaces === undefined ? {} : { replaces }),
      context: "r2",
    };
  }

  answerDelete(_peer: string, recvIds: readonly number[]): readonly number[] {
    return recvIds.flatMap((recvId) => this.mkts.get(recvId) ?? []);
  }
}

export class Router {
  readonly end: End;
  readonly crypto: RecordingCrypto;
  readonly policy: TestPolicy;
  endpoint: IkeEndpoint;
  readonly events: IkeEvent[] = [];
  readonly logs: IkeLogEvent[] = [];
  /** Commit an MKT as soon as it is negotiated. */
  commits = true;
  /** Judge certificates at once, with this refusal if any; undefined: leave it to the test. */
  verdict: { readonly ok: true } | { readonly ok: false; readonly reason: string } | undefined = { ok: true };
  readonly asked: Extract<IkeEffect, { kind: "validateCertificate" }>[] = [];

  constructor(end: End, settings: Partial<EngineSettings>, seed: string) {
    this.end = end;
    this.crypto = new RecordingCrypto(`${seed} ${end}`);
    this.policy = new TestPolicy(end);
    this.endpoint = this.fresh(settings);
  }

  /** An endpoint that has forgotten everything, as after a restart. */
  fresh(settings: Partial<EngineSettings> = {}): IkeEndpoint {
    return new IkeEndpoint({ crypto: this.crypto, policy: this.policy, settings });
  }

  of<K extends IkeEvent["kind"]>(kind: K): readonly Extract<IkeEvent, { readonly kind: K }>[] {
    return this.events.filter((event): event is Extract<IkeEvent, { readonly kind: K }> => event.kind === kind);
  }

  last<K extends IkeEvent["kind"]>(kind: K): Extract<IkeEvent, { readonly kind: K }> {
    const event = this.of(kind).at(-1);
    assert.ok(event, `${this.end} has no ${kind}, only ${this.events.map((each) => each.kind).join(", ")}`);
    return event;
  }

  /** Names of the states of its IKE SAs. */
  get states(): readonly string[] {
    return this.endpoint.ikeSas().map((sa) => sa.state);
  }
}

export interface PairOptions {
  readonly settings?: Partial<EngineSettings>;
  readonly a?: Partial<IkePeer>;
  readonly b?: Partial<IkePeer>;
  readonly seed?: string;
}

const WALL = Date.UTC(2026, 0, 1);

export class Pair {
  readonly a: Router;
  readonly b: Router;
  readonly wire: Packet[] = [];
  /** Everything that was ever sent. */
  readonly sent: Packet[] = [];
  milliseconds = 0;
  #requests = 0;
  readonly #texts = new Map<string, string>();

  constructor(options: PairOptions = {}) {
    const { settings = {}, seed = "pair" } = options;
    this.a = new Router("a", settings, seed);
    this.b = new Router("b", settings, seed);
    this.input("a", { kind: "configure", peers: [peerOf("a", options.a)] });
    this.input("b", { kind: "configure", peers: [peerOf("b", options.b)] });
  }

  router(end: End): Router {
    return end === "a" ? this.a : this.b;
  }

  get now(): Now {
    return { monotonic: this.milliseconds as Instant, wall: (WALL + this.milliseconds) as UnixMilliseconds };
  }

  /** Effects in the order in which they came. */
  input(end: End, input: IkeInput): readonly IkeEffect[] {
    const router = this.router(end);
    const effects = router.endpoint.handle(input, this.now);
    const answers: IkeInput[] = [];
    for (const effect of effects) this.#perform(router, effect, answers);
    assert.equal(router.endpoint.counters.internalErrors, 0, JSON.stringify(router.logs.at(-1)));
    for (const answer of answers) this.input(end, answer);
    return effects;
  }

  /** Asks for an MKT; gives the requestId. */
  createMkt(
    end: End,
    sendId: number,
    more: Partial<Omit<Extract<IkeInput, { kind: "createMkt" }>, "kind" | "terms">> & {
      readonly terms?: Parameters<typeof termsOf>[1];
    } = {},
  ): number {
    const requestId = ++this.#requests;
    const { terms, ...rest } = more;
    const peer = otherEnd(end);
    const taken = keyIdBitmapOf([]);
    this.input(end, { kind: "createMkt", requestId, peer, sendId, taken, ...rest, terms: termsOf(end, terms) });
    return requestId;
  }

  inform(end: End, items: readonly InformItem[], connect = true): number {
    const requestId = ++this.#requests;
    this.input(end, { kind: "inform", requestId, peer: otherEnd(end), items, connect });
    return requestId;
  }

  /** Takes the oldest message from the wire; with `arrow`, it has to be this one. */
  take(arrow?: string): Packet {
    const packet = this.wire.shift();
    assert.ok(packet, `nothing is on the wire${arrow === undefined ? "" : `, expected ${arrow}`}`);
    if (arrow !== undefined) assert.equal(`${packet.from}: ${packet.text}`, arrow);
    return packet;
  }

  /** Delivers the oldest message, which has to be this one. */
  step(arrow?: string): Packet {
    const packet = this.take(arrow);
    this.deliver(packet);
    return packet;
  }

  deliver(packet: Packet): readonly IkeEffect[] {
    const { local, remote, data } = packet;
    return this.input(otherEnd(packet.from), { kind: "datagram", local: remote, remote: local, data });
  }

  /** Delivers until the wire is silent; time stands still. */
  flush(): void {
    for (let count = 0; this.wire.length > 0; count++) {
      assert.ok(count < 1000, "the two ends talk without end");
      this.step();
    }
  }

  /** Lets time pass, deadline by deadline. Messages arrive at once, unless `lose` says otherwise. */
  elapse(seconds: number, lose: (packet: Packet) => boolean = () => false): void {
    const end = this.milliseconds + seconds * 1000;
    for (let count = 0; ; count++) {
      assert.ok(count < 10_000, "time does not pass");
      while (this.wire.length > 0) {
        const packet = this.take();
        if (!lose(packet)) this.deliver(packet);
      }
      const due = Math.min(this.#deadline(this.a), this.#deadline(this.b));
      if (due > end) break;
      this.milliseconds = Math.max(this.milliseconds, due);
      for (const each of ["a", "b"] as const) {
        if (this.#deadline(this.router(each)) <= this.milliseconds) this.input(each, { kind: "timeout" });
      }
    }
    this.milliseconds = end;
  }

  /** An IKE SA with an MKT of a's making (SendID 1 at a, 100 at b). */
  static established(options: PairOptions = {}): Pair {
    const pair = new Pair(options);
    pair.createMkt("a", 1);
    pair.flush();
    assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
    return pair;
  }

  /** Both ends hold this MKT: same key, IDs the right way round. */
  assertSameMkt(sendIdAtA: number): void {
    const at = (router: Router, match: "sendId" | "recvId") =>
      router.of("mktNegotiated").findLast((mkt) => mkt[match] === sendIdAtA);
    const [atA, atB] = [at(this.a, "sendId"), at(this.b, "recvId")];
    assert.ok(atA && atB, "not at both ends");
    assert.equal(atA.recvId, atB.sendId);
    assert.equal(atA.masterKey.expose(hex), atB.masterKey.expose(hex));
    assert.deepEqual(
      [atA.integrity, atA.tcpOptions, atA.keyExchange],
      [atB.integrity, atB.tcpOptions, atB.keyExchange],
    );
    assert.deepEqual([atA.localSelectors, atA.remoteSelectors], [atB.remoteSelectors, atB.localSelectors]);
    assert.deepEqual(atA.nonces, atB.nonces);
  }

  #deadline(router: Router): number {
    return router.endpoint.nextDeadline() ?? Number.POSITIVE_INFINITY;
  }

  #perform(router: Router, effect: IkeEffect, answers: IkeInput[]): void {
    switch (effect.kind) {
      case "send": {
        const { local, remote, data } = effect;
        const packet = { from: router.end, local, remote, data, text: this.#describe(router, data) };
        this.wire.push(packet);
        this.sent.push(packet);
        return;
      }
      case "event":
        router.events.push(effect.event);
        if (effect.event.kind === "mktNegotiated") {
          const { commitId, sendId, recvId } = effect.event;
          router.policy.mkts.set(recvId, sendId);
          if (commitId !== undefined && router.commits) answers.push({ kind: "commit", commitId });
        }
        return;
      case "log":
        router.logs.push(effect.event);
        return;
      case "validateCertificate":
        router.asked.push(effect);
        if (router.verdict !== undefined) {
          answers.push({ kind: "certificateValidated", requestId: effect.requestId, verdict: router.verdict });
        }
    }
  }

  /** Each new protected datagram was sealed just before, in the same order. */
  #describe(router: Router, data: Uint8Array): string {
    const key = hex(data);
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const message = decodeMessage(data);
    const sealed = message.encrypted === undefined ? undefined : router.crypto.sealed.shift();
    const inner =
      sealed === undefined || message.encrypted === undefined
        ? message.payloads
        : decodePayloads(message.encrypted.firstPayload, sealed.subarray(0, -1 - (sealed.at(-1) ?? 0)));
    const direction = message.header.isResponse ? "response" : "request";
    const text = `${nameOf(ExchangeType, message.header.exchangeType)} ${direction} {${inner.map(shape).join(", ")}}`;
    this.#texts.set(key, text);
    return text;
  }
}

/** A payload in the RFC's notation, without what every IKE_SA_INIT message carries. */
function shape(payload: Payload): string {
  switch (payload.kind) {
    case "N":
      return `N(${nameOf(NotifyType, payload.notifyType)})`;
    case "D":
      return `D(${nameOf(SecurityProtocolId, payload.protocolId)}${payload.spis.map((spi) => ` ${spi.join(".")}`).join("")})`;
    case "Nonce":
      return "N";
    default:
      return payload.kind;
  }
}

export const announcements =
  "N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP), N(SIGNATURE_HASH_ALGORITHMS), V";
export const saInitRequest = `IKE_SA_INIT request {SA, KE, N, ${announcements}}`;
export const saInitResponse = `IKE_SA_INIT response {SA, KE, N, ${announcements}, N(CHILDLESS_IKEV2_SUPPORTED)}`;
export const pskAuthRequest =
  "IKE_AUTH request {IDi, N(INITIAL_CONTACT), IDr, AUTH, SA, TSi, TSr, N(KMP_KEYIDS_TAKEN)}";
export const pskAuthResponse = "IKE_AUTH response {IDr, AUTH, SA, TSi, TSr}";
