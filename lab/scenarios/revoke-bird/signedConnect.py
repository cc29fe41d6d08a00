# Tries a TCP connection signed with one TCP-AO key: SRC DST PORT SENDID RECVID ALGORITHM, the key in hexadecimal on stdin.
# struct tcp_ao_add of include/uapi/linux/tcp.h; prints "connected" or the error's name.
import errno, socket, struct, sys

src, dst, port, send_id, recv_id, algorithm = sys.argv[1:]
key = bytes.fromhex(sys.stdin.read().strip())
address = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(dst)).ljust(128, b"\0")
head = address + algorithm.encode().ljust(64, b"\0") + struct.pack("=iIH", 0, 0, 0)
add = head + struct.pack("=6B", 32, int(send_id), int(recv_id), 12, 0, len(key)) + key.ljust(80, b"\0")
s = socket.socket()
s.setsockopt(6, 38, add)
s.bind((src, 0))
s.settimeout(3)
try:
    s.connect((dst, int(port)))
    print("connected")
except OSError as error:
    print(errno.errorcode.get(error.errno or 0, "timed out"))
