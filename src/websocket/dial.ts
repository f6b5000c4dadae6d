/** The client's half of the opening handshake (RFC 6455 §4.1). */
import { randomBytes } from "node:crypto";
import { type Clock, RunnelError, type RunnelErrorInit, systemClock, type Timer } from "../base/mod.ts";
import { BodyDecoder, encodeRequestHead, HttpParseError, type ParsedResponse, ResponseParser } from "../http1/mod.ts";
import { type Fields, fieldValues } from "../http/mod.ts";
import { dial, type DialOptions, type DialTarget, type Socket, SocketError } from "../net/mod.ts";
import { acceptFor, WEBSOCKET_VERSION } from "./handshake.ts";

export interface WebSocketDialOptions {
  target: DialTarget;
  /** The Host field's value. */
  authority: string;
  /** The request target, with the query: `/agent?x=1`. */
  path: string;
  /** Sent beside the handshake's own, such as Authorization. Default none. */
  fields?: Fields;
  /** Subprotocols to offer, the preferred one first. Default none. */
  protocols?: readonly string[];
  signal?: AbortSignal;
  /** From the dial to the server's 101. Default 10,000. */
  timeoutMs?: number;
  /** How to connect, as with TLS. Default: a plain socket. */
  dial?: (target: DialTarget, options: DialOptions) => Promise<Socket>;
  clock?: Clock;
}

export interface DialedWebSocket {
  /** Paused, and the caller's: `new WebSocketConnection(socket, { role: "client", rest, … })` takes it over. */
  readonly socket: Socket;
  /** What came behind the 101: the first frames, or nothing. */
  readonly rest: Uint8Array;
  /** The fields of the 101. */
  readonly fields: Fields;
  /** The subprotocol that the server chose; `null` where it chose none. */
  readonly protocol: string | null;
}

export type HandshakeErrorCode =
  /** An answer other than 101. */
  | "handshake_refused"
  /** A 101 that breaks RFC 6455 §4.1, or bytes that are no HTTP answer. */
  | "handshake_invalid"
  /** The connection ended before the answer did. */
  | "handshake_lost"
  | "handshake_timeout";

/** The server did not become a WebSocket. */
export class HandshakeError extends RunnelError {
  declare readonly code: HandshakeErrorCode;
  /** The answer's status; `null` where there was none. */
  readonly status: number | null;
  /** The answer's fields; empty where there was none. */
  readonly fields: Fields;
  /** What came of a refusing answer's body, at most 4,096 bytes. */
  readonly body: Uint8Array;

  constructor(
    init: Pick<RunnelErrorInit, "reason" | "retryable" | "cause"> & { code: HandshakeErrorCode },
    answer: Pick<ParsedResponse, "status" | "fields"> | null = null,
    body: Uint8Array = EMPTY,
  ) {
    super({ ...init, initiator: "remote" });
    this.status = answer?.status ?? null;
    this.fields = answer?.fields ?? [];
    this.body = body;
  }
}

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_REFUSAL_BYTES = 4_096;
const EMPTY = new Uint8Array(0);

/**
 * Connects, asks for a WebSocket and checks the answer. Offers no extensions, and takes none.
 * @throws {SocketError} where the dial fails or `signal` aborts (`aborted`)
 * @throws {HandshakeError} where the server's answer is not the 101 that was asked for
 * @throws {HttpWriteError} where path, authority, fields or protocols cannot be written
 */
export async function dialWebSocket(options: WebSocketDialOptions): Promise<DialedWebSocket> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, clock = systemClock, signal } = options;
  const key = randomBytes(16).toString("base64");
  const request = encodeUpgrade(options, key);
  const begun = clock.now();
  const socket = await (options.dial ?? dial)(options.target, { timeoutMs, signal });
  const opening = new Opening(socket, { key, protocols: options.protocols ?? [], timeoutMs, signal });
  return opening.run(request, clock, Math.max(0, begun + timeoutMs - clock.now()));
}

function encodeUpgrade(options: WebSocketDialOptions, key: string): Uint8Array {
  const fields = ["Sec-WebSocket-Version", WEBSOCKET_VERSION, "Sec-WebSocket-Key", key];
  const protocols = options.protocols ?? [];
  if (protocols.length > 0) fields.push("Sec-WebSocket-Protocol", protocols.join(", "));
  return encodeRequestHead({
    method: "GET",
    target: options.path,
    authority: options.authority,
    fields: fields.concat(options.fields ?? []),
    framing: { kind: "none" },
    upgrade: "websocket",
  });
}

interface Asked {
  readonly key: string;
  readonly protocols: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** One handshake on a connected socket: from the request until the answer is taken, refused or given up. */
class Opening {
  readonly #socket: Socket;
  readonly #asked: Asked;
  readonly #parser = new ResponseParser();
  readonly #onAbort = () => this.#fail(this.#aborted());
  #timer: Timer | null = null;
  #refusal: Refusal | null = null;
  #resolve!: (dialed: DialedWebSocket) => void;
  #reject!: (error: RunnelError) => void;
  #settled = false;

  constructor(socket: Socket, asked: Asked) {
    this.#socket = socket;
    this.#asked = asked;
  }

  run(request: Uint8Array, clock: Clock, timeLeftMs: number): Promise<DialedWebSocket> {
    const promise = new Promise<DialedWebSocket>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { signal } = this.#asked;
    if (signal?.aborted) {
      this.#onAbort();
      return promise;
    }
    signal?.addEventListener("abort", this.#onAbort);
    this.#timer = clock.after(timeLeftMs, () => this.#fail(this.#refusal?.error() ?? this.#timedOut()));
    this.#socket.handlers = {
      onData: (chunk) => this.#takeBytes(chunk),
      onEnd: () => this.#fail(this.#refusal?.error() ?? lost(null)),
      onDrain: () => {},
      onClose: (error) => this.#fail(this.#refusal?.error() ?? lost(error)),
    };
    this.#socket.write(request);
    this.#socket.resume();
    return promise;
  }

  #takeBytes(chunk: Uint8Array): void {
    try {
      if (this.#refusal !== null) this.#readRefusal(chunk);
      else this.#readHead(chunk);
    } catch (error) {
      if (error instanceof HandshakeError) return this.#fail(error);
      if (!(error instanceof HttpParseError)) throw error;
      this.#fail(this.#refusal?.error() ?? invalid(error.reason, null, error));
    }
  }

  #readHead(chunk: Uint8Array): void {
    for (let unread = chunk; unread.length > 0;) {
      const answer = this.#parser.push(unread, "GET");
      if (answer === null) return;
      unread = this.#parser.rest;
      if (answer.status === 101) return this.#accept(answer, unread);
      if (answer.status < 200) continue;
      this.#refusal = new Refusal(answer);
      return this.#readRefusal(unread);
    }
  }

  #readRefusal(chunk: Uint8Array): void {
    if (this.#refusal!.push(chunk)) this.#fail(this.#refusal!.error());
  }

  #accept(answer: ParsedResponse, rest: Uint8Array): void {
    const protocol = checkAccepted(answer, this.#asked);
    this.#settle();
    this.#socket.pause();
    this.#resolve({ socket: this.#socket, rest, fields: answer.fields, protocol });
  }

  #fail(error: RunnelError): void {
    if (this.#settled) return;
    this.#settle();
    this.#socket.reset();
    this.#reject(error);
  }

  #settle(): void {
    this.#settled = true;
    this.#timer?.cancel();
    this.#asked.signal?.removeEventListener("abort", this.#onAbort);
  }

  #aborted(): SocketError {
    const reason = "WebSocket handshake aborted";
    return new SocketError({ code: "aborted", reason, initiator: "user", cause: this.#asked.signal?.reason });
  }

  #timedOut(): HandshakeError {
    const reason = `no answer to the WebSocket handshake within ${this.#asked.timeoutMs} ms`;
    return new HandshakeError({ code: "handshake_timeout", reason, retryable: true });
  }
}

/** An answer that is no 101, and the beginning of its body, which often says why. */
class Refusal {
  readonly #answer: ParsedResponse;
  readonly #decoder: BodyDecoder;
  readonly #body = new Uint8Array(MAX_REFUSAL_BYTES);
  #length = 0;

  constructor(answer: ParsedResponse) {
    this.#answer = answer;
    this.#decoder = new BodyDecoder(answer.framing, undefined, "answer");
  }

  /** True once the body is whole, or as long as we want it. */
  push(chunk: Uint8Array): boolean {
    this.#decoder.push(chunk, (slice) => {
      const taken = slice.subarray(0, MAX_REFUSAL_BYTES - this.#length);
      this.#body.set(taken, this.#length);
      this.#length += taken.length;
    });
    return this.#decoder.done || this.#length === MAX_REFUSAL_BYTES;
  }

  error(): HandshakeError {
    const { status } = this.#answer;
    const reason = `server answered the WebSocket handshake with ${status}`;
    const retryable = status >= 500 || status === 408 || status === 429;
    const body = this.#body.subarray(0, this.#length);
    return new HandshakeError({ code: "handshake_refused", reason, retryable }, this.#answer, body);
  }
}

/** Checks a 101 (RFC 6455 §4.1) and returns the subprotocol that it chose. */
function checkAccepted(answer: ParsedResponse, asked: Asked): string | null {
  if (answer.version !== "1.1") throw invalid(`the 101 is HTTP/${answer.version}`, answer);
  if (answer.upgrade?.toLowerCase() !== "websocket") throw invalid("the 101 does not upgrade to websocket", answer);
  const accepts = fieldValues(answer.fields, "sec-websocket-accept");
  if (accepts.length !== 1) throw invalid(`Sec-WebSocket-Accept stands ${accepts.length} times`, answer);
  if (accepts[0] !== acceptFor(asked.key)) throw invalid("Sec-WebSocket-Accept does not fit the key", answer);
  const extensions = fieldValues(answer.fields, "sec-websocket-extensions");
  if (extensions.length > 0) throw invalid(`the 101 has an extension that was not offered: ${extensions[0]}`, answer);
  const protocols = fieldValues(answer.fields, "sec-websocket-protocol");
  if (protocols.length === 0) return null;
  if (protocols.length === 1 && asked.protocols.includes(protocols[0])) return protocols[0];
  throw invalid(`the 101 has a protocol that was not offered: ${protocols.join(", ")}`, answer);
}

function invalid(reason: string, answer: ParsedResponse | null, cause?: unknown): HandshakeError {
  return new HandshakeError({ code: "handshake_invalid", reason, cause }, answer);
}

function lost(cause: SocketError | null): HandshakeError {
  const reason = "connection ended before the answer to the WebSocket handshake";
  return new HandshakeError({ code: "handshake_lost", reason, retryable: true, cause: cause ?? undefined });
}
