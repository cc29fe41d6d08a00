/** What both IKE_SA_INIT messages carry besides SA, KE and nonce. */

import { equalBytes } from "../../bytes/bytes.ts";
import { ByteWriter } from "../../bytes/byteWriter.ts";
import type { Payload } from "../../codec/message.ts";
import { encodePlainNotify } from "../../codec/notifies/notify.ts";
import {
  decodeSignatureHashAlgorithms,
  encodeSignatureHashAlgorithms,
} from "../../codec/notifies/signatureHashAlgorithms.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import { supportedSignatureHashes } from "../../crypto/signature.ts";
import { parseAddress } from "../../policy/address.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { EngineContext } from "../context.ts";
import type { UdpAddress } from "../machine.ts";
import { notifyOf, payloadsOf } from "../payloads.ts";

/** RFC 7296 section 2.10: at least 16 octets and half the key size of the PRF, which is 64 octets at most. */
export const NONCE_BYTES = 32;

/** A message's ends and SPIs, as NAT detection hashes them. */
export interface Path {
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
  readonly source: UdpAddress;
  readonly destination: UdpAddress;
}

/** NAT_DETECTION_*_IP, SIGNATURE_HASH_ALGORITHMS and our Vendor ID. */
export function announcements(engine: EngineContext, path: Path): readonly Payload[] {
  const { crypto } = engine;
  return [
    encodePlainNotify(NotifyType.NAT_DETECTION_SOURCE_IP, natHash(crypto, path, path.source)),
    encodePlainNotify(NotifyType.NAT_DETECTION_DESTINATION_IP, natHash(crypto, path, path.destination)),
    encodeSignatureHashAlgorithms(supportedSignatureHashes),
    { kind: "V", data: engine.vendorId },
  ];
}

/** The peer sent our Vendor ID: private numbers may be used (RFC 7296 section 6). */
export function isVendorKarp(engine: EngineContext, payloads: readonly Payload[]): boolean {
  return payloadsOf(payloads, "V").some((vendor) => equalBytes(vendor.data, engine.vendorId));
}

/**
 * The hash algorithms of the peer's SIGNATURE_HASH_ALGORITHMS that we know (a half-open IKE SA does not remember what
 * anybody made up); undefined when it sent none (RFC 7427 section 4).
 */
export function peerHashesOf(payloads: readonly Payload[]): readonly number[] | undefined {
  const notify = notifyOf(payloads, NotifyType.SIGNATURE_HASH_ALGORITHMS);
  if (notify === undefined) return undefined;
  const said = decodeSignatureHashAlgorithms(notify);
  return supportedSignatureHashes.filter((hash) => said.includes(hash));
}

const NAT_ADVICE =
  "TCP-AO will not work through it, and IKE does not move to port 4500 by itself: " +
  "if only IKE goes this way, make 4500 our first port and the peer's";

/**
 * TCP-AO does not survive a NAT (RFC 5925 section 9.2), so one on the path is worth a line in the log. We do not move to
 * port 4500, as RFC 7296 section 2.23 asks of initiators that support NAT traversal: there is nothing to traverse to.
 */
export function reportNat(engine: EngineContext, payloads: readonly Payload[], path: Path, peer?: string): void {
  const isTranslated = (notifyType: number, address: UdpAddress): boolean => {
    const hashes = payloadsOf(payloads, "N").filter((notify) => notify.notifyType === notifyType);
    // RFC 7296 section 2.23: there may be several hashes of source addresses, one of which has to match
    return hashes.length > 0 && !hashes.some(({ data }) => equalBytes(data, natHash(engine.crypto, path, address)));
  };
  const source = isTranslated(NotifyType.NAT_DETECTION_SOURCE_IP, path.source);
  const destination = isTranslated(NotifyType.NAT_DETECTION_DESTINATION_IP, path.destination);
  if (!source && !destination) return;
  const whose = [...(source ? ["the peer's"] : []), ...(destination ? ["our"] : [])];
  engine.log({
    name: "natDetected",
    level: "warn",
    ...(peer === undefined ? {} : { peer }),
    remote: path.source,
    detail: `a NAT changes ${whose.join(" and ")} address: ${NAT_ADVICE}`,
  });
}

/** SHA-1 of the SPIs as in the header, the address and the port: RFC 7296 section 2.23. */
function natHash(crypto: CryptoProvider, path: Path, address: UdpAddress): Uint8Array {
  const writer = new ByteWriter(34);
  writer.uint64(path.initiatorSpi);
  writer.uint64(path.responderSpi);
  writer.bytes(parseAddress(address.address) ?? new Uint8Array(0));
  writer.uint16(address.port);
  return crypto.digest("sha1", writer.finish());
}
