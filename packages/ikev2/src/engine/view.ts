import type { IkeSa } from "./ikeSa.ts";
import type { Instant, Now, UdpAddress, UnixMilliseconds } from "./machine.ts";
import type { IkeSaState } from "./states.ts";

/** One IKE SA as `show peers` shows it. No keys. */
export interface IkeSaView {
  /** Undefined while it is not known who began it. */
  readonly peer?: string;
  readonly role: "initiator" | "responder";
  readonly state: Exclude<IkeSaState["name"], "closed">;
  readonly local: UdpAddress;
  readonly remote: UdpAddress;
  /** 16 hexadecimal digits each. */
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly suite?: string;
  readonly peerSpeaksKarp?: boolean;
  readonly credentialFingerprint?: string;
  /** When it was established. */
  readonly since?: UnixMilliseconds;
  readonly nextRekeyAt?: UnixMilliseconds;
  readonly nextReauthenticationAt?: UnixMilliseconds;
  readonly lastHeardAt?: UnixMilliseconds;
  /** Exchanges begun by either end. */
  readonly exchanges: number;
  /** Requests of ours that wait for the window. */
  readonly queued: number;
  readonly isWaitingForResponse: boolean;
  /** Our SendIDs of the MKTs that this IKE SA owns, ascending. */
  readonly mkts: readonly number[];
}

export function viewOf(sa: IkeSa, now: Now): IkeSaView | undefined {
  const { state, secured, cipher, peer } = sa;
  if (state.name === "closed") return undefined;
  const wallOf = (at: Instant): UnixMilliseconds => (now.wall + (at - now.monotonic)) as UnixMilliseconds;
  return {
    ...(peer === undefined ? {} : { peer: peer.name }),
    role: sa.isInitiator ? "initiator" : "responder",
    state: state.name,
    local: sa.local,
    remote: sa.remote,
    initiatorSpi: spiText(sa.initiatorSpi),
    responderSpi: spiText(sa.responderSpi),
    ...(cipher === undefined ? {} : { suite: cipher.suite.text }),
    ...(secured === undefined
      ? {}
      : {
          peerSpeaksKarp: secured.peerSpeaksKarp,
          credentialFingerprint: secured.credentialFingerprint,
          since: secured.establishedAt,
          nextRekeyAt: wallOf(secured.lifetime.rekeyAt),
          nextReauthenticationAt: wallOf(secured.lifetime.reauthenticateAt),
          lastHeardAt: wallOf(secured.lifetime.lastHeardAt),
        }),
    exchanges: sa.exchanges,
    queued: sa.queue.length,
    isWaitingForResponse: sa.outstanding !== undefined,
    mkts: [...(secured?.mkts.keys() ?? [])].sort((a, b) => a - b),
  };
}

function spiText(spi: bigint): string {
  return spi.toString(16).padStart(16, "0");
}
