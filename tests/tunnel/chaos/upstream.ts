/**
 * The private service of a chaos run. It checks every byte that it is sent, and counts what runs on it just now.
 *
 *     GET /download?seed=S&size=N   N bytes of pattern S
 *     PUT /upload?seed=S&size=N     takes N bytes of pattern S, and says that they came
 *     GET /events?seed=S&size=N     N Server-Sent Events, numbered from 1
 *     GET /raw?seed=S&size=N        upgraded to raw bytes: N of pattern S from the visitor, N of pattern S + 1 to it
 *     POST /echo?seed=S&size=N      sends N bytes of pattern S back, in one piece
 *     GET /endless?seed=S           pattern S until the visitor leaves
 *     GET /socket                   a WebSocket (of `ws`) that sends back each message
 */
import type { Buffer } from "node:buffer";
import { once } from "node:events";
import * as net from "node:net";
import type { Handler } from "../../../src/http/message.ts";
import { HttpClient } from "../../../src/http1/client/client.ts";
import { type ForeignServer, type ForeignSocket, WebSocketServer } from "../../websocket/foreign.ts";
import { BLOCK_BYTES, Pattern } from "./pattern.ts";
import { Wire } from "./wire.ts";

/** Events that are written at once, and the milliseconds until the next ones: a stream of 10,000 takes some seconds. */
const EVENTS_AT_ONCE = 20;
const EVENTS_PAUSE_MS = 10;

/** One event as it is on the wire. */
export const eventText = (seed: number, number: number): string =>
  `id: ${number}\ndata: event ${number} of ${seed}\n\n`;

export class ChaosUpstream {
  /** What went wrong in the eyes of the upstream. */
  readonly faults: string[] = [];
  /** What the agent asks. */
  readonly handler: Handler;
  /** Exchanges that are under way. */
  active = 0;
  /** Visitors of /endless that were seen to leave. */
  left = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #echo: ForeignServer;
  readonly #clients: readonly HttpClient[];
  #closing = false;

  private constructor(server: net.Server, echo: ForeignServer) {
    this.#server = server;
    this.#echo = echo;
    server.on("connection", (socket: net.Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      void this.#serve(new Wire(socket));
    });
    echo.on("connection", (socket: ForeignSocket) => this.#serveEcho(socket));
    const [plain, sockets] = [server, echo].map((one) => {
      const { port } = one.address() as net.AddressInfo;
      return new HttpClient({ target: { kind: "tcp", host: "127.0.0.1", port } });
    }) as [HttpClient, HttpClient];
    this.#clients = [plain, sockets];
    this.handler = (head, body, signal) =>
      (head.target.startsWith("/socket") ? sockets : plain).request(head, body, signal);
  }

  static async start(): Promise<ChaosUpstream> {
    const server = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    const echo = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
    await Promise.all([once(server, "listening"), once(echo, "listening")]);
    return new ChaosUpstream(server, echo);
  }

  close(): void {
    this.#closing = true;
    for (const client of this.#clients) client.close();
    for (const socket of this.#sockets) socket.destroy();
    for (const socket of this.#echo.clients) socket.terminate();
    this.#server.close();
    this.#echo.close();
  }

  async #serve(wire: Wire): Promise<void> {
    let what = "";
    try {
      for (;;) {
        const head = await wire.readHead();
        if (head === null) return wire.end();
        what = head.slice(0, head.indexOf(" HTTP/"));
        this.active++;
        try {
          await this.#answer(wire, what);
        } finally {
          this.active--;
        }
        what = "";
      }
    } catch (error) {
      // Between two requests the agent's client may leave as it likes.
      if (what !== "" && !this.#closing) this.faults.push(`${what} at the upstream: ${error}`);
      wire.destroy();
    }
  }

  async #answer(wire: Wire, what: string): Promise<void> {
    const { pathname, searchParams } = new URL(what.slice(what.indexOf(" ") + 1), "http://upstream");
    const seed = Number(searchParams.get("seed"));
    const size = Number(searchParams.get("size"));
    switch (pathname) {
      case "/download":
        await wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        return await sendPattern(wire, seed, size);
      case "/upload": {
        await takePattern(wire, seed, size, what);
        const body = `took ${size}`;
        return await wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      }
      case "/events":
        return await sendEvents(wire, seed, size);
      case "/echo": {
        const body = new Uint8Array(size);
        let taken = 0;
        await wire.readExactly(size, (piece) => {
          body.set(piece, taken);
          taken += piece.length;
        });
        await wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        return await wire.write(body);
      }
      case "/endless":
        await wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        return await this.#sendUntilLeft(wire, seed);
      case "/raw":
        await wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chaos\r\n\r\n");
        await Promise.all([takePattern(wire, seed, size, what), sendPattern(wire, seed + 1, size)]);
        if (await wire.read() !== null) throw new Error("there was more than was to be sent");
        return wire.end();
      default:
        throw new Error("nothing is there");
    }
  }

  async #sendUntilLeft(wire: Wire, seed: number): Promise<void> {
    const pattern = new Pattern(seed);
    try {
      for (let sent = 0;;) {
        const block = pattern.at(sent, BLOCK_BYTES);
        sent += block.length;
        await wire.write(`${block.length.toString(16)}\r\n`);
        await wire.write(block);
        await wire.write("\r\n");
      }
    } catch {
      this.left++;
    }
  }

  #serveEcho(socket: ForeignSocket): void {
    this.active++;
    socket.on("message", (data: Buffer) => socket.send(data, { binary: true }));
    socket.on("error", (error) => this.#closing || this.faults.push(`/socket at the upstream: ${error}`));
    socket.on("close", (code) => {
      this.active--;
      if (code !== 1000 && !this.#closing) this.faults.push(`/socket at the upstream was closed with ${code}`);
    });
  }
}

export async function sendPattern(wire: Wire, seed: number, size: number): Promise<void> {
  const pattern = new Pattern(seed);
  for (let sent = 0; sent < size;) {
    const block = pattern.at(sent, Math.min(BLOCK_BYTES, size - sent));
    sent += block.length;
    await wire.write(block);
  }
}

export async function takePattern(
  wire: Wire,
  seed: number,
  size: number,
  what: string,
  onBytes: (count: number) => void = () => {},
): Promise<void> {
  const pattern = new Pattern(seed);
  let offset = 0;
  await wire.readExactly(size, (piece) => {
    pattern.check(piece, offset, what);
    offset += piece.length;
    onBytes(piece.length);
  });
}

async function sendEvents(wire: Wire, seed: number, count: number): Promise<void> {
  await wire.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (let next = 1; next <= count;) {
    let text = "";
    for (let at = 0; at < EVENTS_AT_ONCE && next <= count; at++) text += eventText(seed, next++);
    await wire.write(`${text.length.toString(16)}\r\n${text}\r\n`);
    await new Promise((resolve) => setTimeout(resolve, EVENTS_PAUSE_MS));
  }
  await wire.write("0\r\n\r\n");
}
