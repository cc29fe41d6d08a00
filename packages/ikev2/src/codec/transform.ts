import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { decodeAttributes, encodeAttributes } from "./attribute.ts";
import type { Transform } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Last Substruc |   RESERVED    |        Transform Length       |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |Transform Type |   RESERVED    |          Transform ID         |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                      Transform Attributes                     ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

const HEADER_BYTES = 8;
/** "More" in Last Substruc: the payload type of a transform in IKEv1. */
const MORE_TRANSFORMS = 3;

/** `count` transforms that fill the rest of a proposal, RFC 7296 section 3.3.2. */
export function decodeTransforms(reader: ByteReader, count: number): Transform[] {
  const transforms: Transform[] = [];
  for (let left = count; left > 0; left--) {
    transforms.push(decodeTransform(reader, left === 1));
  }
  return transforms;
}

export function encodeTransforms(writer: ByteWriter, transforms: readonly Transform[]): void {
  transforms.forEach((transform, index) => {
    const start = writer.length;
    writer.uint8(index === transforms.length - 1 ? 0 : MORE_TRANSFORMS);
    writer.zeros(1);
    writer.uint16(0);
    writer.uint8(transform.type);
    writer.zeros(1);
    writer.uint16(transform.id);
    encodeAttributes(writer, transform.attributes);
    writer.patchUint16(start + 2, writer.length - start);
  });
}

function decodeTransform(reader: ByteReader, isLast: boolean): Transform {
  const lastSubstruc = reader.uint8("Transform Last Substruc");
  if (lastSubstruc !== (isLast ? 0 : MORE_TRANSFORMS)) {
    throw reader.refusal("badValue", "Transform Last Substruc", `${lastSubstruc} disagrees with Num Transforms`);
  }
  reader.uint8("Transform RESERVED");
  const length = reader.uint16("Transform Length");
  if (length < HEADER_BYTES || length - 4 > reader.remaining) {
    throw reader.refusal("badLength", "Transform Length", `${length} octets, ${reader.remaining + 4} are left`);
  }
  const body = reader.sub(length - 4, "Transform", "RFC 7296 section 3.3.2");
  const type = body.uint8("Transform Type");
  body.uint8("Transform RESERVED");
  const id = body.uint16("Transform ID");
  const attributes = decodeAttributes(body.sub(body.remaining, "Transform Attributes", "RFC 7296 section 3.3.5"));
  return { type, id, attributes };
}
