"""TCP-AO as RFC 5925 and RFC 5926 define it, written from these texts alone."""

import hashlib

from aes_cmac import aes_cmac

OPTION_KIND = 29  # RFC 5925 section 2.2
LABEL = b"TCP-AO"  # RFC 5926 section 3.1.1

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


def _hmac(hash_name, key, message):
    """RFC 2104."""
    new = getattr(hashlib, hash_name)
    block = new().block_size
    if len(key) > block:
        key = new(key).digest()
    key = key + bytes(block - len(key))
    inner = new(bytes(x ^ 0x36 for x in key) + message).digest()
    return new(bytes(x ^ 0x5C for x in key) + inner).digest()


class Algorithm:
    """A pair of KDF and MAC. `tag_length` is the default number of MAC octets in a segment."""

    def __init__(self, name, prf, key_length, tag_length=12, fixed_key=None):
        self.name = name
        self.prf = prf
        self.key_length = key_length
        self.tag_length = tag_length
        self._fixed_key = fixed_key

    def traffic_key(self, master_key, context):
        """RFC 5926 section 3.1: the PRF in counter mode over i | label | context | output length in bits."""
        if self._fixed_key is not None and len(master_key) != self._fixed_key:
            master_key = self.prf(bytes(self._fixed_key), master_key)  # RFC 5926 section 3.1.1.2
        length = (self.key_length * 8).to_bytes(2, "big")
        return self.prf(master_key, b"\x01" + LABEL + context + length)[: self.key_length]


ALGORITHMS = {
    "hmac-sha-1-96": Algorithm("hmac-sha-1-96", lambda k, m: _hmac("sha1", k, m), 20),
    "aes-128-cmac-96": Algorithm("aes-128-cmac-96", aes_cmac, 16, fixed_key=16),
    # Not in RFC 5926; the same construction with SHA-256, as Linux builds it.
    "hmac-sha-256-128": Algorithm("hmac-sha-256-128", lambda k, m: _hmac("sha256", k, m), 32, tag_length=16),
    "hmac-sha-256-96": Algorithm("hmac-sha-256-96", lambda k, m: _hmac("sha256", k, m), 32),
}


class Malformed(Exception):
    """A segment that is not what the RFCs say."""


class Segment:
    """One TCP segment with the addresses of its IP packet. `tcp` is header and data, exactly as long as IP says."""

    def __init__(self, source, destination, tcp):
        if len(tcp) < 20:
            raise Malformed("a TCP header of %d octets" % len(tcp))
        self.source = source
        self.destination = destination
        self.tcp = tcp
        self.source_port = int.from_bytes(tcp[0:2], "big")
        self.destination_port = int.from_bytes(tcp[2:4], "big")
        self.sequence = int.from_bytes(tcp[4:8], "big")
        self.acknowledgement = int.from_bytes(tcp[8:12], "big")
        self.header_length = (tcp[12] >> 4) * 4
        self.flags = tcp[13]
        if not 20 <= self.header_length <= len(tcp):
            raise Malformed("a TCP data offset of %d octets in %d" % (self.header_length, len(tcp)))
        self.ao_offset, self.ao_length = self._find_option()

    def _find_option(self):
        found = (0, 0)
        at = 20
        while at < self.header_length and self.tcp[at] != 0:
            if self.tcp[at] == 1:
                at += 1
                continue
            length = self.tcp[at + 1] if at + 1 < self.header_length else 0
            if length < 2 or at + length > self.header_length:
                raise Malformed("a TCP option of %d octets at %d" % (length, at))
            if self.tcp[at] == OPTION_KIND:
                if found != (0, 0):
                    raise Malformed("two TCP-AO options")  # RFC 5925 section 2.2
                if length < 4:
                    raise Malformed("a TCP-AO option of %d octets" % length)
                found = (at, length)
            at += length
        return found

    @property
    def signed(self):
        return self.ao_length != 0

    @property
    def key_id(self):
        return self.tcp[self.ao_offset + 2]

    @property
    def rnext_key_id(self):
        return self.tcp[self.ao_offset + 3]

    @property
    def mac(self):
        return self.tcp[self.ao_offset + 4 : self.ao_offset + self.ao_length]

    def key_context(self, source_isn, destination_isn):
        """RFC 5925 section 5.2: the connection as the sender of this segment sees it."""
        ports = self.source_port.to_bytes(2, "big") + self.destination_port.to_bytes(2, "big")
        isns = source_isn.to_bytes(4, "big") + destination_isn.to_bytes(4, "big")
        return self.source + self.destination + ports + isns

    def mac_input(self, sne, cover_options):
        """RFC 5925 section 5.1: SNE, IP pseudo-header, TCP header with checksum and MAC zero, data."""
        header = bytearray(self.tcp[: self.header_length])
        header[16:18] = b"\0\0"
        start = self.ao_offset + 4
        header[start : self.ao_offset + self.ao_length] = bytes(self.ao_length - 4)
        if not cover_options:
            header = header[:20] + header[self.ao_offset : self.ao_offset + self.ao_length]
        data = self.tcp[self.header_length :]
        return sne.to_bytes(4, "big") + self._pseudo_header() + bytes(header) + data

    def _pseudo_header(self):
        length = len(self.tcp)
        if len(self.source) == 4:  # RFC 9293 section 3.1
            return self.source + self.destination + b"\0\x06" + length.to_bytes(2, "big")
        return self.source + self.destination + length.to_bytes(4, "big") + b"\0\0\0\x06"  # RFC 8200 section 8.1


def expected_mac(algorithm, master_key, segment, isns, sne, cover_options):
    """The MAC that `segment` ought to carry, untruncated. `isns` = (sender's, receiver's) initial sequence numbers."""
    key = algorithm.traffic_key(master_key, segment.key_context(*isns))
    return algorithm.prf(key, segment.mac_input(sne, cover_options))


def extend_sequence(sequence, reference):
    """The 64-bit value next to `reference` whose low half is `sequence`; its high half is the SNE (RFC 9187)."""
    distance = ((sequence - reference + (1 << 31)) % (1 << 32)) - (1 << 31)
    return max(0, reference + distance)
