"""An RTR-like pair (RFC 8210's Serial Query and Cache Reset), as plain as programs are: blocking sockets, no TCP-AO.

    rtrPair.py server ADDRESS PORT STATUS
    rtrPair.py client ADDRESS PORT STATUS [CONNECTIONS]

A server on :: takes IPv4 too, and a client of ::ffff:10.0.0.1 speaks IPv4 through an IPv6 socket. STATUS is a JSON file: how many
connections are up, since when all of them are, and how many answers came over the one with the fewest. SIGUSR1: the server
closes its listener and opens another, the client opens one connection more.
"""
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

QUERY = struct.pack("!BBHII", 1, 1, 7, 12, 0)
RESET = struct.pack("!BBHI", 1, 8, 0, 8)

lock = threading.Lock()
up = {}


def note(path, connection, state):
    with lock:
        if state:
            up[connection] = state
        else:
            up.pop(connection, None)
        since = max((since for since, _ in up.values()), default=0)
        count = min((count for _, count in up.values()), default=0)
        with open(path + ".new", "w") as file:
            json.dump({"since": since, "count": count, "connections": len(up)}, file)
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
    try:
        note(path, connection, (since, count))
        while True:
            if is_client:
                connection.sendall(QUERY)
                receive(connection, len(RESET))
                time.sleep(0.3)
            else:
                receive(connection, len(QUERY))
                connection.sendall(RESET)
            count += 1
            note(path, connection, (since, count))
    except OSError as error:
        print(error, flush=True)
    finally:
        note(path, connection, None)
        connection.close()


def serve(family, address, port, path):
    def listen(*_):
        nonlocal listener
        if listener:
            listener.close()
        listener = socket.create_server((address, port), family=family, dualstack_ipv6=address == "::")

    listener = None
    listen()
    signal.signal(signal.SIGUSR1, listen)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:  # closed in between
            print(error, flush=True)
            continue
        threading.Thread(target=talk, args=(connection, path, False), daemon=True).start()


def keep_connected(family, address, port, path):
    while True:
        connection = socket.socket(family)
        try:
            connection.connect((address, port))
        except OSError as error:
            print(error, flush=True)
            connection.close()
        else:
            talk(connection, path, True)
        time.sleep(0.5)


def main(role, address, port, path, connections="1"):
    note(path, None, None)
    place = (socket.AF_INET6 if ":" in address else socket.AF_INET, address, int(port), path)
    if role == "server":
        serve(*place)
    open_one = lambda *_: threading.Thread(target=keep_connected, args=place, daemon=True).start()
    signal.signal(signal.SIGUSR1, open_one)
    for _ in range(int(connections)):
        open_one()
    while True:
        signal.pause()


main(*sys.argv[1:])
