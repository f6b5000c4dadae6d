"""Serves what an edge wants of a node, by an agent.py for each tunnel: managed_agent.py EDGE_URL TOKEN INSTANCE"""
import http.client, json, os, random, subprocess, sys, threading, time, urllib.parse

edge, token, instance = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2], sys.argv[3]
agent = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agent.py")
errors = OSError, ValueError, http.client.HTTPException
running, etag, interval, changed = {}, "", 60, threading.Event()

def ask(method, path, body=None, fields={}):
    connection = http.client.HTTPConnection(edge.hostname, edge.port or 80, timeout=15)
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Authorization": f"Bearer {token}", **fields})
    answer = connection.getresponse()
    if answer.status >= 400: raise OSError(f"{path}: {answer.status} {answer.read().decode()}")
    return connection, answer

def refusal(tunnel):  # None where this agent can serve the tunnel
    target = urllib.parse.urlsplit(tunnel["upstream"])
    is_here = target.scheme == "http" and target.hostname in ("127.0.0.1", "localhost")
    if tunnel["kind"] != "http" or not is_here or "requires" in tunnel or "hostHeader" in tunnel:
        return f"The tunnel {tunnel['name']} is more than an http service on this machine"
def apply(tunnels):  # tunnels that stay as they are go on undisturbed; returns what is wrong, or None
    wanted = {tunnel["name"]: urllib.parse.urlsplit(tunnel["upstream"]).netloc for tunnel in tunnels}
    for name, (upstream, process) in list(running.items()):
        if wanted.get(name) != upstream or process.poll() is not None:
            process.kill(), process.wait(), running.pop(name)
    for name, upstream in wanted.items():
        if name in running: continue
        words = [sys.executable, agent, edge.netloc, token, name, upstream]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        running[name] = upstream, process
        if not process.stdout.readline(): return f"The tunnel {name} could not be opened"  # it prints its URL when it is
def poll():
    global etag, interval
    _, answer = ask("GET", "/api/agent/config", fields={"If-None-Match": etag} if etag else {})
    if answer.status == 304: return
    config = json.load(answer)
    reason = next(filter(None, map(refusal, config["tunnels"])), None) or apply(config["tunnels"])
    ack = {"version": config["version"], "checksum": config["checksum"], "ok": reason is None, "instance": instance}
    ask("POST", "/api/agent/ack", ack if reason is None else {**ack, "error": reason})
    etag, interval = answer.getheader("ETag"), config["pollIntervalMs"] / 1000
def listen():
    last, pause = {}, 1
    while True:
        began = time.monotonic()
        try:
            connection, stream = ask("GET", f"/api/agent/push?instance={instance}", fields=last)
            connection.sock.settimeout(75)
            changed.set()  # what changed between config and stream is told by neither
            for line in stream:
                if line.startswith(b"id: "): last = {"Last-Event-ID": line[4:].strip().decode()}
                if line.startswith(b"event: config_changed"): changed.set()
        except errors as error: print(error, file=sys.stderr)
        pause = 1 if time.monotonic() - began > 5 else min(30, pause * 2)
        time.sleep(random.uniform(0, pause))
threading.Thread(target=listen, daemon=True).start()
while True:
    try: poll()
    except errors as error: print(error, file=sys.stderr)
    if changed.wait(interval): changed.clear()
