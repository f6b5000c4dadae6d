/**
 * Compressed event streams, read by programs that others wrote: each event is seen before the next one is written. An
 * nginx that compresses by itself holds them until the end.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually, freePort } from "../support/net.ts";
import { withNginx } from "../support/nginx.ts";
import { missingPeer } from "../support/peers.ts";
import { type ScriptedPeer, ScriptedServer } from "../support/scripted_server.ts";
import { type Protocol, protocols, type Tunnel, withTunnelTo } from "../support/tunnel.ts";

const EVENTS = 5;
const python = [join(dirname(fileURLToPath(import.meta.url)), "programs", "gunzip_events.py")];
const eventOf = (number: number) => `id: ${number}\ndata: event ${number} of a stream\n\n`;

/** A program of the system, and what it has printed. */
class ForeignReader {
  output = "";
  readonly #ended: Promise<unknown>;
  readonly #kill: () => void;

  constructor(command: string, words: readonly string[]) {
    const child = spawn(command, words, { stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.setEncoding("utf8").on("data", (text: string) => this.output += text);
    this.#ended = once(child, "close");
    this.#kill = () => void child.kill();
  }

  has(text: string): Promise<void> {
    return eventually(() => this.output.includes(text), { message: `${text} in ${this.output}` });
  }

  async whenEnded(): Promise<void> {
    await this.#ended;
  }

  async end(): Promise<void> {
    this.#kill();
    await this.#ended;
  }

  /** The lines of JSON that the Python program prints. */
  get lines(): { coding?: string; text?: string; isWhole?: boolean }[] {
    return this.output.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }
}

/** `/events` is a stream, whose peer `whenAsked` resolves to; everything else is answered at once. */
class EventServer {
  readonly server: ScriptedServer;
  readonly whenAsked: Promise<ScriptedPeer>;

  private constructor(server: ScriptedServer, whenAsked: Promise<ScriptedPeer>) {
    this.server = server;
    this.whenAsked = whenAsked;
  }

  static async start(): Promise<EventServer> {
    const { promise, resolve } = Promise.withResolvers<ScriptedPeer>();
    const server = await ScriptedServer.start(async (peer) => {
      for (;;) {
        const isStream = /^GET \/events /.test(await peer.readHead());
        if (!isStream) {
          await peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
          continue;
        }
        await peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        resolve(peer);
        return peer.whenClosed();
      }
    });
    return new EventServer(server, promise);
  }
}

async function sendEvent(peer: ScriptedPeer, number: number): Promise<void> {
  const text = eventOf(number);
  await peer.send(`${text.length.toString(16)}\r\n${text}\r\n`);
}

async function endStream(peer: ScriptedPeer): Promise<void> {
  await peer.send("0\r\n\r\n");
}

/** Has `reader` see each event before the next one is written, and then the end. */
async function seeEach(upstream: EventServer, reader: ForeignReader): Promise<void> {
  try {
    const peer = await upstream.whenAsked;
    for (let number = 1; number <= EVENTS; number++) {
      await sendEvent(peer, number);
      await reader.has(`event ${number} of`);
      assert.ok(!reader.output.includes(`event ${number + 1} of`));
    }
    await endStream(peer);
    await reader.whenEnded();
  } finally {
    await reader.end();
  }
}

async function withEvents(
  protocol: Protocol,
  act: (tunnel: Tunnel, upstream: EventServer) => Promise<void>,
): Promise<void> {
  const upstream = await EventServer.start();
  await withTunnelTo(upstream.server, { protocol, compress: true }, (tunnel) => act(tunnel, upstream));
}

for (const protocol of protocols) {
  describe(`a compressed event stream over ${protocol}`, () => {
    it(
      "is decoded event by event by Python's zlib",
      { skip: missingPeer("python3") },
      () =>
        withEvents(protocol, async (tunnel, upstream) => {
          const reader = new ForeignReader("python3", [...python, String(tunnel.port), tunnel.host, "/events"]);
          await seeEach(upstream, reader);
          const [head, ...pieces] = reader.lines;
          assert.equal(head?.coding, "gzip");
          assert.equal(pieces.pop()?.isWhole, true);
          assert.deepEqual(pieces.map(({ text }) => text), Array.from({ length: EVENTS }, (_, at) => eventOf(at + 1)));
        }),
    );

    it(
      "is decoded event by event by curl --compressed -N",
      { skip: missingPeer("curl") },
      () =>
        withEvents(protocol, async (tunnel, upstream) => {
          const url = `http://127.0.0.1:${tunnel.port}/events`;
          const reader = new ForeignReader("curl", ["-sN", "--compressed", "-H", `Host: ${tunnel.host}`, url]);
          await seeEach(upstream, reader);
          assert.equal(reader.output, Array.from({ length: EVENTS }, (_, at) => eventOf(at + 1)).join(""));
        }),
    );

    it(
      "comes event by event through an nginx that buffers and compresses",
      { skip: missingPeer("nginx") || missingPeer("python3") },
      () =>
        withEvents(protocol, async (tunnel, upstream) => {
          const port = await freePort();
          await withNginx(port, compressingServer(port, tunnel.port), async () => {
            const reader = new ForeignReader("python3", [...python, String(port), tunnel.host, "/events"]);
            await seeEach(upstream, reader);
            assert.equal(reader.lines[0]?.coding, "gzip");
            assert.equal(reader.lines.at(-1)?.isWhole, true);
          });
        }),
    );
  });
}

function compressingServer(port: number, upstreamPort: number): string {
  return `gzip on; gzip_types text/event-stream; gzip_min_length 0; gzip_proxied any;
    server {
      listen 127.0.0.1:${port};
      location / { proxy_pass http://127.0.0.1:${upstreamPort}; proxy_http_version 1.1; proxy_set_header Host $http_host; }
    }`;
}

describe("an event stream that nginx compresses", () => {
  it("is held until its end", { skip: missingPeer("nginx") || missingPeer("python3") }, async () => {
    const upstream = await EventServer.start();
    const port = await freePort();
    await withNginx(port, compressingServer(port, upstream.server.port), async () => {
      const reader = new ForeignReader("python3", [...python, String(port), "a.test", "/events"]);
      try {
        const peer = await upstream.whenAsked;
        for (let number = 1; number <= EVENTS; number++) {
          await sendEvent(peer, number);
          // nginx does one thing after the other: it has read the event before it answers these.
          for (let count = 0; count < 2; count++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
        }
        await endStream(peer);
        await reader.whenEnded();
        const [head, first] = reader.lines;
        assert.equal(head?.coding, "gzip");
        assert.match(first?.text ?? "", new RegExp(`event 1 of[^]*event ${EVENTS} of`));
      } finally {
        await reader.end();
      }
    });
    await upstream.server.close();
  });
});
