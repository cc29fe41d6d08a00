#!/usr/bin/env python3
"""Verifies every TCP-AO segment of a capture with the given master key tuples.

usage: verify_capture.py CAPTURE MKTS.json

CAPTURE is a pcap or pcapng file. MKTS.json:
  {"mkts": [{"name": "...", "algorithm": "aes-128-cmac-96", "keyHex": "...", "tcpOptions": true, "macLength": 12,
             "ends": [{"address": "10.0.0.1", "sendId": 1, "recvId": 2},
                      {"address": "10.0.0.2", "sendId": 2, "recvId": 1}]}]}
(macLength may be left out: then it is the algorithm's own.)

Prints JSON. Exit code 0: every segment of every connection whose beginning was captured is signed and verifies;
1: not so; 2: the input cannot be used. This program shares no code with what it verifies, and needs only Python.
"""

import json
import socket
import sys

from captures import BadCapture, read_packets, tcp_segment
from tcp_ao import ACK, ALGORITHMS, FIN, Malformed, RST, SYN, expected_mac, extend_sequence

MAX_DETAILS = 50


class Mkt:
    """One master key tuple: `send_ids` maps the sender's address to the KeyID that it uses."""

    def __init__(self, row):
        self.name = row["name"]
        if row["algorithm"] not in ALGORITHMS:
            raise ValueError("%s: unknown algorithm %s" % (self.name, row["algorithm"]))
        self.algorithm = ALGORITHMS[row["algorithm"]]
        self.key = bytes.fromhex(row["keyHex"])
        self.cover_options = row["tcpOptions"]
        self.mac_length = row.get("macLength", self.algorithm.tag_length)
        a, b = row["ends"]
        if a["sendId"] != b["recvId"] or b["sendId"] != a["recvId"]:
            raise ValueError("%s: one end's SendID is not the other's RecvID" % self.name)
        self.send_ids = {_address(a): a["sendId"], _address(b): b["sendId"]}

    def fits(self, segment):
        ids = self.send_ids
        return segment.destination in ids and ids.get(segment.source) == segment.key_id

    def verifies(self, segment, isns, sne):
        if len(segment.mac) != self.mac_length:
            return False
        mac = expected_mac(self.algorithm, self.key, segment, isns, sne, self.cover_options)
        return mac[: self.mac_length] == segment.mac


def _address(end):
    text = end["address"]
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def _text(end):
    address, port = end
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return "%s port %d" % (socket.inet_ntop(family, address), port)


class Direction:
    """What one end sent."""

    def __init__(self):
        self.isn = None
        self.reference = None  # highest sequence number so far, extended to 64 bits
        self.segments = self.verified = self.failed = self.unsigned = 0
        self.runs = []  # uninterrupted uses of one KeyID
        self.rnext_key_ids = []
        self.mkts = []

    def begin(self, isn):
        self.isn = isn
        self.reference = isn

    def sne_of(self, sequence):
        extended = extend_sequence(sequence, self.reference)
        self.reference = max(self.reference, extended)
        return extended >> 32

    def note_use(self, frame, segment):
        if not self.runs or self.runs[-1]["keyId"] != segment.key_id:
            self.runs.append({"keyId": segment.key_id, "count": 0, "firstFrame": frame, "lastFrame": frame})
        self.runs[-1]["count"] += 1
        self.runs[-1]["lastFrame"] = frame
        if segment.rnext_key_id not in self.rnext_key_ids:
            self.rnext_key_ids.append(segment.rnext_key_id)

    def report(self):
        totals = {}
        for run in self.runs:
            totals[run["keyId"]] = totals.get(run["keyId"], 0) + run["count"]
        return {
            "segments": self.segments,
            "verified": self.verified,
            "failed": self.failed,
            "unsigned": self.unsigned,
            "keyIds": [{"keyId": key_id, "count": count} for key_id, count in totals.items()],
            "runs": self.runs,
            "rnextKeyIds": self.rnext_key_ids,
            "mkts": self.mkts,
        }


class Connection:
    def __init__(self, client, server):
        self.ends = (client, server)
        self.directions = {client: Direction(), server: Direction()}
        self.established = False

    def report(self):
        client, server = self.ends
        return {
            "client": _text(client),
            "server": _text(server),
            "beginningCaptured": self.directions[client].isn is not None,
            "established": self.established,
            "fromClient": self.directions[client].report(),
            "fromServer": self.directions[server].report(),
        }


class Verifier:
    def __init__(self, mkts):
        self._mkts = mkts
        self._current = {}
        self.connections = []
        self.details = []

    def take(self, frame, segment):
        source = (segment.source, segment.source_port)
        destination = (segment.destination, segment.destination_port)
        connection = self._connection(source, destination, segment)
        mine, other = connection.directions[source], connection.directions[destination]
        mine.segments += 1
        if segment.flags & (SYN | RST | FIN) == 0 and mine.isn is not None and other.isn is not None:
            connection.established = True
        if not segment.signed:
            mine.unsigned += 1
            self._note(frame, segment, "unsigned")
            return
        mine.note_use(frame, segment)
        problem = self._problem(segment, mine, other)
        if problem is None:
            mine.verified += 1
        else:
            mine.failed += 1
            self._note(frame, segment, problem)

    def _connection(self, source, destination, segment):
        """The connection of a segment; a SYN with a new ISN begins a new one."""
        name = frozenset((source, destination))
        known = self._current.get(name)
        answer = bool(segment.flags & ACK)
        if not segment.flags & SYN:
            return known or self._begin(name, source, destination)
        if known is None or not answer and known.directions[source].isn not in (None, segment.sequence):
            ends = (destination, source) if answer else (source, destination)
            known = self._begin(name, *ends)
        if known.directions[source].isn is None or answer and not known.established:
            known.directions[source].begin(segment.sequence)  # a SYN-ACK may be made anew until it is accepted
        return known

    def _begin(self, name, client, server):
        connection = Connection(client, server)
        self._current[name] = connection
        self.connections.append(connection)
        return connection

    def _problem(self, segment, mine, other):
        """Why the segment does not verify, or None."""
        if mine.isn is None:
            return "signed, but the connection's beginning was not captured"
        candidates = [mkt for mkt in self._mkts if mkt.fits(segment)]
        if not candidates:
            return "no MKT with KeyID %d for this direction" % segment.key_id
        first_syn = segment.flags & SYN and not segment.flags & ACK
        if not first_syn and other.isn is None:
            return "the other end's ISN was not captured"
        isns = (mine.isn, 0 if first_syn else other.isn)  # RFC 5925 section 5.2: no destination ISN in a SYN
        sne = mine.sne_of(segment.sequence)
        for mkt in candidates:
            if mkt.verifies(segment, isns, sne):
                if mkt.name not in mine.mkts:
                    mine.mkts.append(mkt.name)
                return None
        return "wrong MAC for KeyID %d" % segment.key_id

    def _note(self, frame, segment, problem):
        if len(self.details) < MAX_DETAILS:
            ends = (segment.source, segment.source_port), (segment.destination, segment.destination_port)
            where = "%s > %s, flags 0x%02x" % (_text(ends[0]), _text(ends[1]), segment.flags)
            self.details.append({"frame": frame, "segment": where, "problem": problem})

    def report(self):
        connections = [connection.report() for connection in self.connections]
        sides = [c[side] for c in connections for side in ("fromClient", "fromServer")]
        names = ("segments", "verified", "failed", "unsigned")
        return {
            "totals": {name: sum(side[name] for side in sides) for name in names},
            "connections": connections,
            "details": self.details,
        }


def verify(packets, mkts):
    """The report over an iterable of (link type, packet, original length)."""
    verifier = Verifier(mkts)
    malformed = 0
    for frame, (link, packet, original) in enumerate(packets, 1):
        try:
            segment = tcp_segment(link, packet, original)
        except Malformed as problem:
            malformed += 1
            verifier.details.append({"frame": frame, "segment": "?", "problem": str(problem)})
            continue
        if segment is not None:
            verifier.take(frame, segment)
    report = verifier.report()
    report["totals"]["malformed"] = malformed
    return report


def is_clean(report):
    captured = [c for c in report["connections"] if c["beginningCaptured"]]
    sides = [c[side] for c in captured for side in ("fromClient", "fromServer")]
    if report["totals"]["malformed"] or not any(side["verified"] for side in sides):
        return False
    return all(side["failed"] == 0 and side["unsigned"] == 0 for side in sides)


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(arguments[1]) as file:
            mkts = [Mkt(row) for row in json.load(file)["mkts"]]
        report = verify(read_packets(arguments[0]), mkts)
    except (BadCapture, OSError, ValueError, KeyError) as problem:
        print("verify_capture: %s: %s" % (type(problem).__name__, problem), file=sys.stderr)
        return 2
    json.dump(report, sys.stdout, indent=1)
    print()
    return 0 if is_clean(report) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
