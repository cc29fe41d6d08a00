"""Reading pcap and pcapng files, down to TCP segments."""

import struct

from tcp_ao import Malformed, Segment

LINK_ETHERNET, LINK_RAW, LINK_SLL, LINK_SLL2 = 1, 101, 113, 276
_ETHERTYPE_AT = {LINK_ETHERNET: 12, LINK_SLL: 14, LINK_SLL2: 0}
_HEADER = {LINK_ETHERNET: 14, LINK_SLL: 16, LINK_SLL2: 20}


class BadCapture(Exception):
    """The file is not a capture that this program can read, or it was cut."""


def read_packets(path):
    """Yields (link type, packet, original length)."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 24:
        raise BadCapture("%s has only %d octets" % (path, len(data)))
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return _read_pcapng(data)
    return _read_pcap(data)


def _read_pcap(data):
    order = {0xA1B2C3D4: "<", 0xA1B23C4D: "<"}.get(struct.unpack("<I", data[:4])[0])
    if order is None:
        order = {0xA1B2C3D4: ">", 0xA1B23C4D: ">"}.get(struct.unpack(">I", data[:4])[0])
    if order is None:
        raise BadCapture("no pcap magic number")
    link = struct.unpack(order + "I", data[20:24])[0] & 0xFFFF
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            raise BadCapture("a record header is cut at octet %d" % at)
        _, _, kept, original = struct.unpack(order + "IIII", data[at : at + 16])
        at += 16
        if at + kept > len(data):
            raise BadCapture("a packet is cut at octet %d" % at)
        yield link, data[at : at + kept], original
        at += kept


def _read_pcapng(data):
    order, links, at = "<", [], 0
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, length = struct.unpack(order + "II", data[at : at + 8])
        if length < 12 or at + length > len(data):
            raise BadCapture("a pcapng block is cut at octet %d" % at)
        body = data[at + 8 : at + length - 4]
        if kind == 1:
            links.append(struct.unpack(order + "H", body[:2])[0])
        elif kind == 6:
            interface, _, _, kept, original = struct.unpack(order + "IIIII", body[:20])
            yield links[interface], body[20 : 20 + kept], original
        at += length


def tcp_segment(link, packet, original_length):
    """The TCP segment in a packet, or None when it holds none. Raises Malformed or BadCapture."""
    payload = _ip_packet(link, packet)
    if payload is None:
        return None
    found = _ipv4(payload) if payload[0] >> 4 == 4 else _ipv6(payload)
    if found is None:
        return None
    source, destination, tcp, wanted = found
    if len(tcp) < wanted:
        if len(packet) < original_length:
            raise BadCapture("a packet was captured in part only (snap length)")
        raise Malformed("an IP packet that is shorter than its header says")
    return Segment(source, destination, tcp[:wanted])


def _ip_packet(link, packet):
    if link == LINK_RAW:
        return packet or None
    if link not in _HEADER:
        raise BadCapture("link type %d is unknown here" % link)
    at, header = _ETHERTYPE_AT[link], _HEADER[link]
    ethertype = int.from_bytes(packet[at : at + 2], "big")
    while ethertype in (0x8100, 0x88A8):
        ethertype = int.from_bytes(packet[header + 2 : header + 4], "big")
        header += 4
    if ethertype not in (0x0800, 0x86DD) or len(packet) <= header:
        return None
    return packet[header:]


def _ipv4(packet):
    if len(packet) < 20 or packet[9] != 6:
        return None
    header = (packet[0] & 15) * 4
    if int.from_bytes(packet[6:8], "big") & 0x3FFF:
        raise Malformed("a fragment: reassembly is not done here")
    total = int.from_bytes(packet[2:4], "big")
    return packet[12:16], packet[16:20], packet[header:], total - header


def _ipv6(packet):
    if len(packet) < 40 or packet[6] != 6:  # extension headers before TCP do not occur in this lab
        return None
    return packet[8:24], packet[24:40], packet[40:], int.from_bytes(packet[4:6], "big")
