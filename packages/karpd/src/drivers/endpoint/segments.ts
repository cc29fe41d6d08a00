import { buildSegment, type SocketPair, type TcpSegment } from "@karp/tcp-ao";

/** Marker, Length 19, Type 4: RFC 4271 sections 4.1 and 4.4. */
export const KEEPALIVE: Uint8Array = Uint8Array.from([...Array<number>(16).fill(0xff), 0, 19, 4]);

export interface Numbers {
  readonly sequenceNumber: number;
  readonly acknowledgmentNumber: number;
}

/** `<SEQ=ISS><CTL=SYN>`, RFC 9293 section 3.5. */
export function synSegment(pair: SocketPair, isn: number): Uint8Array {
  return buildSegment({ ...addressing(pair), sequenceNumber: isn, flags: { syn: true } });
}

/** `<SEQ=ISS><ACK=IRS+1><CTL=SYN,ACK>` */
export function synAckSegment(pair: SocketPair, isn: number, remoteIsn: number): Uint8Array {
  const acknowledgmentNumber = plus(remoteIsn, 1);
  return buildSegment({
    ...addressing(pair),
    sequenceNumber: isn,
    acknowledgmentNumber,
    flags: { syn: true, ack: true },
  });
}

/** `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>` with one BGP KEEPALIVE message. */
export function keepaliveSegment(pair: SocketPair, numbers: Numbers): Uint8Array {
  return buildSegment({ ...addressing(pair), ...numbers, flags: { ack: true, psh: true }, data: KEEPALIVE });
}

/** The socket pair of an incoming segment, as this end sees it. */
export function incomingPair(segment: TcpSegment): SocketPair {
  return {
    localAddress: Uint8Array.from(segment.destinationAddress),
    localPort: segment.destinationPort,
    remoteAddress: Uint8Array.from(segment.sourceAddress),
    remotePort: segment.sourcePort,
  };
}

export function isSamePair(a: SocketPair, b: SocketPair): boolean {
  return (
    a.localPort === b.localPort &&
    a.remotePort === b.remotePort &&
    isSameOctets(a.localAddress, b.localAddress) &&
    isSameOctets(a.remoteAddress, b.remoteAddress)
  );
}

function isSameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}

/** Sequence numbers count modulo 2^32, RFC 9293 section 3.4. */
export function plus(sequenceNumber: number, octets: number): number {
  return (sequenceNumber + octets) >>> 0;
}

/** How far `a` is ahead of `b`, negative when it is behind. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

function addressing({ localAddress, localPort, remoteAddress, remotePort }: SocketPair) {
  return {
    sourceAddress: localAddress,
    sourcePort: localPort,
    destinationAddress: remoteAddress,
    destinationPort: remotePort,
  };
}
