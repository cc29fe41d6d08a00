import {
  encodeSaInitProbe,
  type IkePeer,
  newSaInitProbe,
  readSaInitProbeAnswer,
  type SaInitProbe,
  type SaInitProbeAnswer,
} from "@karp/ikev2";
import { NodeCryptoProvider } from "@karp/ikev2/node";
import { isPathError, type PathError, ProbeSocket } from "./probeSocket.ts";

/** An IP packet that every link of a usual path takes whole, tunnels included. */
export const WHOLE_PACKET_BYTES = 1400;
/** More than the 1500 octets of Ethernet: it crosses as fragments, as an IKE_AUTH message with certificates does. */
const FRAGMENTED_PACKET_BYTES = 2900;

export type ProbeOutcome = Exclude<SaInitProbeAnswer, { kind: "cookie" }> | { readonly kind: "silence" } | PathOutcome;
/** The network said why, or this machine's kernel. */
type PathOutcome = { readonly kind: "unreachable"; readonly code: string };

/** What became of IKE_SA_INIT requests that leave nothing at the peer. */
export interface PathReport {
  /** Where they left; undefined: no socket could be had. */
  readonly sourcePort?: number;
  /** As short as can be. */
  readonly short: ProbeOutcome;
  /** True when the peer asked for a cookie and took it: it is under load, and receives what we send back. */
  readonly hadCookieRound: boolean;
  /** Not tried while the short one gets no answer. `packetBytes`: of the IP packet. */
  readonly long: readonly { readonly packetBytes: number; readonly outcome: ProbeOutcome }[];
}

export interface ProbeTimes {
  /** How long one answer is waited for, and how often a request is sent. */
  readonly waitMilliseconds: number;
  readonly tries: number;
}

const usualTimes: ProbeTimes = { waitMilliseconds: 900, tries: 3 };

/** Asks the peer's UDP port, first with a short packet, then with one of 1,400 octets, then with fragments. */
export async function probePath(peer: IkePeer, times: ProbeTimes = usualTimes): Promise<PathReport> {
  const socket = await ProbeSocket.open(peer.local, peer.remote);
  if (isPathError(socket))
    return { short: { kind: "unreachable", code: socket.code }, hadCookieRound: false, long: [] };
  try {
    const { sourcePort } = socket;
    const asker = new Asker(socket, peer, times);
    const short = await asker.ask();
    const long = [];
    if (isReached(short)) {
      for (const packetBytes of [WHOLE_PACKET_BYTES, FRAGMENTED_PACKET_BYTES])
        long.push({ packetBytes, outcome: await asker.ask(socket.messageBytes(packetBytes)) });
    }
    return { sourcePort, short, hadCookieRound: asker.hadCookieRound, long };
  } finally {
    socket.close();
  }
}

/** Whether an IKE responder has answered. */
export function isReached(outcome: ProbeOutcome): boolean {
  return outcome.kind === "suiteInCommon" || outcome.kind === "noSuiteInCommon" || outcome.kind === "otherAnswer";
}

class Asker {
  hadCookieRound = false;
  readonly #socket: ProbeSocket;
  readonly #peer: IkePeer;
  readonly #times: ProbeTimes;

  constructor(socket: ProbeSocket, peer: IkePeer, times: ProbeTimes) {
    this.#socket = socket;
    this.#peer = peer;
    this.#times = times;
  }

  async ask(lengthBytes = 0): Promise<ProbeOutcome> {
    const probe = newSaInitProbe(crypto, this.#peer.suites);
    let cookie: Uint8Array | undefined;
    let last: ProbeOutcome = { kind: "silence" };
    for (let sent = 0; sent < this.#times.tries; sent++) {
      this.#socket.send(encodeSaInitProbe(probe, { lengthBytes, ...(cookie === undefined ? {} : { cookie }) }));
      const answer = await this.#answer(probe);
      if (answer === undefined) continue;
      if (isPathError(answer)) last = { kind: "unreachable", code: answer.code };
      else if (answer.kind !== "cookie") return answer;
      else {
        this.hadCookieRound = true;
        cookie = answer.cookie;
      }
    }
    return last;
  }

  async #answer(probe: SaInitProbe): Promise<SaInitProbeAnswer | PathError | undefined> {
    const until = performance.now() + this.#times.waitMilliseconds;
    for (;;) {
      const received = await this.#socket.receive(until - performance.now());
      if (received === undefined || isPathError(received)) return received;
      // Anybody can send something else there: it is passed over
      const answer = readSaInitProbeAnswer(probe, received);
      if (answer !== undefined) return answer;
    }
  }
}

const crypto = new NodeCryptoProvider();
