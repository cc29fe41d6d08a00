# Opens sockets, places them from descriptor 3 on and becomes the program after `--`, as systemd does for a unit with
# a socket unit: LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES. TEST_LISTEN_FDS and TEST_LISTEN_PID lie about the first two.
import os
import socket
import sys


def opened(word, before):
    kind, _, place = word.partition(":")
    if kind == "unix":
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if kind == "again":
        return before.dup()
    address, _, port = place.rpartition(":")
    family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    made.bind((address.strip("[]"), int(port)))
    return made


def main(arguments):
    split = arguments.index("--")
    words, command = arguments[:split], arguments[split + 1 :]
    uid = None
    if words and words[0] == "--uid":
        uid, words = int(words[1]), words[2:]
    sockets = []
    for word in words:
        if word != "closed":
            sockets.append(opened(word, sockets[-1] if sockets else None))
    # First out of the way of each other
    high = [os.dup2(one.fileno(), 100 + place, inheritable=False) for place, one in enumerate(sockets)]
    os.closerange(3, 100)
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, 3 + place, inheritable=True)
    if uid is not None:
        drop(uid)
    environment = dict(os.environ)
    environment["LISTEN_FDS"] = environment.pop("TEST_LISTEN_FDS", str(len(words)))
    environment["LISTEN_PID"] = environment.pop("TEST_LISTEN_PID", str(os.getpid()))
    environment["LISTEN_FDNAMES"] = ":".join(["karp.socket"] * len(words))
    os.execve(command[0], command, environment)


def drop(uid):
    """Another user, and no capability that could ever come back."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    pr_capbset_drop = 24
    capability = 0
    while libc.prctl(pr_capbset_drop, capability, 0, 0, 0) == 0:
        capability += 1
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


main(sys.argv[1:])
