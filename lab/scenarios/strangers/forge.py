# Sends forged TCP segments over IPv4 from a raw socket: SRC SPORT DST DPORT SEQ ACK FLAGS KEYID|- COUNT.
# KEYID "-": without TCP-AO; otherwise an option with that KeyID and a MAC of random octets. FLAGS: S, R, RA.
import os, socket, struct, sys

src, sport, dst, dport, seq, ack, flags, key_id, count = sys.argv[1:]
bits = sum({"S": 2, "R": 4, "A": 16}[flag] for flag in flags)
options = b"" if key_id == "-" else struct.pack("!BBBB", 29, 16, int(key_id), int(key_id)) + os.urandom(12)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(number):
    offset = (5 + len(options) // 4) << 4
    fields = (int(sport) + number, int(dport), int(seq), int(ack), offset, bits, 65535)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!BBH", 0, 6, 20 + len(options))
    draft = struct.pack("!HHIIBBHHH", *fields, 0, 0) + options
    return struct.pack("!HHIIBBHHH", *fields, checksum(pseudo + draft), 0) + options


raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for n in range(int(count)):
    tcp = segment(n if flags == "S" else 0)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), n, 0, 64, 6, 0, socket.inet_aton(src), socket.inet_aton(dst))
    raw.sendto(header + tcp, (dst, 0))
