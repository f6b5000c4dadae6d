/** Many large bodies at once, compared byte by byte: buffers are used again as soon as their bytes have left. */
import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import * as net from "node:net";
import { after, before, describe, it } from "node:test";
import { sequence } from "../../scripts/lib/sequence.mjs";
import { fetchUpstream } from "../../src/http/fetch_upstream.ts";
import { eventually } from "../support/net.ts";
import { startTunnel, type Tunnel } from "../support/tunnel.ts";

const bodyBytes = 8 * 1024 * 1024;
const headEnd = "\r\n\r\n";

const expected = hashOf(sequence(bodyBytes));

function hashOf(blocks: Iterable<Uint8Array>): string {
  const hash = createHash("sha256");
  for (const block of blocks) hash.update(block);
  return hash.digest("hex");
}

/** Reads heads and bodies from a plain socket, one after another. */
class Peer {
  readonly socket: net.Socket;
  readonly #reads: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    this.#reads = socket[Symbol.asyncIterator]();
  }

  async readUntil(end: string): Promise<string> {
    let text = "";
    while (!text.endsWith(end)) text += String.fromCharCode(...await this.#take(1));
    return text;
  }

  /**
   * Adds the next `bytes` to `hash`.
   * @param slowly waits for some event-loop ticks between reads, so that the sender stalls again and again
   */
  async readInto(hash: Hash, bytes: number, slowly = false): Promise<void> {
    for (let left = bytes; left > 0;) {
      const read = await this.#take(left);
      hash.update(read);
      left -= read.length;
      for (let tick = 0; slowly && tick < 20; tick++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async hashOfChunks(slowly = false): Promise<string> {
    const hash = createHash("sha256");
    for (let size = -1; size !== 0;) {
      size = parseInt(await this.readUntil("\r\n"), 16);
      await this.readInto(hash, size, slowly);
      await this.readUntil("\r\n");
    }
    return hash.digest("hex");
  }

  async hashOf(bytes: number, slowly = false): Promise<string> {
    const hash = createHash("sha256");
    await this.readInto(hash, bytes, slowly);
    return hash.digest("hex");
  }

  async send(blocks: Iterable<Uint8Array>, chunked: boolean): Promise<void> {
    for (const block of blocks) {
      if (chunked) this.socket.write(`${block.length.toString(16)}\r\n`);
      const isReady = this.socket.write(block);
      if (chunked) this.socket.write("\r\n");
      if (this.socket.destroyed) return;
      if (!isReady) await Promise.race([once(this.socket, "drain"), once(this.socket, "close")]);
    }
    if (chunked) this.socket.write("0\r\n\r\n");
  }

  async #take(most: number): Promise<Uint8Array> {
    if (this.#rest.length === 0) {
      const { value, done } = await this.#reads.next();
      if (done) throw new Error("the connection ended");
      this.#rest = value;
    }
    const taken = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }
}

/** GET: the sequence, in chunks of odd sizes for /chunked. PUT: the hash of what came; /slow reads slowly. */
async function serve(socket: net.Socket): Promise<void> {
  const peer = new Peer(socket);
  for (;;) {
    const head = await peer.readUntil(headEnd);
    if (head.startsWith("PUT ")) {
      const slowly = head.includes(" /slow ");
      const isChunked = /^transfer-encoding:/im.test(head);
      const hash = await (isChunked ? peer.hashOfChunks(slowly) : peer.hashOf(bodyBytes, slowly));
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${hash.length}\r\n\r\n${hash}`);
      continue;
    }
    const chunked = head.includes(" /chunked ");
    socket.write(
      `HTTP/1.1 200 OK\r\n${chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${bodyBytes}`}${headEnd}`,
    );
    await peer.send(chunked ? oddBlocks() : sequence(bodyBytes), chunked);
  }
}

/** The sequence in blocks of 1 byte to 64 KiB. */
function* oddBlocks(): Generator<Uint8Array> {
  let size = 1;
  for (const block of sequence(bodyBytes)) {
    for (let at = 0; at < block.length; at += size) {
      size = (size * 7 + 13) % 65_536 + 1;
      yield block.subarray(at, at + size);
    }
  }
}

async function ask(tunnel: Tunnel, head: string): Promise<Peer> {
  const socket = net.connect({ host: "127.0.0.1", port: tunnel.port });
  await once(socket, "connect");
  socket.write(`${head} HTTP/1.1\r\nHost: ${tunnel.host}\r\n`);
  return new Peer(socket);
}

async function download(tunnel: Tunnel, slowly: boolean): Promise<void> {
  const peer = await ask(tunnel, "GET /plain");
  peer.socket.write("\r\n");
  await peer.readUntil(headEnd);
  assert.equal(await peer.hashOf(bodyBytes, slowly), expected);
  peer.socket.destroy();
}

async function downloadChunked(tunnel: Tunnel): Promise<void> {
  const peer = await ask(tunnel, "GET /chunked");
  peer.socket.write("\r\n");
  await peer.readUntil(headEnd);
  assert.equal(await peer.hashOfChunks(), expected);
  peer.socket.destroy();
}

async function upload(tunnel: Tunnel, target: string, chunked: boolean): Promise<void> {
  const peer = await ask(tunnel, `PUT ${target}`);
  peer.socket.write(`${chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${bodyBytes}`}${headEnd}`);
  const sent = peer.send(chunked ? oddBlocks() : sequence(bodyBytes), chunked);
  await peer.readUntil(headEnd + expected);
  await sent;
  peer.socket.destroy();
}

/** Takes a megabyte of an answer, or gives one of a request, and breaks off. */
async function breakOff(tunnel: Tunnel, isUpload: boolean): Promise<void> {
  const peer = await ask(tunnel, isUpload ? "PUT /slow" : "GET /plain");
  peer.socket.write(isUpload ? `Content-Length: ${bodyBytes}${headEnd}` : "\r\n");
  if (isUpload) await peer.send(sequence(1_000_000), false);
  else await peer.hashOf(1_000_000);
  peer.socket.resetAndDestroy();
}

describe("bulk through a tunnel", () => {
  let upstream: net.Server;
  let tunnel: Tunnel;
  before(async () => {
    // Each connection ends in an error when its client ends it.
    upstream = net.createServer((socket) => void serve(socket).catch(() => socket.destroy())).listen(0, "127.0.0.1");
    await once(upstream, "listening");
    const { port } = upstream.address() as net.AddressInfo;
    tunnel = await startTunnel({ kind: "tcp", host: "127.0.0.1", port }, { protocol: "v2" });
  });
  after(async () => {
    await tunnel.close();
    upstream.close();
  });

  it("is byte-exact when many fast and slow transfers share the connection and some break off", async () => {
    const whole = [
      ...[false, false, true, true].map((slowly) => download(tunnel, slowly)),
      downloadChunked(tunnel),
      upload(tunnel, "/fast", false),
      upload(tunnel, "/slow", false),
      upload(tunnel, "/slow", true),
    ];
    const broken = Promise.all([false, true, false, true].map((isUpload) => breakOff(tunnel, isUpload)));
    await Promise.all([...whole, broken]);
  });
});

describe("bulk through a function", () => {
  it("leaves the function the chunks that it keeps and sends back", async () => {
    const seen: Uint8Array[] = [];
    const echo = fetchUpstream((request) => {
      const kept = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          seen.push(chunk);
          controller.enqueue(chunk);
        },
      });
      return new Response(request.body!.pipeThrough(kept));
    });
    const tunnel = await startTunnel(echo, { protocol: "v2" });
    try {
      const peer = await ask(tunnel, "PUT /echo");
      peer.socket.write(`Content-Length: ${bodyBytes}${headEnd}`);
      const sent = peer.send(sequence(bodyBytes), false);
      await peer.readUntil(headEnd);
      assert.equal(await peer.hashOfChunks(), expected);
      await sent;
      assert.equal(hashOf(seen), expected);
      peer.socket.destroy();
      await eventually(() => peer.socket.destroyed);
    } finally {
      await tunnel.close();
    }
  });
});
