"""An agent of the JSON protocol in plain Python: agent.py EDGE_HOST:PORT TOKEN NAME UPSTREAM_HOST:PORT"""
import base64, http.client, json, os, socket, struct, sys, threading

edge, token, name, upstream = sys.argv[1:]
host, port = edge.rsplit(":", 1)
link = socket.create_connection((host, int(port)))
reader, lock = link.makefile("rb"), threading.Lock()

key = base64.b64encode(os.urandom(16)).decode()
link.sendall((f"GET /agent HTTP/1.1\r\nHost: {edge}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
if b" 101 " not in reader.readline(): sys.exit("the edge refused the WebSocket")
while reader.readline() != b"\r\n": pass

def send_message(opcode, payload):
    size, mask = len(payload), os.urandom(4)
    head = bytes([0x80 | opcode, 0x80 | (size if size < 126 else 126 if size < 65536 else 127)])
    head += b"" if size < 126 else struct.pack(">H" if size < 65536 else ">Q", size)
    masked = bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))
    with lock: link.sendall(head + mask + masked)

def send(**frame): send_message(1, json.dumps(frame).encode())

def messages():
    while True:
        first, size = reader.read(2)
        if size > 125: size = struct.unpack(">H" if size == 126 else ">Q", reader.read(2 if size == 126 else 8))[0]
        payload = reader.read(size)
        if first & 15 == 8: return
        if first & 15 == 9: send_message(10, payload)
        if first & 15 == 1: yield json.loads(payload)

def serve(request):
    rid, query = request["request_id"], request["query"]
    try:
        up = http.client.HTTPConnection(upstream)
        up.request(request["method"], request["path"] + (f"?{query}" if query else ""),
                   base64.b64decode(request["body_b64"]) or None, request["headers"])
        answer = up.getresponse()
    except OSError as error:
        return send(type="http_response", request_id=rid, status=502, headers={}, body_b64=base64.b64encode(str(error).encode()).decode())
    send(type="http_response_start", request_id=rid, status=answer.status, headers=dict(answer.getheaders()))
    while chunk := answer.read1(65536):
        send(type="http_response_chunk", request_id=rid, data_b64=base64.b64encode(chunk).decode())
    send(type="http_response_end", request_id=rid)

send(type="register", tunnel_id=name, agent_token=token)
for frame in messages():
    if frame["type"] == "registered": print(frame["url"], flush=True)
    if frame["type"] == "error": sys.exit(frame["message"])
    if frame["type"] == "http_request": threading.Thread(target=serve, args=(frame,), daemon=True).start()
