import { ByteWriter } from "../../bytes/byteWriter.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { NotifyPayload } from "../message.ts";
import { encodePlainNotify, notifyDataReader } from "./notify.ts";

/** SIGNATURE_HASH_ALGORITHMS: 16-bit numbers of HashAlgorithm, RFC 7427 section 4. */
export function encodeSignatureHashAlgorithms(algorithms: readonly number[]): NotifyPayload {
  const writer = new ByteWriter(2 * algorithms.length);
  for (const algorithm of algorithms) {
    writer.uint16(algorithm);
  }
  return encodePlainNotify(NotifyType.SIGNATURE_HASH_ALGORITHMS, writer.finish());
}

/** Numbers that we do not know included. */
export function decodeSignatureHashAlgorithms(notify: NotifyPayload): readonly number[] {
  const reader = notifyDataReader(notify, NotifyType.SIGNATURE_HASH_ALGORITHMS, "RFC 7427 section 4");
  const algorithms: number[] = [];
  while (reader.remaining > 0) {
    algorithms.push(reader.uint16("SIGNATURE_HASH_ALGORITHMS Hash Algorithm"));
  }
  return algorithms;
}
