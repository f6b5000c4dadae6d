/**
 * The edge's side of the JSON protocol: one registered agent on one link. `pending` holds the requests that wait for
 * the first frame of an answer, `streaming` the answers whose client does not have all of it yet; a request id is in one
 * of them or in none.
 */
import { type CancelSignal, type Clock, systemClock } from "../../base/mod.ts";
import {
  type Answer,
  type Body,
  collectBody,
  CollectBudget,
  endToEndFields,
  ExchangeError,
  type Fields,
  fieldValue,
  isProblemCode,
  problemKinds,
  type RequestHead,
  withoutFields,
} from "../../http/mod.ts";
import type { Session, SessionEnd } from "../session.ts";
import type { WebSocketClose } from "../../websocket/mod.ts";
import { AnswerStream } from "./answer_stream.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { decodeChunkFrame } from "./chunk_frame.ts";
import {
  FeatureRequestCancel,
  FrameError,
  type HTTPRequest,
  type HTTPResponse,
  type HTTPResponseAbort,
  type HTTPResponseStart,
  parseAgentFrame,
  TypeHTTPRequest,
  TypeHTTPRequestCancel,
  TypeHTTPResponse,
  TypeHTTPResponseAbort,
  TypeHTTPResponseChunk,
  TypeHTTPResponseEnd,
  TypeHTTPResponseStart,
} from "./frames.ts";
import { fieldsToHeaders, headersToFields } from "./headers.ts";
import { closeReason, JsonHeartbeat, type JsonLink } from "./link.ts";
import { defaultSlowReaderLimits, type SlowReaderLimits, SlowReaders } from "./slow_readers.ts";

export interface JsonEdgeSessionOptions {
  /** Names the session in logs. */
  id: string;
  /** What the agent announced in `register.features`. */
  features: readonly string[];
  /** Largest request body, since this protocol cannot stream one. Default 10 MiB. */
  bodyLimitBytes?: number;
  /** Request bodies that may be collected at one time. Default 64 MiB. */
  collectLimitBytes?: number;
  /** Exchanges at one time; further ones get `overloaded`. Default 1,024. */
  maxActive?: number;
  slowReaders?: SlowReaderLimits;
  clock?: Clock;
}

const utf8 = new TextDecoder();

const lengthField: ReadonlySet<string> = new Set(["content-length"]);
const trailersWish: ReadonlySet<string> = new Set(["te"]);

interface Waiter {
  readonly head: RequestHead;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export class JsonEdgeSession implements Session {
  readonly id: string;
  readonly protocol = "json";
  readonly closed: Promise<SessionEnd>;
  readonly pending = new Map<string, Waiter>();
  readonly streaming = new Map<string, AnswerStream>();
  readonly #link: JsonLink;
  readonly #canCancel: boolean;
  readonly #bodyLimitBytes: number;
  readonly #maxActive: number;
  readonly #budget: CollectBudget;
  readonly #slow: SlowReaders;
  readonly #heartbeat: JsonHeartbeat;
  #collecting = 0;
  #draining = false;
  #end: SessionEnd | null = null;
  readonly #linkClosed: Promise<void>;
  #settleClosed!: (end: SessionEnd) => void;
  #settleLinkClosed!: () => void;

  constructor(link: JsonLink, options: JsonEdgeSessionOptions) {
    const clock = options.clock ?? systemClock;
    this.id = options.id;
    this.#link = link;
    this.#canCancel = options.features.includes(FeatureRequestCancel);
    this.#bodyLimitBytes = options.bodyLimitBytes ?? 10 * 1024 * 1024;
    this.#budget = new CollectBudget(options.collectLimitBytes ?? 64 * 1024 * 1024);
    this.#maxActive = options.maxActive ?? 1024;
    this.#slow = new SlowReaders(link, clock, options.slowReaders ?? defaultSlowReaderLimits);
    this.#heartbeat = new JsonHeartbeat(link, clock, {
      isExempt: () => this.#slow.paused,
      onDead: () => this.#finish({ code: "agent_silent", reason: "The agent was silent for 25 s" }, true),
    });
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#linkClosed = new Promise((resolve) => {
      this.#settleLinkClosed = resolve;
    });
    link.handlers = {
      onMessage: (data) => this.#onMessage(data as Uint8Array),
      onBytes: () => this.#heartbeat.onBytes(),
      onPong: () => this.#heartbeat.onPong(),
      onDrain: () => {},
      onClose: (close) => this.#onLinkClose(close),
    };
  }

  get active(): number {
    return this.#collecting + this.pending.size + this.streaming.size;
  }

  /** Rejects with `ExchangeError`: `upgrade_not_supported`, `body_too_large`, `overloaded`, `agent_lost`. */
  readonly open = async (head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> => {
    this.#admit(head);
    let answer: Promise<Answer>;
    this.#collecting++;
    try {
      const bytes = await this.#collect(head, body);
      signal.throwIfAborted();
      if (this.#end !== null) throw lost(this.#end);
      answer = this.#ask(head, bytes, signal);
    } finally {
      this.#collecting--;
      this.#closeWhenIdle();
    }
    return await answer;
  };

  ping(timeoutMs: number): Promise<boolean> {
    return this.#heartbeat.ask(timeoutMs);
  }

  async drain(): Promise<void> {
    this.#draining = true;
    this.#closeWhenIdle();
    await this.#linkClosed;
  }

  close(reason: string): void {
    this.#link.close(1001, closeReason(reason));
    this.#finish({ code: "closed", reason }, false);
  }

  /** The registration was refused: ends the session and leaves the link to the caller. */
  abandon(): void {
    this.#finish({ code: "refused", reason: "The registration was refused" }, false);
  }

  #admit(head: RequestHead): void {
    if (this.#end !== null) throw lost(this.#end);
    if (head.upgrade !== undefined) {
      const reason = `The tunnel's agent speaks the JSON protocol, which cannot carry an upgrade to ${head.upgrade}`;
      throw new ExchangeError("upgrade_not_supported", reason, { initiator: "library" });
    }
    if (this.#draining || this.active >= this.#maxActive) {
      const reason = this.#draining ? "The edge is shutting down" : `${this.active} requests wait for this agent`;
      throw new ExchangeError("overloaded", reason, { initiator: "library" });
    }
  }

  async #collect(head: RequestHead, body: Body): Promise<Uint8Array> {
    const announced = Number(fieldValue(head.fields, "content-length") ?? 0);
    if (announced > this.#bodyLimitBytes) throw this.#tooLarge();
    // The upstream cannot be asked whether it wants the body, since this protocol sends them together.
    const isAsked = body instanceof ReadableStream && fieldValue(head.fields, "expect") !== undefined;
    if (isAsked) head.onInformational?.(100, []);
    const collected = await collectBody(body, this.#bodyLimitBytes, this.#budget);
    if ("bytes" in collected) return collected.bytes;
    if (collected.exceeded === "limit") throw this.#tooLarge();
    throw new ExchangeError("overloaded", "Too many large requests wait for this agent", { initiator: "library" });
  }

  #tooLarge(): ExchangeError {
    const reason = `The body is over ${this.#bodyLimitBytes} bytes, the most that this tunnel's agent can take`;
    return new ExchangeError("body_too_large", reason, { initiator: "user" });
  }

  #ask(head: RequestHead, body: Uint8Array, signal: CancelSignal): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => {
      this.pending.set(head.id, { head, resolve, reject });
    });
    const onAbort = () => this.#cancel(head.id, signal.reason);
    signal.addEventListener("abort", onAbort);
    this.#link.sendText(JSON.stringify(requestFrame(head, body)));
    return answer;
  }

  #onMessage(message: Uint8Array): void {
    this.#heartbeat.onBytes();
    try {
      const chunk = decodeChunkFrame(message);
      if (chunk !== null) return this.#onChunk(chunk.id, chunk.data);
      const frame = parseAgentFrame(utf8.decode(message));
      switch (frame?.type) {
        case TypeHTTPResponse:
          return this.#onResponse(frame);
        case TypeHTTPResponseStart:
          return this.#onStart(frame);
        case TypeHTTPResponseChunk:
          return this.#onChunk(frame.request_id, decodeBase64(frame.data_b64, "data_b64"));
        case TypeHTTPResponseEnd:
          return this.streaming.get(frame.request_id)?.end();
        case TypeHTTPResponseAbort:
          return this.#onAbort(frame);
        case undefined:
          return;
        default:
          throw new FrameError(`Frame \`${frame?.type}\` has no place in a registered session`);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#link.close(1002, closeReason(error.reason));
      this.#finish({ code: error.code, reason: error.reason }, false);
    }
  }

  #onResponse(frame: HTTPResponse): void {
    const waiter = this.#takeWaiter(frame.request_id);
    if (waiter === undefined) return;
    const body = decodeBase64(frame.body_b64, "body_b64");
    waiter.resolve({
      status: frame.status,
      fields: wholeAnswerFields(headersToFields(frame.headers), waiter.head, frame.status, body.length),
      body: body.length === 0 ? null : body,
    });
    this.#closeWhenIdle();
  }

  #onStart(frame: HTTPResponseStart): void {
    const waiter = this.#takeWaiter(frame.request_id);
    if (waiter === undefined) return;
    const id = frame.request_id;
    const stream: AnswerStream = new AnswerStream(this.#slow.held, {
      onTaken: () => this.#slow.taken(stream),
      onEnded: () => this.#onEnded(id, stream),
      onCanceled: (reason) => this.#cancel(id, reason),
    });
    this.streaming.set(id, stream);
    waiter.resolve({
      status: frame.status,
      fields: endToEndFields(headersToFields(frame.headers)),
      body: stream.body,
    });
  }

  #onChunk(id: string, data: Uint8Array): void {
    const stream = this.streaming.get(id);
    if (stream === undefined) return;
    stream.push(data);
    this.#slow.pushed(stream, () => {
      this.#cancel(id, new ExchangeError("request_timeout", "The client took nothing of the answer for too long"));
    });
  }

  /** The client has it all. */
  #onEnded(id: string, stream: AnswerStream): void {
    this.streaming.delete(id);
    this.#slow.forget(stream);
    this.#closeWhenIdle();
  }

  #onAbort(frame: HTTPResponseAbort): void {
    const code = isProblemCode(frame.code) ? frame.code : "upstream_failed";
    // The agent's own words may name private addresses: they are for the log, the title is for the public.
    const error = new ExchangeError(code, problemKinds[code].title, { cause: frame.message });
    this.#takeWaiter(frame.request_id)?.reject(error);
    this.#abortStream(frame.request_id, error);
    this.#closeWhenIdle();
  }

  /** The asking side is gone: nobody waits for this id any more, whatever the agent still sends of it. */
  #cancel(id: string, reason: unknown): void {
    const waiter = this.#takeWaiter(id);
    const stream = this.streaming.get(id);
    if (waiter === undefined && stream === undefined) return;
    if (stream?.ended !== true) this.#tellCanceled(id);
    const error = reason instanceof Error ? reason : new ExchangeError("request_timeout", "The client went away");
    waiter?.reject(error);
    this.#abortStream(id, error);
    this.#closeWhenIdle();
  }

  #tellCanceled(id: string): void {
    if (!this.#canCancel || this.#end !== null) return;
    this.#link.sendText(JSON.stringify({ type: TypeHTTPRequestCancel, request_id: id }));
  }

  #takeWaiter(id: string): Waiter | undefined {
    const waiter = this.pending.get(id);
    this.pending.delete(id);
    return waiter;
  }

  #abortStream(id: string, error: Error): void {
    const stream = this.streaming.get(id);
    if (stream === undefined) return;
    this.streaming.delete(id);
    this.#slow.forget(stream);
    stream.abort(error);
  }

  #closeWhenIdle(): void {
    if (this.#draining && this.active === 0) this.close("The edge is shutting down");
  }

  #onLinkClose(close: WebSocketClose): void {
    const reason = close.reason === "" ? `The agent's link closed with ${close.code}` : close.reason;
    this.#finish({ code: "link_closed", reason }, false);
    this.#settleLinkClosed();
  }

  #finish(end: SessionEnd, abort: boolean): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#heartbeat.stop();
    for (const id of [...this.pending.keys()]) this.#takeWaiter(id)?.reject(lost(end));
    for (const [id, stream] of [...this.streaming]) if (!stream.ended) this.#abortStream(id, lost(end));
    if (abort) this.#link.abort();
    this.#settleClosed(end);
  }
}

function lost(end: SessionEnd): ExchangeError {
  return new ExchangeError("agent_lost", end.reason);
}

/** A frame's body is all there is: a length that differs from its own is dropped, but for HEAD and 304. */
function wholeAnswerFields(received: Fields, head: RequestHead, status: number, length: number): Fields {
  const fields = endToEndFields(received);
  if (head.method === "HEAD" || status === 304) return fields;
  const announced = fieldValue(fields, "content-length");
  return announced === undefined || announced === String(length) ? fields : withoutFields(fields, lengthField);
}

function requestFrame(head: RequestHead, body: Uint8Array): HTTPRequest {
  const mark = head.target.indexOf("?");
  // An empty query keeps its question mark in the path: `query` alone could not tell `/x?` from `/x`.
  const split = mark < 0 || mark === head.target.length - 1 ? head.target.length : mark;
  // These frames have no place for trailers.
  const passed = withoutFields(head.fields, trailersWish);
  const fields = head.authority === "" ? [...passed] : ["Host", head.authority, ...passed];
  const hasLength = fieldValue(head.fields, "content-length") !== undefined;
  if (body.length > 0 && !hasLength) fields.push("Content-Length", String(body.length));
  return {
    type: TypeHTTPRequest,
    request_id: head.id,
    method: head.method,
    path: head.target.slice(0, split),
    query: head.target.slice(split + 1),
    headers: fieldsToHeaders(fields),
    body_b64: encodeBase64(body),
  };
}
