import type {
  ExchangeFailure,
  IkeEffect,
  IkeEvent,
  IkeInput,
  IkePeer,
  InformItem,
  Instant,
  KeyLifetime,
  Machine,
  MktPolicy,
  NegotiatedMkt,
  Now,
} from "@karp/ikev2";
import { hex, Secret, unhex } from "@karp/ikev2";

/** A stand-in for the IKE engine: the same contract, over datagrams of JSON, without cryptography. */
export interface FakeIkeOptions {
  readonly policy: MktPolicy;
  readonly random: (length: number) => Uint8Array;
  readonly speaksKarp?: boolean;
  readonly tries?: number;
}

type Body =
  | {
      readonly kind: "mkt";
      readonly sendId: number;
      readonly taken: string;
      readonly integrity: number;
      readonly tcpOptions: number;
      readonly rekeys?: number;
      readonly nonce: string;
      readonly key: string;
      readonly selectors: string;
      readonly lifetime?: KeyLifetime;
    }
  | { readonly kind: "inform"; readonly items: readonly InformItem[] };

type Answer =
  | {
      readonly kind: "mkt";
      readonly sendId: number;
      readonly nonce: string;
      readonly integrity: number;
      readonly lifetime?: KeyLifetime;
    }
  | { readonly kind: "refused"; readonly notifyType: number; readonly data?: string }
  | { readonly kind: "informed"; readonly sendIds: readonly number[] };

interface Wire {
  readonly sa: string;
  readonly isFirst: boolean;
  readonly id: number;
  readonly from: string;
  readonly request?: Body;
  readonly answer?: Answer;
  readonly speaksKarp: boolean;
  /** Whoever has another one is not heard. */
  readonly secret: string;
}

interface Job {
  readonly requestId: number;
  readonly peer: string;
  readonly body: Body;
  readonly connect: boolean;
  readonly sendId?: number;
  readonly localSelectors?: NegotiatedMkt["localSelectors"];
  readonly remoteSelectors?: NegotiatedMkt["remoteSelectors"];
}

interface Link {
  config: IkePeer;
  sa: string | undefined;
  nextId: number;
  queue: Job[];
  /** The request under way. */
  flight: { readonly job: Job; readonly wire: Wire; tries: number; dueAt: number } | undefined;
  answered: Map<string, Wire>;
}

export class FakeIke implements Machine<IkeInput, IkeEffect> {
  readonly #options: FakeIkeOptions;
  readonly #links = new Map<string, Link>();
  readonly #commits = new Map<number, { readonly link: Link; readonly wire: Wire; readonly answer: Answer }>();
  #lastCommit = 0;
  #effects: IkeEffect[] = [];

  constructor(options: FakeIkeOptions) {
    this.#options = options;
  }

  nextDeadline(): Instant | undefined {
    const due = [...this.#links.values()].flatMap(({ flight }) => (flight === undefined ? [] : [flight.dueAt]));
    return due.length === 0 ? undefined : (Math.min(...due) as Instant);
  }

  handle(input: IkeInput, now: Now): readonly IkeEffect[] {
    this.#effects = [];
    this.#take(input, now);
    for (const link of this.#links.values()) this.#next(link, now);
    return this.#effects;
  }

  #take(input: IkeInput, now: Now): void {
    switch (input.kind) {
      case "configure":
        this.#configure(input.peers);
        return;
      case "createMkt": {
        const { requestId, peer, sendId, terms, taken, rekeys, lifetime } = input;
        const body: Body = {
          kind: "mkt",
          sendId,
          taken: hex(taken),
          integrity: terms.integrity[0] ?? 0,
          tcpOptions: terms.tcpOptions[0] ?? 0,
          ...(rekeys === undefined ? {} : { rekeys }),
          nonce: hex(this.#options.random(8)),
          key: hex(this.#options.random(16)),
          ...(lifetime === undefined ? {} : { lifetime }),
          selectors: JSON.stringify([terms.localSelectors, terms.remoteSelectors].map((set) => set.map(pack))),
        };
        const { localSelectors, remoteSelectors } = terms;
        this.#enqueue({ requestId, peer, body, connect: true, sendId, localSelectors, remoteSelectors });
        return;
      }
      case "inform":
        this.#enqueue({
          requestId: input.requestId,
          peer: input.peer,
          body: { kind: "inform", items: input.items },
          connect: input.connect,
        });
        return;
      case "abandon":
        for (const link of this.#links.values())
          link.queue = link.queue.filter(({ requestId }) => requestId !== input.requestId);
        return;
      case "commit":
      case "abort":
        this.#release(input, now);
        return;
      case "datagram":
        this.#receive(JSON.parse(String.fromCharCode(...input.data)) as Wire, now);
        return;
      case "timeout":
        for (const link of this.#links.values()) this.#retransmit(link, now);
        return;
      case "closeIkeSa": {
        const link = this.#links.get(input.peer);
        if (link !== undefined) this.#close(link);
        return;
      }
      default:
    }
  }

  #configure(peers: readonly IkePeer[]): void {
    for (const name of this.#links.keys()) if (!peers.some((peer) => peer.name === name)) this.#links.delete(name);
    for (const config of peers) {
      const link = this.#links.get(config.name);
      if (link === undefined)
        this.#links.set(config.name, {
          config,
          sa: undefined,
          nextId: 1,
          queue: [],
          flight: undefined,
          answered: new Map(),
        });
      else this.#takeOver(link, config);
    }
  }

  /** With another secret it is another party: as the engine, which closes the IKE SA that the former one made. */
  #takeOver(link: Link, config: IkePeer): void {
    const former = fingerprint(link);
    link.config = config;
    if (fingerprint(link) === former) return;
    const { flight } = link;
    link.flight = undefined;
    if (link.sa !== undefined) this.#close(link);
    if (flight !== undefined) this.#fail(flight.job, { reason: "ikeSaClosed", detail: "the configuration changed" });
  }

  #enqueue(job: Job): void {
    const link = this.#links.get(job.peer);
    if (link === undefined) this.#fail(job, { reason: "peerUnknown", detail: "no such peer" });
    else link.queue.push(job);
  }

  #next(link: Link, now: Now): void {
    if (link.flight !== undefined) return;
    const job = link.queue.shift();
    if (job === undefined) return;
    if (link.sa === undefined && !job.connect) {
      this.#fail(job, { reason: "noIkeSa", detail: "there is no IKE SA" });
      this.#next(link, now);
      return;
    }
    const isFirst = link.sa === undefined;
    const sa = link.sa ?? hex(this.#options.random(4));
    const body = job.body.kind === "mkt" && isFirst ? plain(job.body) : job.body;
    const wire: Wire = {
      sa,
      isFirst,
      id: link.nextId,
      from: idOf(link.config.localIdentity),
      request: body,
      speaksKarp: this.#options.speaksKarp ?? true,
      secret: fingerprint(link),
    };
    link.nextId += 1;
    link.flight = { job, wire, tries: 1, dueAt: now.monotonic + 1000 };
    this.#send(link, wire);
  }

  #retransmit(link: Link, now: Now): void {
    const { flight } = link;
    if (flight === undefined || flight.dueAt > now.monotonic) return;
    if (flight.tries < (this.#options.tries ?? 6)) {
      flight.tries += 1;
      flight.dueAt = now.monotonic + 1000 * 1.8 ** (flight.tries - 1);
      this.#send(link, flight.wire);
      return;
    }
    link.flight = undefined;
    if (link.sa === flight.wire.sa) {
      link.sa = undefined;
      this.#event({ kind: "ikeSaClosed", peer: link.config.name, failure: { reason: "timeout", detail: "no answer" } });
    } else
      this.#event({ kind: "ikeSaFailed", peer: link.config.name, failure: { reason: "timeout", detail: "no answer" } });
    this.#fail(flight.job, { reason: "timeout", detail: `no answer from ${link.config.name}` });
  }

  #receive(wire: Wire, now: Now): void {
    const link = [...this.#links.values()].find(({ config }) => idOf(config.remoteIdentity) === wire.from);
    if (link === undefined) return;
    if (wire.answer !== undefined) this.#answered(link, wire, wire.answer);
    else if (wire.request !== undefined) this.#asked(link, wire, wire.request, now);
  }

  #asked(link: Link, wire: Wire, body: Body, now: Now): void {
    const key = `${wire.sa} ${wire.id}`;
    const before = link.answered.get(key);
    if (before !== undefined) {
      this.#send(link, before);
      return;
    }
    if ([...this.#commits.values()].some((commit) => commit.wire.sa === wire.sa && commit.wire.id === wire.id)) return;
    if (wire.isFirst && link.sa !== wire.sa && wire.secret !== fingerprint(link)) return;
    if (wire.isFirst && link.sa !== wire.sa) this.#establish(link, wire, false);
    else if (link.sa !== wire.sa) return;
    if (body.kind === "inform") this.#informed(link, wire, body.items);
    else this.#consider(link, wire, body, now);
  }

  #consider(link: Link, wire: Wire, body: Extract<Body, { readonly kind: "mkt" }>, now: Now): void {
    const [remoteSelectors, localSelectors] = (
      JSON.parse(body.selectors) as readonly (readonly ReturnType<typeof pack>[])[]
    ).map((set) => set.map(unpack));
    const decision = this.#options.policy.consider(
      {
        peer: link.config.name,
        recvId: body.sendId,
        ...(localSelectors === undefined || remoteSelectors === undefined ? {} : { localSelectors, remoteSelectors }),
        taken: unhex(body.taken),
        ...(body.rekeys === undefined ? {} : { rekeys: body.rekeys }),
        ...(body.lifetime === undefined ? {} : { peerLifetime: body.lifetime }),
        inIkeAuth: wire.isFirst,
      },
      now,
    );
    if (decision.kind === "refuse") {
      const data = decision.data === undefined ? {} : { data: hex(decision.data) };
      this.#reply(link, wire, { kind: "refused", notifyType: decision.notifyType, ...data });
      return;
    }
    const integrity = decision.terms.integrity.includes(body.integrity)
      ? body.integrity
      : (decision.terms.integrity[0] ?? 0);
    const nonce = hex(this.#options.random(8));
    this.#lastCommit += 1;
    const commitId = this.#lastCommit;
    const { lifetime } = decision;
    const told = lifetime === undefined ? {} : { lifetime };
    const answer: Answer = { kind: "mkt", sendId: decision.sendId, nonce, integrity, ...told };
    this.#commits.set(commitId, { link, wire, answer });
    this.#event({
      kind: "mktNegotiated",
      peer: link.config.name,
      isInitiator: false,
      commitId,
      sendId: decision.sendId,
      recvId: body.sendId,
      masterKey: new Secret(unhex(body.key)),
      integrity,
      tcpOptions: body.tcpOptions,
      localSelectors: decision.terms.localSelectors,
      remoteSelectors: decision.terms.remoteSelectors,
      ...(decision.replaces === undefined ? {} : { replaces: decision.replaces }),
      context: decision.context,
      credentialFingerprint: fingerprint(link),
      ...told,
      ...(body.lifetime === undefined ? {} : { peerLifetime: body.lifetime }),
      nonces: { initiator: unhex(body.nonce), responder: unhex(nonce) },
    });
  }

  #release(input: Extract<IkeInput, { readonly kind: "commit" | "abort" }>, _now: Now): void {
    const pending = this.#commits.get(input.commitId);
    if (pending === undefined) return;
    this.#commits.delete(input.commitId);
    this.#reply(
      pending.link,
      pending.wire,
      input.kind === "commit" ? pending.answer : { kind: "refused", notifyType: input.notifyType },
    );
  }

  #informed(link: Link, wire: Wire, items: readonly InformItem[]): void {
    const peer = link.config.name;
    const deleted = items.flatMap((item) => (item.kind === "deleteMkts" ? item.sendIds : []));
    const sendIds = this.#options.policy.answerDelete(peer, deleted);
    for (const item of items) {
      if (item.kind === "keyState")
        this.#event({ kind: "keyState", peer, recvId: item.sendId, state: item.state, reason: item.reason });
      else if (item.kind === "freeze") this.#event({ kind: "freeze", peer, seconds: item.seconds });
    }
    if (deleted.length > 0) this.#event({ kind: "mktsDeleted", peer, recvIds: deleted });
    this.#reply(link, wire, { kind: "informed", sendIds });
  }

  #answered(link: Link, wire: Wire, answer: Answer): void {
    const { flight } = link;
    if (flight === undefined || flight.wire.sa !== wire.sa || flight.wire.id !== wire.id) return;
    link.flight = undefined;
    if (flight.wire.isFirst) this.#establish(link, wire, true);
    const { job } = flight;
    if (answer.kind === "informed") this.#event({ kind: "informed", peer: job.peer, requestId: job.requestId });
    else if (answer.kind === "refused") {
      const failure: ExchangeFailure = {
        reason: "refusedByPeer",
        notifyType: answer.notifyType,
        detail: `refused with ${answer.notifyType}`,
      };
      this.#fail(job, failure, answer.data);
    } else this.#negotiated(link, job, flight.wire, answer);
  }

  #negotiated(link: Link, job: Job, wire: Wire, answer: Extract<Answer, { readonly kind: "mkt" }>): void {
    const body = wire.request;
    if (body?.kind !== "mkt" || job.sendId === undefined) return;
    this.#event({
      kind: "mktNegotiated",
      peer: job.peer,
      isInitiator: true,
      requestId: job.requestId,
      sendId: job.sendId,
      recvId: answer.sendId,
      masterKey: new Secret(unhex(body.key)),
      integrity: answer.integrity,
      tcpOptions: body.tcpOptions,
      localSelectors: job.localSelectors ?? [],
      remoteSelectors: job.remoteSelectors ?? [],
      ...(body.rekeys === undefined ? {} : { replaces: body.rekeys }),
      credentialFingerprint: fingerprint(link),
      ...(body.lifetime === undefined ? {} : { lifetime: body.lifetime }),
      ...(answer.lifetime === undefined ? {} : { peerLifetime: answer.lifetime }),
      nonces: { initiator: unhex(body.nonce), responder: unhex(answer.nonce) },
    });
  }

  #establish(link: Link, wire: Wire, isInitiator: boolean): void {
    link.sa = wire.sa;
    this.#event({
      kind: "ikeSaEstablished",
      peer: link.config.name,
      isInitiator,
      peerSpeaksKarp: wire.speaksKarp && (this.#options.speaksKarp ?? true),
      credentialFingerprint: fingerprint(link),
      initialContact: wire.id === 1,
      suite: "fake",
    });
  }

  #close(link: Link): void {
    if (link.sa === undefined) return;
    link.sa = undefined;
    this.#event({ kind: "ikeSaClosed", peer: link.config.name });
  }

  #fail(job: Job, failure: ExchangeFailure, taken?: string): void {
    const { peer, requestId } = job;
    if (job.body.kind === "inform") this.#event({ kind: "informFailed", peer, requestId, failure });
    else
      this.#event({
        kind: "mktFailed",
        peer,
        requestId,
        failure,
        ...(taken === undefined ? {} : { takenByPeer: unhex(taken) }),
      });
  }

  #reply(link: Link, { sa, isFirst, id }: Wire, answer: Answer): void {
    const wire: Wire = {
      sa,
      isFirst,
      id,
      from: idOf(link.config.localIdentity),
      answer,
      speaksKarp: this.#options.speaksKarp ?? true,
      secret: fingerprint(link),
    };
    link.answered.set(`${sa} ${id}`, wire);
    this.#send(link, wire);
  }

  #send(link: Link, wire: Wire): void {
    const data = Uint8Array.from(JSON.stringify(wire), (character) => character.charCodeAt(0));
    this.#effects.push({ kind: "send", local: link.config.local, remote: link.config.remote, data });
  }

  #event(event: IkeEvent): void {
    this.#effects.push({ kind: "event", event });
  }
}

/** REKEY_SA names an MKT of this IKE SA only: the first exchange makes a plain one. */
function plain(body: Extract<Body, { readonly kind: "mkt" }>): Body {
  const { rekeys: _rekeys, ...rest } = body;
  return rest;
}

function idOf({ data }: IkePeer["localIdentity"]): string {
  return String.fromCharCode(...data);
}

function fingerprint({ config }: Link): string {
  return config.remoteAuthentication.kind === "psk"
    ? `psk:${config.remoteAuthentication.secret.expose(hex)}`
    : "sha256:";
}

function pack(selector: NegotiatedMkt["localSelectors"][number]): { readonly [key: string]: unknown } {
  if (selector.kind !== "range") return { kind: "unknown" };
  return { ...selector, startAddress: hex(selector.startAddress), endAddress: hex(selector.endAddress) };
}

function unpack(packed: { readonly [key: string]: unknown }): NegotiatedMkt["localSelectors"][number] {
  const { startAddress, endAddress } = packed;
  const rest = packed as unknown as Extract<NegotiatedMkt["localSelectors"][number], { readonly kind: "range" }>;
  return { ...rest, startAddress: unhex(String(startAddress)), endAddress: unhex(String(endAddress)) };
}
