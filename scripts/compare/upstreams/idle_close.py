"""An upstream with keep-alive that closes connections which were idle for the milliseconds of its argument.

Prints its port. It says nothing of that time, as many servers do. Each answer is the number of its connection.
"""
import itertools
import select
import socket
import sys
import threading

IDLE_SECONDS = float(sys.argv[1]) / 1000
numbers = itertools.count(1)


def content_length(head):
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def serve(connection, number):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(number)), number)
    read = b""
    while True:
        while b"\r\n\r\n" not in read:
            ready, _, _ = select.select([connection], [], [], IDLE_SECONDS)
            more = connection.recv(65536) if ready else b""
            if more == b"":
                return connection.close()
            read += more
        head, read = read.split(b"\r\n\r\n", 1)
        length = content_length(head)
        while len(read) < length:
            read += connection.recv(65536)
        read = read[length:]
        connection.sendall(answer)


listener = socket.create_server(("127.0.0.1", 0), backlog=128)
print(listener.getsockname()[1], flush=True)
while True:
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(peer, next(numbers)), daemon=True).start()
