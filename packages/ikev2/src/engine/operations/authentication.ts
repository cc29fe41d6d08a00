/** Proving who we are and judging who the peer is, RFC 7296 section 2.15, RFC 7427. The same in both roles. */
import { equalBytes } from "../../bytes/bytes.ts";
import type { AuthPayload, Payload } from "../../codec/message.ts";
import {
  type AuthFailure,
  createAuth,
  type PeerCredential,
  signedOctets,
  verifyAuth,
} from "../../crypto/authentication.ts";
import {
  credentialFingerprint,
  type PresentedCredential,
  presentedCredential,
  publicKeyFingerprint,
} from "../../crypto/credential.ts";
import type { EngineContext } from "../context.ts";
import type { Identity, IkePeer, RemoteAuthentication } from "../machine.ts";
import { payloadOf, payloadsOf } from "../payloads.ts";
import type { Handshake } from "../states.ts";

export type Verdict =
  | { readonly kind: "authenticated"; readonly fingerprint: string }
  /** The signature is right; whether the certificate may speak for the identity is for others to say. */
  | { readonly kind: "judge"; readonly fingerprint: string; readonly chain: readonly Uint8Array[] }
  | { readonly kind: "refused"; readonly detail: string };

/** We cannot say who we are. */
export interface Mute {
  readonly kind: "mute";
  readonly detail: string;
}

/** Our AUTH payload. A signing key that fails (an HSM that is gone) is no reason to fail anything but this IKE SA. */
export function proveIdentity(
  engine: EngineContext,
  handshake: Handshake,
  config: IkePeer,
  isInitiator: boolean,
): AuthPayload | Mute {
  const [octets] = octetsOf(engine, handshake, config.localIdentity, isInitiator);
  const { prf } = handshake.cipher.suite;
  try {
    const fields = createAuth(engine.crypto, prf, config.localAuthentication, octets, handshake.peerHashes);
    // RFC 7427 section 4: only with a hash that the peer announced
    return fields === undefined
      ? mute("the peer knows no signature algorithm of our key")
      : { kind: "AUTH", ...fields };
  } catch (error) {
    return mute(`our signing key failed: ${error instanceof Error ? error.name : "no error object"}`);
  }
}

function mute(detail: string): Mute {
  return { kind: "mute", detail };
}

/**
 * Judges the peer's AUTH. `claimed` is the identity as the peer wrote it, which is what it signed. `fromInitiator`: the
 * peer is the original initiator.
 */
export function judgePeer(
  engine: EngineContext,
  handshake: Handshake,
  config: IkePeer,
  claimed: Identity,
  payloads: readonly Payload[],
  fromInitiator: boolean,
): Verdict {
  const auth = payloadOf(payloads, "AUTH");
  if (auth === undefined) return refused("the AUTH payload is missing");
  const { remoteAuthentication } = config;
  const shown =
    remoteAuthentication.kind === "psk" ? undefined : presentedCredential(engine.crypto, payloadsOf(payloads, "CERT"));
  const credential = credentialOf(remoteAuthentication, shown);
  if (credential === undefined) return refused("the peer showed no public key that we understand");
  const failure = verify(engine, handshake, credential, octetsOf(engine, handshake, claimed, fromInitiator), auth);
  if (failure !== undefined) return refused(failureText[failure]);
  return acceptCredential(engine, remoteAuthentication, credential, shown);
}

/**
 * The work that judging a known peer would have been, so that an unknown identity is not told apart by the time
 * (reasonably: the kind of credential follows what the message shows).
 */
export function pretendToJudge(
  engine: EngineContext,
  handshake: Handshake,
  identity: Identity,
  payloads: readonly Payload[],
): void {
  const auth = payloadOf(payloads, "AUTH");
  if (auth === undefined) return;
  const shown = presentedCredential(engine.crypto, payloadsOf(payloads, "CERT"));
  const credential: PeerCredential =
    shown === undefined
      ? { kind: "psk", secret: handshake.cipher.keys.skPi }
      : { kind: "publicKey", publicKey: shown.publicKey };
  verify(engine, handshake, credential, octetsOf(engine, handshake, identity, true), auth);
}

/** Undefined: the AUTH value is right for one of the octets. */
function verify(
  engine: EngineContext,
  handshake: Handshake,
  credential: PeerCredential,
  [octets, ...variants]: SignedOctets,
  auth: AuthPayload,
): AuthFailure | undefined {
  const { prf } = handshake.cipher.suite;
  const failure = verifyAuth(engine.crypto, prf, credential, octets, auth);
  if (failure !== "wrongSignature") return failure;
  const isRight = variants.some((other) => verifyAuth(engine.crypto, prf, credential, other, auth) === undefined);
  return isRight ? undefined : failure;
}

/** What AUTH is over; the others, if any, are what it may be over as well. */
type SignedOctets = readonly [Uint8Array, ...Uint8Array[]];

function octetsOf(engine: EngineContext, handshake: Handshake, identity: Identity, ofInitiator: boolean): SignedOctets {
  const { cipher, realMessage1, realMessage1Variant, realMessage2, ni, nr } = handshake;
  const { prf } = cipher.suite;
  if (!ofInitiator) {
    const message2 = { realMessage: realMessage2, peerNonce: ni, skP: cipher.keys.skPr, identity };
    return [signedOctets(engine.crypto, prf, message2)];
  }
  const signed = (realMessage: Uint8Array): Uint8Array =>
    signedOctets(engine.crypto, prf, { realMessage, peerNonce: nr, skP: cipher.keys.skPi, identity });
  return realMessage1Variant === undefined
    ? [signed(realMessage1)]
    : [signed(realMessage1), signed(realMessage1Variant)];
}

function credentialOf(
  authentication: RemoteAuthentication,
  shown: PresentedCredential | undefined,
): PeerCredential | undefined {
  if (authentication.kind === "psk") return authentication;
  return shown === undefined ? undefined : { kind: "publicKey", publicKey: shown.publicKey };
}

/** AUTH is right; is its key one that this peer may use? */
function acceptCredential(
  engine: EngineContext,
  authentication: RemoteAuthentication,
  credential: PeerCredential,
  shown: PresentedCredential | undefined,
): Verdict {
  const { crypto } = engine;
  const fingerprint = credentialFingerprint(crypto, credential);
  if (authentication.kind === "psk" || shown === undefined) return { kind: "authenticated", fingerprint };
  if (authentication.kind === "pinned") {
    const own = publicKeyFingerprint(crypto, shown.publicKey);
    const isPinned = authentication.fingerprints.some((pinned) => equalBytes(pinned, own));
    return isPinned
      ? { kind: "authenticated", fingerprint }
      : refused(`the public key ${fingerprint} is none of those configured`);
  }
  if (shown.chain.length === 0) return refused("a certificate is required, the peer showed a raw public key");
  // They outlive the datagram of which they are views
  return { kind: "judge", fingerprint, chain: shown.chain.map((certificate) => new Uint8Array(certificate)) };
}

function refused(detail: string): Verdict {
  return { kind: "refused", detail };
}

const failureText: Readonly<Record<AuthFailure, string>> = {
  methodNotAllowed: "the authentication method is not the one configured for this peer",
  algorithmNotAllowed: "the signature algorithm is not acceptable",
  wrongSignature: "the AUTH value is wrong: other key or secret, or the messages were changed on the way",
  malformed: "the AUTH value is malformed",
};
