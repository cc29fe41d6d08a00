import { aesCmacPrf128 } from "./aesCmacPrf.ts";
import { type MacAlgorithm, macAlgorithms } from "./algorithms.ts";
import { concat, setUint16, setUint32 } from "./bytes.ts";
import type { TcpAoCrypto } from "./crypto.ts";
import { TcpAoUsageError } from "./errors.ts";

/** "TCP-AO" in ASCII: the Label of RFC 5926 section 3.1.1. */
const LABEL = Uint8Array.of(0x54, 0x43, 0x50, 0x2d, 0x41, 0x4f);

/** The socket pair and ISNs in the direction of the segment (RFC 5925 section 5.2, figures 7 and 8). */
export interface TrafficKeyContext {
  /** 4 octets for IPv4, 16 for IPv6; the same length as `destinationAddress`. */
  readonly sourceAddress: Uint8Array;
  readonly destinationAddress: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sourceIsn: number;
  /** Zero for SYN segments (SYN set, no ACK set): RFC 5925 section 5.2. */
  readonly destinationIsn: number;
}

/**
 * Traffic_Key = KDF_alg(Master_Key, Context, Output_Length), RFC 5926 section 3.1.
 * @throws TcpAoUsageError `badMasterKey` for an empty key, `badAddress` for addresses of different families
 */
export function deriveTrafficKey(
  crypto: TcpAoCrypto,
  algorithm: MacAlgorithm,
  masterKey: Uint8Array,
  context: TrafficKeyContext,
): Uint8Array {
  if (masterKey.length === 0) throw new TcpAoUsageError("badMasterKey", "a master key has at least one octet");
  const { trafficKeyBits, kdf } = macAlgorithms[algorithm];
  // Each KDF's PRF has exactly Output_Length bits, so one iteration (i = 1) is all there is: RFC 5926 section 3.1.1
  const input = kdfInput(1, kdfContext(context), trafficKeyBits);
  switch (kdf) {
    case "KDF_HMAC_SHA1":
      return crypto.hmac("sha1", masterKey, input);
    case "KDF_HMAC_SHA256":
      return crypto.hmac("sha256", masterKey, input);
    case "KDF_AES_128_CMAC":
      return aesCmacPrf128(crypto, masterKey, input);
  }
}

/** The KDF's Context (RFC 5925 section 5.2). */
export function kdfContext(context: TrafficKeyContext): Uint8Array {
  const { sourceAddress, destinationAddress } = context;
  if (![4, 16].includes(sourceAddress.length) || sourceAddress.length !== destinationAddress.length) {
    throw new TcpAoUsageError("badAddress", "both addresses have 4 octets, or both have 16");
  }
  const ports = new Uint8Array(12);
  setUint16(ports, 0, context.sourcePort);
  setUint16(ports, 2, context.destinationPort);
  setUint32(ports, 4, context.sourceIsn);
  setUint32(ports, 8, context.destinationIsn);
  return concat(sourceAddress, destinationAddress, ports);
}

/** i || Label || Context || Output_Length, RFC 5926 section 3.1.1. */
function kdfInput(counter: number, context: Uint8Array, outputLengthBits: number): Uint8Array {
  const outputLength = new Uint8Array(2);
  setUint16(outputLength, 0, outputLengthBits);
  return concat(Uint8Array.of(counter), LABEL, context, outputLength);
}
