/** A server on a real socket, a clock that stands still, and clients that speak bytes. */
import assert from "node:assert/strict";
import type { CancelSignal } from "../../../src/base/cancel.ts";
import type { Answer, Body, Fields, Handler, RequestHead } from "../../../src/http/message.ts";
import { HttpServer } from "../../../src/http1/server/server.ts";
import type { HttpServerOptions } from "../../../src/http1/server/options.ts";
import { dial, type Socket, type SocketError } from "../../../src/net/mod.ts";
import { FakeClock } from "../../support/clock.ts";
import { FedBody } from "../../support/client_requests.ts";
import { bytesOf, eventually, latin1, SocketReader, startTcpServer, type TcpServer } from "../../support/net.ts";

export const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** One client's end, in Latin-1. */
export class RawClient {
  readonly socket: Socket;
  readonly reader: SocketReader;

  constructor(socket: Socket, options: { paused?: boolean } = {}) {
    this.socket = socket;
    this.reader = new SocketReader(socket, options);
  }

  send(text: string): void {
    this.socket.write(bytesOf(text));
  }

  /** The next bytes are these. */
  async expect(text: string): Promise<void> {
    assert.equal(latin1(await this.reader.read(text.length)), text);
  }

  /** These are the last bytes, and a FIN comes behind them. */
  async expectEnd(text = ""): Promise<void> {
    assert.equal(latin1(await this.reader.readAll()), text);
  }

  /** The other end takes nothing more. Behind a FIN a runtime may only see that when it writes. */
  async expectGone(): Promise<void> {
    await eventually(() => {
      this.send("x");
      return this.reader.sawClose;
    }, { message: "the connection is gone" });
    assert.equal((await this.reader.closed)?.code, "connection_reset");
  }

  /** The connection breaks off. Returns what came before. */
  async expectReset(): Promise<string> {
    const error: SocketError | null = await this.reader.closed;
    assert.equal(error?.code, "connection_reset");
    assert.equal(this.reader.sawEnd, false, "a FIN came before the reset");
    return latin1(await this.reader.read(this.reader.receivedBytes).catch(() => new Uint8Array(0)));
  }
}

/** What a handler was given. */
export interface Asked {
  readonly head: RequestHead;
  readonly body: Body;
  readonly signal: CancelSignal;
}

export class ServerStage {
  readonly clock = new FakeClock();
  /** Each call of the handler, in order. */
  readonly asked: Asked[] = [];
  /** What `onError` was told. */
  readonly errors: unknown[] = [];
  readonly server: HttpServer;
  readonly #clients: Socket[] = [];
  #receivedBytes = 0;
  /** How many clients have sent FIN, as far as the server has read. */
  ends = 0;
  #tcp!: TcpServer;

  private constructor(handler: Handler, options: Partial<HttpServerOptions>) {
    let count = 0;
    const nextId = () => `id-${++count}`;
    const onError = (error: unknown) => this.errors.push(error);
    this.server = new HttpServer((head, body, signal) => {
      this.asked.push({ head, body, signal });
      return handler(head, body, signal);
    }, { clock: this.clock, nextId, onError, ...options });
  }

  /** Runs `act` on a server of its own, and sees to it that nothing is left behind. */
  static async run(
    handler: Handler,
    options: Partial<HttpServerOptions>,
    act: (stage: ServerStage) => Promise<void>,
  ): Promise<void> {
    const stage = new ServerStage(handler, options);
    stage.#tcp = await startTcpServer((socket) => {
      stage.server.accept(socket);
      stage.#watch(socket);
    });
    try {
      await act(stage);
    } finally {
      for (const socket of stage.#clients) socket.reset();
      stage.server.close();
      await stage.#tcp.close();
    }
    assert.equal(stage.server.bufferedBytes, 0, "bytes are counted that nobody holds");
    assert.equal(stage.server.connections, 0);
    assert.equal(stage.clock.pending, 0, "a timer outlives its connection");
  }

  /** The server's ends of the connections, in order. */
  get sockets(): readonly Socket[] {
    return this.#tcp.sockets;
  }

  get port(): number {
    return this.#tcp.port;
  }

  async connect(options: { paused?: boolean } = {}): Promise<RawClient> {
    const socket = await dial(this.#tcp.target);
    this.#clients.push(socket);
    return new RawClient(socket, options);
  }

  /** The server resets new connections. A runtime may see that during the dial or after it. */
  async expectRefusal(): Promise<void> {
    let client: RawClient;
    try {
      client = await this.connect();
    } catch (error) {
      assert.equal((error as SocketError).code, "connection_reset");
      return;
    }
    await client.expectReset();
  }

  /** Waits until the handler was called `count` times; returns the last of those calls. */
  async called(count = 1): Promise<Asked> {
    await eventually(() => this.asked.length >= count, { message: `${count} calls of the handler` });
    return this.asked[count - 1];
  }

  /** Waits until the server has read so many bytes, from all clients together. */
  async received(bytes: number): Promise<void> {
    await eventually(() => this.#receivedBytes >= bytes, { message: `${bytes} bytes were read` });
  }

  /** Waits until the server has read the FIN of so many clients. */
  async ended(count: number): Promise<void> {
    await eventually(() => this.ends >= count, { message: `${count} FINs were read` });
  }

  /** Bytes that the server has read so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Waits until no connection is left. */
  async empty(): Promise<void> {
    await eventually(() => this.server.connections === 0, { message: "no connection left" });
  }

  #watch(socket: Socket): void {
    const { handlers } = socket;
    socket.handlers = {
      onData: (chunk) => {
        this.#receivedBytes += chunk.length;
        handlers.onData(chunk);
      },
      onEnd: () => {
        this.ends++;
        handlers.onEnd();
      },
      onDrain: () => handlers.onDrain(),
      onClose: (error) => handlers.onClose(error),
    };
  }
}

/** A handler that always answers the same. */
export function always(status: number, fields: Fields = [], body: Body | string = null): Handler {
  const whole = typeof body === "string" ? bytesOf(body) : body;
  return () => Promise.resolve({ status, fields, body: whole });
}

/** A handler that answers each request with its own target. */
export const echoTarget: Handler = (head) =>
  Promise.resolve({ status: 200, fields: [], body: bytesOf(head.target) } satisfies Answer);

/** A handler that never answers. */
export const silent: Handler = () => new Promise<Answer>(() => {});

/** A stream of these chunks. */
export function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return new FedBody((body) => {
    const chunk = chunks.shift();
    if (chunk === undefined) body.end();
    else body.push(chunk);
  }).stream;
}

/** The shortest answer. */
export const EMPTY = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

export function post(length: number, body = ""): string {
  return `POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

export function chunkedPost(body = ""): string {
  return `POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
}

/** The answer with `text` as its body. */
export function whole(text: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

/** Answers with the body as it comes. */
export const echo: Handler = (_head, body) => Promise.resolve({ status: 200, fields: [], body });

export function readerOf(body: Body): ReadableStreamDefaultReader<Uint8Array> {
  assert.ok(body instanceof ReadableStream);
  return body.getReader();
}
