/**
 * The agent's side of the JSON protocol: each `http_request` is asked of the upstream, and what the upstream gives
 * leaves as it is read.
 */
import { type Clock, RunnelError, systemClock } from "../../base/mod.ts";
import {
  type Answer,
  BodyPump,
  cancelBody,
  collectBody,
  CollectBudget,
  endToEndFields,
  ExchangeError,
  type Fields,
  fieldValue,
  type Handler,
  isLiveFormat,
  problemAnswer,
  problemCodeOf,
  type RequestHead,
} from "../../http/mod.ts";
import type { SessionEnd } from "../session.ts";
import type { WebSocketClose } from "../../websocket/mod.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { release } from "../../memory/mod.ts";
import { encodeChunkFrame } from "./chunk_frame.ts";
import {
  FeatureResponseAbort,
  FrameError,
  type HTTPRequest,
  parseEdgeFrame,
  TypeHTTPRequest,
  TypeHTTPRequestCancel,
  TypeHTTPResponse,
  TypeHTTPResponseAbort,
  TypeHTTPResponseEnd,
  TypeHTTPResponseStart,
} from "./frames.ts";
import { fieldsToHeaders, headersToFields, toBytes } from "./headers.ts";
import { closeReason, JsonHeartbeat, type JsonLink } from "./link.ts";

export interface JsonAgentSessionOptions {
  /** Asked for each request. */
  upstream: Handler;
  /** What the edge announced in `registered.features`. */
  features: readonly string[];
  /** Requests at one time; further ones are answered with `overloaded`. Default 1,024. */
  maxActive?: number;
  clock?: Clock;
}

/** Answers up to this Content-Length are sent as one `http_response`; longer ones are streamed, or memory would not do. */
const wholeLimitBytes = 64 * 1024;

export class JsonAgentSession {
  /** Settles when the session is over; the link may take a little longer to close. */
  readonly closed: Promise<SessionEnd>;
  readonly #link: JsonLink;
  readonly #upstream: Handler;
  readonly #canAbort: boolean;
  readonly #maxActive: number;
  readonly #heartbeat: JsonHeartbeat;
  readonly #active = new Map<string, AbortController>();
  readonly #waitingForDrain: (() => void)[] = [];
  #draining = false;
  #writable = true;
  #over = false;
  readonly #linkClosed: Promise<void>;
  #settleClosed!: (end: SessionEnd) => void;
  #settleLinkClosed!: () => void;

  constructor(link: JsonLink, options: JsonAgentSessionOptions) {
    this.#link = link;
    this.#upstream = options.upstream;
    this.#canAbort = options.features.includes(FeatureResponseAbort);
    this.#maxActive = options.maxActive ?? 1024;
    this.#heartbeat = new JsonHeartbeat(link, options.clock ?? systemClock, {
      isExempt: () => false,
      onDead: () => {
        link.abort();
        this.#finish({ code: "edge_silent", reason: "The edge was silent for 25 s" });
      },
    });
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#linkClosed = new Promise((resolve) => {
      this.#settleLinkClosed = resolve;
    });
    link.handlers = {
      onMessage: (data) => this.#onMessage(data as string),
      onBytes: () => this.#heartbeat.onBytes(),
      onPong: () => this.#heartbeat.onPong(),
      onDrain: () => this.#onDrain(),
      onClose: (close) => this.#onLinkClose(close),
    };
  }

  get active(): number {
    return this.#active.size;
  }

  /**
   * Answers what came, then closes. Requests that still come are served: the edge is the one who stops sending. Resolves
   * when the link itself is closed, so that the last answer has left.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#closeWhenIdle();
    await this.#linkClosed;
  }

  close(reason: string): void {
    this.#link.close(1001, closeReason(reason));
    this.#finish({ code: "closed", reason });
  }

  #onMessage(text: string): void {
    // A request that crosses our close would have an effect, and no answer.
    if (this.#over) return;
    this.#heartbeat.onBytes();
    try {
      const frame = parseEdgeFrame(text);
      if (frame?.type === TypeHTTPRequest) this.#serve(frame);
      else if (frame?.type === TypeHTTPRequestCancel) this.#active.get(frame.request_id)?.abort();
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#link.close(1002, closeReason(error.reason));
      this.#finish({ code: error.code, reason: error.reason });
    }
  }

  #serve(frame: HTTPRequest): void {
    const id = frame.request_id;
    if (this.#active.has(id)) throw new FrameError(`\`request_id\` ${id} is in use`);
    const body = decodeBase64(frame.body_b64, "body_b64");
    const head = requestHead(frame);
    if (this.#active.size >= this.#maxActive) {
      const detail = `The agent is serving ${this.#active.size} requests already`;
      return this.#sendWhole(id, problemAnswer("overloaded", detail));
    }
    const gone = new AbortController();
    this.#active.set(id, gone);
    this.#ask(head, body.length === 0 ? null : body, gone.signal).finally(() => {
      this.#active.delete(id);
      this.#closeWhenIdle();
    });
  }

  /** Never rejects: what fails is told to the edge, and a cancelled request is told to nobody. */
  async #ask(head: RequestHead, body: Uint8Array | null, signal: AbortSignal): Promise<void> {
    try {
      const answer = await this.#upstream(head, body, signal);
      if (signal.aborted) cancelBody(answer.body, signal.reason);
      else if (isWhole(answer)) await this.#answerWhole(head.id, answer, signal);
      else await this.#answerStreamed(head.id, answer, signal);
    } catch (error) {
      if (!signal.aborted) this.#sendFailure(head.id, error);
    }
  }

  async #answerWhole(id: string, answer: Answer, signal: AbortSignal): Promise<void> {
    const collected = await collectBody(answer.body, wholeLimitBytes, new CollectBudget(wholeLimitBytes), signal);
    const bytes = "bytes" in collected ? collected.bytes : null;
    const announced = fieldValue(answer.fields, "content-length");
    if (bytes === null || (answer.body !== null && bytes.length !== Number(announced))) {
      throw new ExchangeError(
        "upstream_invalid",
        `The answer's body is not as long as its Content-Length, ${announced}`,
      );
    }
    this.#sendWhole(id, { ...answer, body: bytes });
  }

  async #answerStreamed(id: string, answer: Answer, signal: AbortSignal): Promise<void> {
    this.#send({
      type: TypeHTTPResponseStart,
      request_id: id,
      status: answer.status,
      headers: fieldsToHeaders(answer.fields),
    });
    try {
      if (answer.body instanceof Uint8Array) this.#sendChunk(id, answer.body);
      else if (answer.body !== null) await this.#sendBody(id, answer.body, signal);
      if (!signal.aborted) this.#send({ type: TypeHTTPResponseEnd, request_id: id });
    } catch (error) {
      if (!signal.aborted) this.#sendAbort(id, error);
    }
  }

  /** One frame for each read of the upstream, at once. The next read waits while the link is full. */
  #sendBody(id: string, body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const pump = new BodyPump(body, {
        write: (chunk) => {
          this.#sendChunk(id, chunk);
          if (!this.#writable) this.#waitingForDrain.push(() => pump.drained());
          return this.#writable;
        },
        end: resolve,
        fail: reject,
      }, null);
      signal.addEventListener("abort", () => {
        pump.stop(signal.reason);
        resolve();
      });
      void pump.run();
    });
  }

  #sendChunk(id: string, chunk: Uint8Array): void {
    if (this.#over || chunk.length === 0) return;
    const frame = encodeChunkFrame(id, chunk);
    release(chunk);
    this.#writable = this.#link.sendTextBytes(frame) && this.#writable;
  }

  #sendWhole(id: string, answer: Answer): void {
    this.#send({
      type: TypeHTTPResponse,
      request_id: id,
      status: answer.status,
      headers: fieldsToHeaders(answer.fields),
      body_b64: answer.body instanceof Uint8Array ? encodeBase64(answer.body) : "",
    });
  }

  /** Before the head: an edge that knows `http_response_abort` makes the answer, for others it is made here. */
  #sendFailure(id: string, error: unknown): void {
    if (this.#canAbort) return this.#sendAbort(id, error);
    this.#sendWhole(id, problemAnswer(problemCodeOf(error), reasonOf(error)));
  }

  /** An edge without that frame is left with a link that breaks: better all answers broken off than one cut short. */
  #sendAbort(id: string, error: unknown): void {
    if (!this.#canAbort) return this.#link.abort();
    this.#send({
      type: TypeHTTPResponseAbort,
      request_id: id,
      message: reasonOf(error),
      code: problemCodeOf(error),
    });
  }

  #send(frame: { type: string; request_id: string } & Record<string, unknown>): void {
    if (this.#over) return;
    this.#writable = this.#link.sendText(JSON.stringify(frame)) && this.#writable;
  }

  #onDrain(): void {
    this.#writable = true;
    for (const resume of this.#waitingForDrain.splice(0)) resume();
  }

  #closeWhenIdle(): void {
    if (this.#draining && this.#active.size === 0) this.close("The agent is shutting down");
  }

  #onLinkClose(close: WebSocketClose): void {
    const reason = close.reason === "" ? `The link to the edge closed with ${close.code}` : close.reason;
    this.#finish({ code: "link_closed", reason });
    this.#settleLinkClosed();
  }

  #finish(end: SessionEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#heartbeat.stop();
    for (const gone of this.#active.values()) gone.abort();
    this.#onDrain();
    this.#settleClosed(end);
  }
}

/** With a length, and short, one frame; everything else as it comes. */
function isWhole(answer: Answer): boolean {
  if (answer.body === null) return true;
  const length = fieldValue(answer.fields, "content-length");
  if (length === undefined || isLiveFormat(fieldValue(answer.fields, "content-type"))) return false;
  return Number(length) <= wholeLimitBytes;
}

function reasonOf(error: unknown): string {
  return error instanceof RunnelError ? error.reason : "The agent failed to ask the upstream";
}

function requestHead(frame: HTTPRequest): RequestHead {
  const fields: string[] = [];
  const received: Fields = endToEndFields(headersToFields(frame.headers));
  let authority = "";
  for (let index = 0; index < received.length; index += 2) {
    const name = received[index] as string;
    if (name.toLowerCase() === "host") authority = received[index + 1] as string;
    else fields.push(name, received[index + 1] as string);
  }
  const path = toBytes(frame.path);
  return {
    method: toBytes(frame.method),
    target: frame.query === "" ? path : `${path}?${toBytes(frame.query)}`,
    scheme: fieldValue(fields, "x-forwarded-proto") === "https" ? "https" : "http",
    authority,
    fields,
    client: fieldValue(fields, "x-forwarded-for") ?? "",
    id: frame.request_id,
  };
}
