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
        head = reader.read(2)
        if len(head) < 2: return
        first, size = head
        if size > 125: size = struct.unpack(">H" if size == 126 else ">Q", reader.read(2 if size == 126 else 8))[0]
        payload = reader.read(size)
        if first == 0x88: return  # close
        if first == 0x89: send_message(10, payload)  # a ping is answered with a pong
        if first == 0x81: yield json.loads(payload)

def serve(request):
    rid, query = request["request_id"], request["query"]
    upstream_errors = OSError, ValueError, http.client.HTTPException
    try:
        up = http.client.HTTPConnection(upstream)
        up.request(request["method"], request["path"] + (f"?{query}" if query else ""),
                   base64.b64decode(request["body_b64"]) or None, request["headers"])
        answer = up.getresponse()
    except upstream_errors as error:
        text = base64.b64encode(str(error).encode()).decode()
        return send(type="http_response", request_id=rid, status=502, headers={}, body_b64=text)
    headers = {}
    for name, value in answer.getheaders():
        glue = "\n" if name.lower() in ("set-cookie", "www-authenticate") else ", "
        headers[name] = headers[name] + glue + value if name in headers else value
    send(type="http_response_start", request_id=rid, status=answer.status, headers=headers)
    try:
        while chunk := answer.read1(65536):
            send(type="http_response_chunk", request_id=rid, data_b64=base64.b64encode(chunk).decode())
    except upstream_errors as error:
        return send(type="http_response_abort", request_id=rid, message=str(error))
    send(type="http_response_end", request_id=rid)

send(type="register", tunnel_id=name, agent_token=token, features=["latin1"])
for frame in messages():
    if frame["type"] == "registered": print(frame["url"], flush=True)
    if frame["type"] == "error": sys.exit(frame["message"])
    if frame["type"] == "http_request": threading.Thread(target=serve, args=(frame,), daemon=True).start()
