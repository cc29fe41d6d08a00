import type { ByteReader } from "../bytes/byteReader.ts";
import { compareBytes, concat } from "../bytes/bytes.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import { TrafficSelectorType } from "../registry/trafficSelectorType.ts";
import type { TrafficSelector } from "./trafficSelector.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |   TS Type     |IP Protocol ID |       Selector Length         |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |           Start Port          |           End Port            |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                         Starting Address                      ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                         Ending Address                        ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

const SECTION = "RFC 7296 section 3.13.1";
const HEADER_BYTES = 4;

type Range = Extract<TrafficSelector, { kind: "range" }>;

/**
 * One traffic selector. The `data` of an unknown type are all its octets but TS Type and Selector Length: the second
 * octet (which only types 7 and 8 define to be an IP protocol), then what follows the length.
 */
export function decodeTrafficSelector(payload: ByteReader): TrafficSelector {
  const tsType = payload.uint8("TS Type");
  const second = payload.bytes(1, "TS IP Protocol ID");
  const length = payload.uint16("TS Selector Length");
  if (length < HEADER_BYTES || length - HEADER_BYTES > payload.remaining) {
    const detail = `${length} octets, ${payload.remaining + HEADER_BYTES} are left`;
    throw payload.refusal("badLength", "TS Selector Length", detail);
  }
  const addressBytes = addressBytesOf(tsType);
  if (addressBytes === undefined) {
    return { kind: "unknown", tsType, data: concat(second, payload.bytes(length - HEADER_BYTES, "TS data")) };
  }
  if (length !== 8 + 2 * addressBytes) {
    throw payload.refusal("badLength", "TS Selector Length", `${length} octets for TS Type ${tsType}`);
  }
  return decodeRange(payload.sub(length - HEADER_BYTES, "TS", SECTION), second[0] ?? 0, addressBytes);
}

export function encodeTrafficSelector(writer: ByteWriter, selector: TrafficSelector): void {
  switch (selector.kind) {
    case "range":
      encodeRange(writer, selector);
      return;
    case "unknown":
      if (selector.data.length === 0 || addressBytesOf(selector.tsType) !== undefined) {
        throw new UsageError("badSelector", `not an opaque selector of type ${selector.tsType}`);
      }
      writer.uint8(selector.tsType);
      writer.bytes(selector.data.subarray(0, 1));
      writer.uint16(selector.data.length + HEADER_BYTES - 1);
      writer.bytes(selector.data.subarray(1));
      return;
  }
}

function decodeRange(reader: ByteReader, ipProtocol: number, addressBytes: number): Range {
  const portOffset = reader.offset;
  const startPort = reader.uint16("TS Start Port");
  const endPort = reader.uint16("TS End Port");
  if (!isPortRange(startPort, endPort)) {
    throw reader.refusal("badValue", "TS Start Port", `${startPort} is above End Port ${endPort}`, portOffset);
  }
  const addressOffset = reader.offset;
  const startAddress = reader.bytes(addressBytes, "TS Starting Address");
  const endAddress = reader.bytes(addressBytes, "TS Ending Address");
  if (compareBytes(startAddress, endAddress) > 0) {
    throw reader.refusal("badValue", "TS Starting Address", "is above Ending Address", addressOffset);
  }
  return { kind: "range", ipProtocol, startPort, endPort, startAddress, endAddress };
}

function encodeRange(writer: ByteWriter, range: Range): void {
  const { startAddress, endAddress } = range;
  const isIpv4 = startAddress.length === 4;
  if ((!isIpv4 && startAddress.length !== 16) || endAddress.length !== startAddress.length) {
    throw new UsageError("badSelector", "addresses have 4 or 16 octets, both the same");
  }
  if (compareBytes(startAddress, endAddress) > 0 || !isPortRange(range.startPort, range.endPort)) {
    throw new UsageError("badSelector", "a range begins above its end");
  }
  writer.uint8(isIpv4 ? TrafficSelectorType.TS_IPV4_ADDR_RANGE : TrafficSelectorType.TS_IPV6_ADDR_RANGE);
  writer.uint8(range.ipProtocol);
  writer.uint16(8 + 2 * startAddress.length);
  writer.uint16(range.startPort);
  writer.uint16(range.endPort);
  writer.bytes(startAddress);
  writer.bytes(endAddress);
}

/** 65535 to 0 is OPAQUE, RFC 7296 section 3.13.1. */
function isPortRange(startPort: number, endPort: number): boolean {
  return startPort <= endPort || (startPort === 65535 && endPort === 0);
}

function addressBytesOf(tsType: number): 4 | 16 | undefined {
  switch (tsType) {
    case TrafficSelectorType.TS_IPV4_ADDR_RANGE:
      return 4;
    case TrafficSelectorType.TS_IPV6_ADDR_RANGE:
      return 16;
    default:
      return undefined;
  }
}
