/** KMP_KEY_LIFETIME: what the peer says of its own lifetimes for the MKT of this exchange. A hint, nothing is negotiated. */
import type { Payload } from "../../codec/message.ts";
import { decodeKeyLifetime, KEY_LIFETIME_BYTES, type KeyLifetime } from "../../codec/notifies/keyLifetime.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { EngineContext } from "../context.ts";
import { notifyOf } from "../payloads.ts";
import type { Secured } from "../states.ts";

/** Nobody plans for longer than ten years of 366 days. */
const MOST_SECONDS = 3660 * 86_400;

/** Undefined when there is none, or none to be believed: a hint is worth a line in the log, never an IKE SA. */
export function peerLifetimeOf(
  engine: EngineContext,
  { peer, peerSpeaksKarp }: Secured,
  payloads: readonly Payload[],
): KeyLifetime | undefined {
  // RFC 7296 section 6: private numbers mean something only between consenting peers
  const notify = peerSpeaksKarp ? notifyOf(payloads, NotifyType.KMP_KEY_LIFETIME) : undefined;
  if (notify === undefined) return undefined;
  const lifetime = notify.data.length === KEY_LIFETIME_BYTES ? decodeKeyLifetime(notify) : undefined;
  const fault = lifetime === undefined ? `${notify.data.length} octets` : faultOf(lifetime);
  if (fault === undefined) return lifetime;
  const detail = `KMP_KEY_LIFETIME is ignored: ${fault}`;
  engine.log({ name: "lifetimeIgnored", level: "info", peer: peer.name, detail });
  return undefined;
}

function faultOf({ softSeconds, hardSeconds }: KeyLifetime): string | undefined {
  if (softSeconds === 0) return "a soft lifetime of 0 s";
  if (softSeconds > hardSeconds) return `soft ${softSeconds} s is longer than hard ${hardSeconds} s`;
  return hardSeconds > MOST_SECONDS ? `hard ${hardSeconds} s is longer than ten years` : undefined;
}
