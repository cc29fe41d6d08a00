import type { Secret } from "../../bytes/secret.ts";
import { deriveKeymat, tcpAoMasterKeyLength } from "../../crypto/keys.ts";
import type { EngineContext } from "../context.ts";
import type { NegotiatedMkt } from "../machine.ts";
import type { SaCipher } from "../saCipher.ts";

/**
 * The master key: the first n bits of KEYMAT, n as RFC 5926 section 3.2 says for the algorithm; one key for both
 * directions (draft-mahesh-karp-rkmp section 4.2). Erases the shared secret.
 */
export function masterKeyOf(
  engine: EngineContext,
  cipher: SaCipher,
  integrity: number,
  nonces: NegotiatedMkt["nonces"],
  sharedSecret: Secret | undefined,
): Secret {
  const length = tcpAoMasterKeyLength(integrity);
  if (length === undefined) throw new RangeError(`INTEG ${integrity} is none of TCP-AO's`);
  const masterKey = deriveKeymat(engine.crypto, cipher.suite.prf, cipher.keys.skD, {
    ...(sharedSecret === undefined ? {} : { sharedSecret }),
    ni: nonces.initiator,
    nr: nonces.responder,
    length,
  });
  sharedSecret?.erase();
  return masterKey;
}
