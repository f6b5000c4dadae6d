"""A private service for uvicorn (ASGI 3)."""
import asyncio, hashlib, os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path.startswith("/events/"):
        return await events(path.rsplit("/", 1)[1], send)
    status, text = 200, "hello\n"
    if path == "/refuse":
        status, text = 413, "too large\n"
    elif path == "/echo":
        length, digest, more = 0, hashlib.sha256(), True
        while more:
            message = await receive()
            length += len(message["body"])
            digest.update(message["body"])
            more = message["more_body"]
        text = f"{length} {digest.hexdigest()}\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


async def events(name, send):
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for event in 1, 2, 3:
        while not os.path.exists(f"{os.environ['RELEASES']}/{name}-{event}"):
            await asyncio.sleep(0.005)
        await send({"type": "http.response.body", "body": f"data: {event}\n\n".encode(), "more_body": True})
    await send({"type": "http.response.body"})
