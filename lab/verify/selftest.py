#!/usr/bin/env python3
"""Tests of the verifier itself: RFC 9235's vectors, RFC 4493's examples, and captures that must not pass."""

import json
import os
import struct
import sys
import tempfile

from aes_cmac import aes_cmac
from captures import BadCapture, read_packets, tcp_segment
from tcp_ao import ALGORITHMS, expected_mac, extend_sequence
from verify_capture import Mkt, is_clean, main, verify

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "rfc9235-vectors.json")) as source:
    RFC9235 = json.load(source)
RAW = 101
failures = 0


def check(name, ok, detail=""):
    global failures
    failures += not ok
    print("%s %s%s" % ("ok    " if ok else "NOT OK", name, " (%s)" % detail if detail and not ok else ""))


def algorithm_of(vector):
    return {"HMAC-SHA-1-96": "hmac-sha-1-96", "AES-128-CMAC-96": "aes-128-cmac-96"}[vector["macAlgorithm"]]


def text_of(address):
    groups = address.hex()
    if len(address) == 4:
        return ".".join(str(octet) for octet in address)
    return ":".join(groups[i : i + 4] for i in range(0, 32, 4))


def mkt_of(vector, **changes):
    """The MKT of a vector: the client sends with KeyID 61 and is answered with 84."""
    ends = [bytes.fromhex(vector["sourceAddress"]), bytes.fromhex(vector["destinationAddress"])]
    if vector["sender"] == "server":
        ends.reverse()
    row = {
        "name": vector["section"],
        "algorithm": algorithm_of(vector),
        "keyHex": RFC9235["masterKeyHex"],
        "tcpOptions": vector["coversTcpOptions"],
        "ends": [
            {"address": text_of(ends[0]), "sendId": 61, "recvId": 84},
            {"address": text_of(ends[1]), "sendId": 84, "recvId": 61},
        ],
    }
    row.update(changes)
    return Mkt(row)


def test_rfc9235_one_by_one():
    for vector in RFC9235["vectors"]:
        packet = bytes.fromhex(vector["packet"])
        segment = tcp_segment(RAW, packet, len(packet))
        algorithm = ALGORITHMS[algorithm_of(vector)]
        isns = [int(vector["clientIsn"], 16), int(vector["serverIsn"], 16)]
        if vector["sender"] == "server":
            isns.reverse()
        if vector["segment"] == "SYN":
            isns[1] = 0
        name = "RFC 9235 section %s, %s" % (vector["section"], vector["segment"])
        key = algorithm.traffic_key(bytes.fromhex(RFC9235["masterKeyHex"]), segment.key_context(*isns))
        check(name + ": traffic key", key.hex() == vector["trafficKey"], key.hex())
        covers = vector["coversTcpOptions"]
        mac = expected_mac(algorithm, bytes.fromhex(RFC9235["masterKeyHex"]), segment, isns, vector["sne"], covers)
        check(name + ": MAC", segment.mac == mac[:12] == bytes.fromhex(vector["mac"]), mac.hex())


def connections():
    """RFC 9235's four segments per section 4.1, 4.2, 5.1 … as whole captures."""
    sections = {}
    for vector in RFC9235["vectors"]:
        sections.setdefault(vector["section"].rsplit(".", 1)[0], []).append(vector)
    return sections


def packets_of(vectors):
    return [(RAW, bytes.fromhex(v["packet"]), len(v["packet"]) // 2) for v in vectors]


def test_rfc9235_as_captures():
    check("RFC 9235 has 8 connections of 4 segments", [len(v) for v in connections().values()] == [4] * 8)
    for section, vectors in connections().items():
        report = verify(packets_of(vectors), [mkt_of(vectors[0])])
        ok = is_clean(report) and report["totals"]["verified"] == 4 and len(report["connections"]) == 1
        ids = [report["connections"][0][side]["keyIds"] for side in ("fromClient", "fromServer")]
        check("RFC 9235 section %s as a capture" % section, ok, report)
        expected = [[{"keyId": 61, "count": 2}], [{"keyId": 84, "count": 2}]]
        check("RFC 9235 section %s: KeyIDs per direction" % section, ids == expected, ids)


def test_what_must_not_pass():
    for section, vectors in connections().items():
        packets, mkt = packets_of(vectors), mkt_of(vectors[0])
        for index in range(4):
            link, packet, length = packets[index]
            data = packet[:-1] + bytes([packet[-1] ^ 1])
            damaged = packets[:index] + [(link, data, length)] + packets[index + 1 :]
            report = verify(damaged, [mkt])
            check("%s: one flipped bit in segment %d" % (section, index + 1), not is_clean(report), report["totals"])
        name = "RFC 9235 section %s with " % section
        check(name + "another key", not is_clean(verify(packets, [mkt_of(vectors[0], keyHex="00" * 16)])))
        flag = not vectors[0]["coversTcpOptions"]
        check(name + "the other option flag", not is_clean(verify(packets, [mkt_of(vectors[0], tcpOptions=flag)])))
        check(name + "no MKT at all", not is_clean(verify(packets, [])))
        check(name + "its SYN missing", not is_clean(verify(packets[1:], [mkt])))
        check(name + "another MAC length", not is_clean(verify(packets, [mkt_of(vectors[0], macLength=16)])))
        unsigned = strip_ao(packets[2])
        report = verify(packets[:2] + [unsigned] + packets[3:], [mkt])
        check(name + "one unsigned segment", not is_clean(report) and report["totals"]["unsigned"] == 1, report["totals"])
    check("an empty capture is not clean", not is_clean(verify([], [])))


def strip_ao(packet):
    """The same IP packet with NOPs in place of its TCP-AO option."""
    link, data, length = packet
    segment = tcp_segment(link, data, length)
    start = data.index(segment.tcp) + segment.ao_offset
    return link, data[:start] + b"\x01" * segment.ao_length + data[start + segment.ao_length :], length


def test_aes_cmac():
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    examples = {
        0: "bb1d6929e95937287fa37d129b756746",
        16: "070a16b46b4d4144f79bdd9dd04a287c",
        40: "dfa66747de9ae63030ca32611497c827",
        64: "51f0bebf7e3b9d92fc49741779363cfe",
    }
    for length, tag in examples.items():
        check("RFC 4493 section 4, %d octets" % length, aes_cmac(key, message[:length]).hex() == tag)


def test_sequence_number_extension():
    steps = [
        # (sequence, reference, SNE): RFC 9187's cases: before, across and behind the wrap
        (0x00000010, 0x00000001, 0),
        (0xFFFFFFF0, 0xFFFFFF00, 0),
        (0x00000005, 0xFFFFFFF0, 1),
        (0xFFFFFFF0, 0x1_00000005, 0),
        (0x00000100, 0x1_00000005, 1),
        (0x00000005, 0x1_FFFFFFF0, 2),
    ]
    for sequence, reference, sne in steps:
        got = extend_sequence(sequence, reference) >> 32
        check("SNE of %08x after %x is %d" % (sequence, reference, sne), got == sne, got)


def write_capture(folder, name, header, records):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(header + b"".join(records))
    return path


def pcap_header(order):
    return struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW)


def pcapng_block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def test_files():
    vectors = connections()["4.1"]
    packets = packets_of(vectors)
    with tempfile.TemporaryDirectory() as folder:
        for order, name in (("<", "little.pcap"), (">", "big.pcap")):
            records = [struct.pack(order + "IIII", 0, 0, len(p), n) + p for _, p, n in packets]
            path = write_capture(folder, name, pcap_header(order), records)
            check("reads %s" % name, list(read_packets(path)) == packets)
        head = pcapng_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        head += pcapng_block(1, struct.pack("<HHI", RAW, 0, 0))
        blocks = [pcapng_block(6, struct.pack("<IIIII", 0, 0, 0, len(p), n) + p) for _, p, n in packets]
        check("reads pcapng", list(read_packets(write_capture(folder, "a.pcapng", head, blocks))) == packets)
        records = [struct.pack("<IIII", 0, 0, len(p), n) + p for _, p, n in packets]
        cut = write_capture(folder, "cut.pcap", pcap_header("<"), records)
        with open(cut, "r+b") as file:
            file.truncate(os.path.getsize(cut) - 3)
        check("a cut file is refused", raises(BadCapture, lambda: list(read_packets(cut))))
        short = [(RAW, packets[0][1][:40], packets[0][2])]
        check("a short snap length is refused", raises(BadCapture, lambda: verify(short, [])))
        test_command_line(folder, cut)


def test_command_line(folder, cut):
    vectors = connections()["5.1"]
    records = [struct.pack("<IIII", 0, 0, n, n) + p for _, p, n in packets_of(vectors)]
    good = write_capture(folder, "good.pcap", pcap_header("<"), records)
    mkts = os.path.join(folder, "mkts.json")
    first = vectors[0]
    row = {"name": "k", "algorithm": algorithm_of(first), "keyHex": RFC9235["masterKeyHex"], "tcpOptions": True}
    ends = [text_of(bytes.fromhex(first[side])) for side in ("sourceAddress", "destinationAddress")]
    row["ends"] = [
        {"address": ends[0], "sendId": 61, "recvId": 84},
        {"address": ends[1], "sendId": 84, "recvId": 61},
    ]
    for wanted, capture, change in ((0, good, {}), (1, good, {"keyHex": "00"}), (2, cut, {}), (2, good, {"algorithm": "x"})):
        with open(mkts, "w") as file:
            json.dump({"mkts": [dict(row, **change)]}, file)
        out, sys.stdout = sys.stdout, open(os.devnull, "w")
        try:
            got = main([capture, mkts])
        finally:
            sys.stdout.close()
            sys.stdout = out
        check("exit code %d with %s %s" % (wanted, os.path.basename(capture), change), got == wanted, got)


def raises(kind, action):
    try:
        action()
    except kind:
        return True
    return False


if __name__ == "__main__":
    for test in [value for name, value in sorted(globals().items()) if name.startswith("test_") and name != "test_command_line"]:
        test()
    print("%d failures" % failures)
    sys.exit(1 if failures else 0)
