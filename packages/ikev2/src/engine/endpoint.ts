import { assertNever } from "../bytes/assertNever.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { checkCreateMkt, checkInform } from "./checkInput.ts";
import { closeAll, configure } from "./configure.ts";
import { EngineContext } from "./context.ts";
import type { EngineCounters } from "./counters.ts";
import { startNext } from "./exchange.ts";
import type { CertificateVerdict, IkeEffect, IkeInput, Instant, Machine, MktPolicy, Now } from "./machine.ts";
import type { PeerOperation } from "./operation.ts";
import { abortMkt, commitMkt } from "./operations/acceptMkt.ts";
import { responderJudged } from "./operations/auth.ts";
import { initiatorJudged } from "./operations/authResponder.ts";
import { type CreateMktRequest, MktCreation } from "./operations/createMkt.ts";
import { Inform, type InformRequest } from "./operations/inform.ts";
import { initiate } from "./operations/saInit.ts";
import { receiveDatagram } from "./receive.ts";
import { rekey } from "./renewal.ts";
import { submit } from "./requests.ts";
import { defaultSettings, type EngineSettings } from "./settings.ts";
import { timedOut } from "./timeouts.ts";
import { type IkeSaView, viewOf } from "./view.ts";

/** IKEv2 (RFC 7296) for any number of peers, in both roles, as a machine without I/O. */
export class IkeEndpoint implements Machine<IkeInput, IkeEffect> {
  readonly #engine: EngineContext;

  constructor(parts: {
    readonly crypto: CryptoProvider;
    readonly policy: MktPolicy;
    /** What is absent has its default. */
    readonly settings?: Partial<EngineSettings>;
  }) {
    this.#engine = new EngineContext(parts.crypto, parts.policy, { ...defaultSettings, ...parts.settings });
  }

  /**
   * Effects in order: events, logs and questions first, then what is sent. No datagram can make it throw; a request of the
   * caller's that could never be sent does (UsageError `badInput`), and changes nothing.
   */
  handle(input: IkeInput, now: Now): readonly IkeEffect[] {
    const engine = this.#engine;
    engine.beginTurn(now);
    this.#take(input);
    this.#settle();
    return engine.endTurn();
  }

  nextDeadline(): Instant | undefined {
    return this.#engine.deadlines.next();
  }

  /** Every IKE SA there is, half-open ones included. */
  ikeSas(): readonly IkeSaView[] {
    const { ikeSas, now } = this.#engine;
    return [...ikeSas.all()].flatMap((sa) => viewOf(sa, now) ?? []);
  }

  get counters(): Readonly<EngineCounters> {
    return this.#engine.counters;
  }

  #take(input: IkeInput): void {
    const engine = this.#engine;
    switch (input.kind) {
      case "datagram":
        receiveDatagram(engine, input);
        return;
      case "timeout":
        this.#passTime();
        return;
      case "configure":
        configure(engine, input.peers);
        return;
      case "createMkt":
        this.#createMkt(input);
        return;
      case "inform":
        this.#inform(input);
        return;
      case "commit":
        this.#commit(input.commitId);
        return;
      case "abort":
        this.#abort(input.commitId, input.notifyType);
        return;
      case "certificateValidated":
        this.#judged(input.requestId, input.verdict);
        return;
      case "rekeyIkeSa":
        this.#rekeyIkeSa(input.peer);
        return;
      case "closeIkeSa":
        this.#closeIkeSa(input.peer);
        return;
      case "abandon":
        engine.pending.get(input.requestId)?.abandon(engine);
        return;
      default:
        assertNever(input);
    }
  }

  /** Whatever this turn made possible or necessary: IKE SAs to begin, exchanges to start. */
  #settle(): void {
    const engine = this.#engine;
    for (;;) {
      const peer = engine.nextToAttend();
      if (peer !== undefined) {
        const needsIkeSa = peer.waiting.length > 0 && peer.attempt === undefined && peer.usableIkeSa() === undefined;
        if (needsIkeSa) initiate(engine, peer);
        continue;
      }
      const sa = engine.nextToWake();
      if (sa === undefined) return;
      startNext(engine, sa);
    }
  }

  #passTime(): void {
    const { deadlines, now } = this.#engine;
    for (let timer = deadlines.take(now.monotonic); timer !== undefined; timer = deadlines.take(now.monotonic)) {
      timedOut(this.#engine, timer);
    }
  }

  #createMkt(input: CreateMktRequest): void {
    checkCreateMkt(input);
    const engine = this.#engine;
    const peer = engine.peers.find(input.peer);
    if (peer !== undefined) {
      this.#submit(new MktCreation(peer, input));
      return;
    }
    const { requestId } = input;
    const failure = { reason: "peerUnknown", detail: "no such peer is configured" } as const;
    engine.emit({ kind: "mktFailed", peer: input.peer, requestId, failure });
  }

  #inform(input: InformRequest): void {
    checkInform(input.items);
    const engine = this.#engine;
    const peer = engine.peers.find(input.peer);
    if (peer !== undefined) {
      this.#submit(new Inform(peer, input));
      return;
    }
    const { requestId } = input;
    const failure = { reason: "peerUnknown", detail: "no such peer is configured" } as const;
    engine.emit({ kind: "informFailed", peer: input.peer, requestId, failure });
  }

  #submit(operation: PeerOperation): void {
    const engine = this.#engine;
    if (operation.requestId !== undefined) engine.pending.set(operation.requestId, operation);
    submit(engine, operation.peer, operation);
  }

  #commit(commitId: number): void {
    const sa = this.#engine.awaitingAnswer.get(commitId);
    const secured = sa?.secured;
    if (sa === undefined || secured?.held?.commitId !== commitId) return;
    commitMkt(this.#engine, sa, secured, secured.held);
  }

  #abort(commitId: number, notifyType: number): void {
    const sa = this.#engine.awaitingAnswer.get(commitId);
    const secured = sa?.secured;
    if (sa === undefined || secured?.held?.commitId !== commitId) return;
    abortMkt(this.#engine, sa, secured, secured.held, notifyType);
  }

  #judged(requestId: number, verdict: CertificateVerdict): void {
    const engine = this.#engine;
    const sa = engine.awaitingAnswer.get(requestId);
    if (sa === undefined) return;
    const { state } = sa;
    const refusal = verdict.ok ? undefined : verdict.reason;
    if (state.name === "judgingResponder") responderJudged(engine, sa, state, refusal);
    else if (state.name === "judgingInitiator") initiatorJudged(engine, sa, state, refusal);
  }

  #rekeyIkeSa(name: string): void {
    const sa = this.#engine.peers.find(name)?.usableIkeSa();
    if (sa?.state.name === "established") rekey(this.#engine, sa, sa.state.secured);
  }

  #closeIkeSa(name: string): void {
    const peer = this.#engine.peers.find(name);
    if (peer === undefined) return;
    closeAll(this.#engine, peer, { reason: "ikeSaClosed", detail: "closed on demand" });
  }
}
