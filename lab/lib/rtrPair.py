"""An RTR-like pair (RFC 8210's Serial Query and Cache Reset), as plain as programs are: blocking sockets, no TCP-AO.

    rtrPair.py server ADDRESS PORT STATUS
    rtrPair.py client ADDRESS PORT STATUS

A server on :: takes IPv4 too, and a client of ::ffff:10.0.0.1 speaks IPv4 through an IPv6 socket. STATUS is a JSON file: since when the connection is up, and how many answers came over it.
"""
import json
import os
import socket
import struct
import sys
import time

QUERY = struct.pack("!BBHII", 1, 1, 7, 12, 0)
RESET = struct.pack("!BBHI", 1, 8, 0, 8)


def note(path, since, count):
    with open(path + ".new", "w") as file:
        json.dump({"since": since, "count": count}, file)
    os.rename(path + ".new", path)


def receive(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data


def talk(connection, path, is_client):
    connection.settimeout(15)
    since, count = time.time(), 0
    note(path, since, count)
    while True:
        if is_client:
            connection.sendall(QUERY)
            receive(connection, len(RESET))
            time.sleep(0.3)
        else:
            receive(connection, len(QUERY))
            connection.sendall(RESET)
        count += 1
        note(path, since, count)


def main(role, address, port, path):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = None
    if role == "server":
        listener = socket.create_server((address, int(port)), family=family, dualstack_ipv6=address == "::")
    while True:
        note(path, 0, 0)
        connection = None
        try:
            if listener:
                connection, _ = listener.accept()
            else:
                connection = socket.socket(family)
                connection.connect((address, int(port)))
            talk(connection, path, listener is None)
        except OSError as error:
            print(role, error, flush=True)
            time.sleep(0.5)
        finally:
            if connection:
                connection.close()


main(*sys.argv[1:])
