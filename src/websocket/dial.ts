/** The client's half of the opening handshake (RFC 6455 §4.1). */
import { randomBytes } from "node:crypto";
import {
  type Clock,
  latin1,
  nameErrorClass,
  RunnelError,
  type RunnelErrorInit,
  showText,
  systemClock,
} from "../base/mod.ts";
import { type Fields, fieldValues } from "../http/mod.ts";
import { BodyDecoder, encodeRequestHead, HttpParseError, type ParsedResponse, ResponseParser } from "../http1/mod.ts";
import { emptyBytes } from "../memory/mod.ts";
import { attempt, dial, type DialOptions, type DialTarget, type Socket, type SocketError } from "../net/mod.ts";
import { acceptFor, WEBSOCKET_VERSION } from "./handshake.ts";

export interface WebSocketDialOptions {
  target: DialTarget;
  /** The Host field's value. */
  authority: string;
  /** The request target, with the query: `/agent?x=1`. */
  path: string;
  /** Further fields of the request, such as Authorization. Default none. */
  fields?: Fields;
  /** Subprotocols to offer, the preferred one first. Default none. */
  protocols?: readonly string[];
  signal?: AbortSignal;
  /** Milliseconds from the dial to the server's 101. Default 10,000. */
  timeoutMs?: number;
  /** Of these, milliseconds for the connection alone, TLS included. Default: all. */
  connectTimeoutMs?: number;
  /** How to connect. Default: `dial` (src/net). */
  dial?: (target: DialTarget, options: DialOptions) => Promise<Socket>;
  clock?: Clock;
}

export interface DialedWebSocket {
  /** Paused. For `new WebSocketConnection(socket, { role: "client", rest, … })`. */
  readonly socket: Socket;
  /** Bytes that were read behind the 101: the first frames, or nothing. */
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
  /** The server speaks TLS, and was asked without. */
  | "handshake_tls"
  /** The connection ended before the answer did. */
  | "handshake_lost"
  | "handshake_timeout";

/** The server did not open a WebSocket. */
export class HandshakeError extends RunnelError {
  static {
    nameErrorClass(this, "HandshakeError");
  }

  declare readonly code: HandshakeErrorCode;
  /** The answer's status; `null` where there was none. */
  readonly status: number | null;
  /** The answer's fields; empty where there was none. */
  readonly fields: Fields;
  /** The beginning of a refusing answer's body, at most 4,096 bytes. */
  readonly body: Uint8Array;

  constructor(
    init: Pick<RunnelErrorInit, "reason" | "retryable" | "cause"> & { code: HandshakeErrorCode },
    answer: Pick<ParsedResponse, "status" | "fields"> | null = null,
    body: Uint8Array = emptyBytes,
  ) {
    super({ ...init, initiator: "remote" });
    this.status = answer?.status ?? null;
    this.fields = answer?.fields ?? [];
    this.body = body;
  }
}

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_REFUSAL_BYTES = 4_096;
/** The first letter of `HTTP/1.1`. */
const START_OF_HTTP = 0x48;
const TLS_ALERT = 0x15;
const TLS_HANDSHAKE = 0x16;
/** Bytes of a foreign protocol that an error shows. */
const MAX_SHOWN_BYTES = 40;

/**
 * Connects, asks for a WebSocket and checks the answer. No extensions are offered or accepted.
 *
 * @throws {SocketError} where the dial fails or `signal` aborts (`aborted`)
 * @throws {HandshakeError} where the server's answer is not the 101 that was asked for
 * @throws {HttpWriteError} where path, authority, fields or protocols cannot be written
 */
export async function dialWebSocket(options: WebSocketDialOptions): Promise<DialedWebSocket> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, clock = systemClock, signal } = options;
  const key = randomBytes(16).toString("base64");
  const request = encodeUpgrade(options, key);
  const startedAt = clock.now();
  const connectTimeoutMs = Math.min(options.connectTimeoutMs ?? timeoutMs, timeoutMs);
  const socket = await (options.dial ?? dial)(options.target, { timeoutMs: connectTimeoutMs, signal });
  const handshake = new ClientHandshake(socket, key, options.protocols ?? []);
  return attempt<DialedWebSocket>({
    action: "Cannot open the WebSocket",
    timeoutMs,
    startedAt,
    signal,
    clock,
    cleanUp: () => socket.reset(),
    timeoutError: () => handshake.timeoutError(timeoutMs),
  }, (resolve, reject) => handshake.run(request, resolve, reject));
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

/** One handshake on a connected socket: from the request until the answer is accepted or refused. */
class ClientHandshake {
  readonly #socket: Socket;
  readonly #key: string;
  readonly #protocols: readonly string[];
  readonly #parser = new ResponseParser();
  #refusal: Refusal | null = null;
  #hasReceived = false;
  #resolve!: (dialed: DialedWebSocket) => void;
  #reject!: (error: RunnelError) => void;

  constructor(socket: Socket, key: string, protocols: readonly string[]) {
    this.#socket = socket;
    this.#key = key;
    this.#protocols = protocols;
  }

  run(request: Uint8Array, resolve: (dialed: DialedWebSocket) => void, reject: (error: RunnelError) => void): void {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#socket.handlers = {
      onData: (chunk) => this.#takeBytes(chunk),
      onEnd: () => reject(this.#refusal?.error() ?? lost(null)),
      onDrain: () => {},
      onClose: (error) => reject(this.#refusal?.error() ?? lost(error)),
    };
    this.#socket.write(request);
    this.#socket.resume();
  }

  /** A refusal counts although its body is not complete. */
  timeoutError(timeoutMs: number): HandshakeError {
    const reason = `There was no answer to the WebSocket handshake within ${timeoutMs} ms`;
    return this.#refusal?.error() ?? new HandshakeError({ code: "handshake_timeout", reason, retryable: true });
  }

  #takeBytes(chunk: Uint8Array): void {
    try {
      this.#checkStart(chunk);
      if (this.#refusal !== null) this.#readRefusal(chunk);
      else this.#readHead(chunk);
    } catch (error) {
      if (error instanceof HandshakeError) return this.#reject(error);
      if (!(error instanceof HttpParseError)) throw error;
      this.#reject(this.#refusal?.error() ?? invalid(error.reason, null, error));
    }
  }

  /** Servers of other protocols may send no line end at all: what begins otherwise than HTTP is refused at once. */
  #checkStart(chunk: Uint8Array): void {
    if (this.#hasReceived) return;
    this.#hasReceived = true;
    const [first, second] = chunk;
    // A record of TLS begins with its type and its version, 3.0 to 3.4 (RFC 8446 §5.1).
    if ((first === TLS_ALERT || first === TLS_HANDSHAKE) && second === 3) throw tlsExpected();
    if (first !== START_OF_HTTP) throw invalid(`The answer is no HTTP: it begins with ${showBytes(chunk)}`, null);
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
    if (this.#refusal!.push(chunk)) this.#reject(this.#refusal!.error());
  }

  #accept(answer: ParsedResponse, rest: Uint8Array): void {
    const protocol = checkAccepted(answer, this.#key, this.#protocols);
    this.#socket.pause();
    this.#resolve({ socket: this.#socket, rest, fields: answer.fields, protocol });
  }
}

/** An answer other than 101, and the beginning of its body, which often says why. */
class Refusal {
  readonly #answer: ParsedResponse;
  readonly #decoder: BodyDecoder;
  readonly #body = new Uint8Array(MAX_REFUSAL_BYTES);
  #length = 0;

  constructor(answer: ParsedResponse) {
    this.#answer = answer;
    this.#decoder = new BodyDecoder(answer.framing, undefined, "response");
  }

  /** Returns true once the body is complete, or has reached its limit. */
  push(chunk: Uint8Array): boolean {
    this.#decoder.push(chunk, (slice) => {
      const taken = slice.subarray(0, MAX_REFUSAL_BYTES - this.#length);
      this.#body.set(taken, this.#length);
      this.#length += taken.length;
    });
    return this.#decoder.isDone || this.#length === MAX_REFUSAL_BYTES;
  }

  error(): HandshakeError {
    const { status } = this.#answer;
    const reason = `The server answered the WebSocket handshake with ${status}`;
    const retryable = status >= 500 || status === 408 || status === 429;
    const body = this.#body.subarray(0, this.#length);
    return new HandshakeError({ code: "handshake_refused", reason, retryable }, this.#answer, body);
  }
}

/** Checks a 101 (RFC 6455 §4.1) and returns the subprotocol that it chose. */
function checkAccepted(answer: ParsedResponse, key: string, offered: readonly string[]): string | null {
  if (answer.version !== "1.1") throw invalid(`The 101 is HTTP/${answer.version}`, answer);
  if (answer.upgrade?.toLowerCase() !== "websocket") throw invalid("The 101 does not upgrade to websocket", answer);
  const accepts = fieldValues(answer.fields, "sec-websocket-accept");
  if (accepts.length !== 1) throw invalid(`Sec-WebSocket-Accept stands ${accepts.length} times`, answer);
  if (accepts[0] !== acceptFor(key)) throw invalid("Sec-WebSocket-Accept does not fit the key", answer);
  const extensions = fieldValues(answer.fields, "sec-websocket-extensions");
  if (extensions.length > 0) throw invalid(`The 101 has an extension that was not offered: ${extensions[0]}`, answer);
  const protocols = fieldValues(answer.fields, "sec-websocket-protocol");
  if (protocols.length === 0) return null;
  if (protocols.length === 1 && offered.includes(protocols[0])) return protocols[0];
  throw invalid(`The 101 has a protocol that was not offered: ${protocols.join(", ")}`, answer);
}

function invalid(reason: string, answer: ParsedResponse | null, cause?: unknown): HandshakeError {
  return new HandshakeError({ code: "handshake_invalid", reason, cause }, answer);
}

function tlsExpected(): HandshakeError {
  return new HandshakeError({ code: "handshake_tls", reason: "The port speaks TLS" });
}

function showBytes(bytes: Uint8Array): string {
  return showText(latin1(bytes, 0, Math.min(bytes.length, MAX_SHOWN_BYTES)));
}

function lost(cause: SocketError | null): HandshakeError {
  const reason = "The connection ended before the answer to the WebSocket handshake";
  return new HandshakeError({ code: "handshake_lost", reason, retryable: true, cause: cause ?? undefined });
}
