import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import { TransformAttributeType } from "../registry/transformAttributeType.ts";
import type { TransformAttribute } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |A|       Attribute Type        |    AF=0  Attribute Length     |
 * |F|                             |    AF=1  Attribute Value      |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                   AF=0  Attribute Value                       |
 * |                   AF=1  Not Transmitted                       |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Attributes of one transform that are looked at; only Key Length is in use today. */
const MAXIMUM_ATTRIBUTES = 8;
const AF_TYPE_VALUE = 0x8000;

/** Transform Attributes up to the end of the transform, RFC 7296 section 3.3.5. */
export function decodeAttributes(reader: ByteReader): TransformAttribute[] {
  const attributes: TransformAttribute[] = [];
  while (reader.remaining > 0) {
    const offset = reader.offset;
    const attribute = decodeAttribute(reader);
    if (attributes.length === MAXIMUM_ATTRIBUTES) {
      throw reader.refusal("tooMany", "Transform Attributes", `more than ${MAXIMUM_ATTRIBUTES}`, offset);
    }
    // A transform MUST NOT have multiple attributes of the same type, RFC 7296 section 3.3
    if (attributes.some((other) => other.type === attribute.type)) {
      throw reader.refusal("badValue", "Attribute Type", `type ${attribute.type} occurs twice`, offset);
    }
    attributes.push(attribute);
  }
  return attributes;
}

export function encodeAttributes(writer: ByteWriter, attributes: readonly TransformAttribute[]): void {
  requireEncodable(attributes);
  for (const attribute of attributes) {
    if (attribute.kind === "TV") {
      writer.uint16(attribute.type + AF_TYPE_VALUE);
      writer.uint16(attribute.value);
    } else {
      writer.uint16(attribute.type);
      writer.uint16(attribute.data.length);
      writer.bytes(attribute.data);
    }
  }
}

function requireEncodable(attributes: readonly TransformAttribute[]): void {
  if (attributes.length > MAXIMUM_ATTRIBUTES) {
    throw new UsageError("tooMany", `a transform has at most ${MAXIMUM_ATTRIBUTES} attributes`);
  }
  const types = new Set(attributes.map((attribute) => attribute.type));
  if (types.size !== attributes.length) {
    throw new UsageError("badAttribute", "a transform has one attribute of a type");
  }
  for (const { kind, type } of attributes) {
    if (type >= AF_TYPE_VALUE || (kind === "TLV" && type === TransformAttributeType.KEY_LENGTH)) {
      throw new UsageError("badAttribute", `Attribute Type ${type} in ${kind} form`);
    }
  }
}

function decodeAttribute(reader: ByteReader): TransformAttribute {
  const offset = reader.offset;
  const format = reader.uint16("Attribute Type");
  const type = format & 0x7fff;
  if ((format & AF_TYPE_VALUE) !== 0) {
    return { kind: "TV", type, value: reader.uint16("Attribute Value") };
  }
  // Fixed-length attributes MUST NOT be encoded using the variable-length encoding, RFC 7296 section 3.3.5
  if (type === TransformAttributeType.KEY_LENGTH) {
    throw reader.refusal("badValue", "Attribute Type", "Key Length in TLV form", offset);
  }
  const length = reader.uint16("Attribute Length");
  if (length > reader.remaining) {
    throw reader.refusal("badLength", "Attribute Length", `${length} octets, ${reader.remaining} are left`);
  }
  return { kind: "TLV", type, data: reader.bytes(length, "Attribute Value") };
}
