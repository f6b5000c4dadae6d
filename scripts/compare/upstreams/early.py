"""An upstream that answers after the head, and closes while bytes of the body wait unread: the kernel then sends RST.

Prints its port. The path says how the answer is framed: /length, /chunked, /close, /split (head and body apart).
"""
import socket
import threading

HEAD = b"HTTP/1.1 413 Content Too Large\r\n"
ANSWERS = {
    b"/length": [HEAD + b"Content-Length: 8\r\nConnection: close\r\n\r\ntoo long"],
    b"/chunked": [HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\ntoo long\r\n0\r\n\r\n"],
    b"/close": [HEAD + b"Connection: close\r\n\r\ntoo long"],
    b"/split": [HEAD + b"Content-Length: 8\r\nConnection: close\r\n\r\n", b"too long"],
}
FOUND = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"]


def serve(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if byte == b"":
            return connection.close()
        head += byte
    method, path = head.split(b" ", 2)[:2]
    if method == b"POST":
        connection.recv(1, socket.MSG_PEEK)
    for part in ANSWERS[path] if method == b"POST" else FOUND:
        connection.sendall(part)
    connection.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=128)
print(listener.getsockname()[1], flush=True)
while True:
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(peer,), daemon=True).start()
