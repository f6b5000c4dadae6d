"""A private service for gunicorn (PEP 3333)."""
import hashlib, os, time


def events(name):
    for event in 1, 2, 3:
        while not os.path.exists(f"{os.environ['RELEASES']}/{name}-{event}"):
            time.sleep(0.005)
        yield f"data: {event}\n\n".encode()


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/events/"):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return events(path.rsplit("/", 1)[1])
    status, text = "200 OK", "hello\n"
    if path == "/refuse":
        status, text = "413 Request Entity Too Large", "too large\n"
    elif path == "/echo":
        body = environ["wsgi.input"].read()
        text = f"{len(body)} {hashlib.sha256(body).hexdigest()}\n"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]
