/**
 * The agent's end of a session of the JSON protocol: each `http_request` is asked of the upstream, and what the upstream
 * sends leaves as it is read.
 */
import { type CancelSignal, CancelSource, type Clock, RunnelError, systemClock } from "../../base/mod.ts";
import {
  type Answer,
  BodyPump,
  cancelBody,
  endToEndFields,
  ExchangeError,
  type Fields,
  fieldValue,
  type Handler,
  isProblemCode,
  problemAnswer,
  problemCodeOf,
  problemKinds,
  type RequestHead,
  streamOf,
} from "../../http/mod.ts";
import { release } from "../../memory/mod.ts";
import { CloseCode } from "../../websocket/mod.ts";
import { givenUp } from "../given_up.ts";
import type { Session, SessionEnd } from "../session.ts";
import { MAX_CHUNK_BYTES, WaitingAnswer, WaitingChunk } from "./answer_frames.ts";
import { base64Length, decodeBase64, encodeBase64 } from "./base64.ts";
import { encodeChunkFrame } from "./chunk_frame.ts";
import {
  FeatureDraining,
  FeatureRequestId,
  FeatureResponseAbort,
  FrameError,
  type HTTPRequest,
  type HTTPRequestCancel,
  parseEdgeFrame,
  TypeDraining,
  TypeHTTPRequest,
  TypeHTTPRequestCancel,
  TypeHTTPResponse,
  TypeHTTPResponseAbort,
  TypeHTTPResponseEnd,
  TypeHTTPResponseStart,
} from "./frames.ts";
import { type HeadText, headTextOf } from "./head_text.ts";
import { fieldsToHeaders, headersToFields, type LineFields, lineFieldsFor } from "./headers.ts";
import { DEAD_AFTER_MS } from "./heartbeat.ts";
import { JsonLifetime } from "./lifetime.ts";
import type { JsonLink } from "./link.ts";
import { LinkQueue } from "./link_queue.ts";

export interface JsonAgentSessionOptions {
  /** Asked for each request. */
  upstream: Handler;
  /** What the edge announced in `registered.features`. */
  features: readonly string[];
  /** Requests at one time; further ones are answered with `overloaded`. Default 1,024. */
  maxActive?: number;
  /** A request could not be read, and was answered with an error; for the log. Default: does nothing. */
  onError?(error: unknown): void;
  /** Bytes of request bodies that wait for answers to begin; further ones are answered with `overloaded`. Default 256 MiB. */
  bodyLimitBytes?: number;
  clock?: Clock;
}

const DEFAULT_MAX_ACTIVE = 1_024;
const DEFAULT_BODY_LIMIT_BYTES = 256 * 1024 * 1024;
/** Refusals that are sent while the link is full: what they answer came behind requests that an edge would not send. */
const MAX_UNSENT_REFUSALS = 1_024;
/** About what a head takes. */
const HEAD_BYTES = 1_024;
/** Bodies up to this size that came with their head are sent with it, as one `http_response`. */
const WHOLE_LIMIT_BYTES = 64 * 1024;

/** One request, and the signal for its upstream. */
class RequestUnderWay extends CancelSource {
  /** The answer's head was sent, and its body follows. */
  isAnswered = false;
}

export class JsonAgentSession implements Session {
  readonly #link: JsonLink;
  readonly #upstream: Handler;
  readonly #canAbort: boolean;
  readonly #canAnnounceDrain: boolean;
  /** The edge writes X-Request-ID, and passes no visitor's. */
  readonly #hasRequestIds: boolean;
  readonly #text: HeadText;
  readonly #lineFields: LineFields;
  readonly #maxActive: number;
  readonly #onError: JsonAgentSessionOptions["onError"];
  readonly #bodyLimitBytes: number;
  readonly #lifetime: JsonLifetime;
  readonly #active = new Map<string, RequestUnderWay>();
  /** What waits for the link: of each answer one frame or chunk. */
  readonly #queue = new LinkQueue();
  /** Of the requests whose answers have not begun. */
  #bodyBytes = 0;
  #unsentRefusals = 0;

  constructor(link: JsonLink, options: JsonAgentSessionOptions) {
    this.#link = link;
    this.#upstream = options.upstream;
    this.#canAbort = options.features.includes(FeatureResponseAbort);
    this.#canAnnounceDrain = options.features.includes(FeatureDraining);
    this.#hasRequestIds = options.features.includes(FeatureRequestId);
    this.#text = headTextOf(options.features);
    this.#lineFields = lineFieldsFor(options.features);
    this.#maxActive = options.maxActive ?? DEFAULT_MAX_ACTIVE;
    this.#onError = options.onError;
    this.#bodyLimitBytes = options.bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES;
    this.#lifetime = new JsonLifetime(link, options.clock ?? systemClock, {
      peer: "edge",
      isIdle: () => this.#active.size === 0,
      isReadingPaused: () => false,
      isPeerBusy: () => false,
      onMessage: (data) => this.#onMessage(data as string),
      onBadFrame: (id, error) => this.#refuseBadFrame(id, error),
      onDrain: () => this.#onDrain(),
      onEnd: (end) => this.#onEnd(end),
    });
  }

  get closed(): Promise<SessionEnd> {
    return this.#lifetime.closed;
  }

  get active(): number {
    return this.#active.size;
  }

  /** Bytes of answers that wait for the link: one read of each at most. */
  get bufferedBytes(): number {
    let bytes = 0;
    for (const frame of this.#queue) bytes += frame.heldBytes;
    return bytes;
  }

  /** Requests that still come are served: only the edge knows when it has sent its last one. */
  async drain(): Promise<void> {
    if (this.#canAnnounceDrain && this.#lifetime.end === null) {
      this.#link.sendText(JSON.stringify({ type: TypeDraining }));
      // What the edge sent before it knew stands in front of its answer to the ping.
      await this.#lifetime.ping(DEAD_AFTER_MS);
    }
    await this.#lifetime.drain();
  }

  close(reason: string): void {
    this.#lifetime.close(reason);
  }

  #onMessage(text: string): number | void {
    const frame = parseEdgeFrame(text);
    if (frame === null) return 1;
    if (frame?.type === TypeHTTPRequest) this.#serve(frame);
    else if (frame?.type === TypeHTTPRequestCancel) this.#cancel(frame);
  }

  #serve(frame: HTTPRequest): void {
    const id = frame.request_id;
    if (this.#active.has(id)) throw new FrameError(`\`request_id\` ${id} is in use`);
    const body = decodeBase64(frame.body_b64, "body_b64", frame);
    const head = requestHead(frame, this.#text, this.#hasRequestIds);
    if (this.#active.size >= this.#maxActive) {
      return this.#refuse(id, `The agent is serving ${this.#active.size} requests already`);
    }
    if (body.length > 0 && this.#bodyBytes + body.length > this.#bodyLimitBytes) {
      return this.#refuse(id, `The agent holds ${this.#bodyBytes} bytes of request bodies already`);
    }
    const request = new RequestUnderWay();
    this.#active.set(id, request);
    this.#ask(head, body.length === 0 ? null : body, request).finally(() => {
      this.#active.delete(id);
      this.#lifetime.closeIfDrained();
    });
  }

  /** Answers a request that cannot be read. Not one whose id is in use: its answer would be taken for the other's. */
  #refuseBadFrame(id: string, error: FrameError): boolean {
    if (error.type !== TypeHTTPRequest || this.#active.has(id)) return false;
    const failure = new ExchangeError("upstream_failed", `The request cannot be read: ${error.reason}`, {
      cause: error,
    });
    this.#onError?.(failure);
    if (this.#mayRefuse()) this.#sendFailure(id, failure);
    return true;
  }

  #refuse(id: string, detail: string): void {
    if (this.#mayRefuse()) this.#queue.sent(this.#sendWhole(id, problemAnswer("overloaded", detail)));
  }

  /** False, and the session ends, where too many refusals wait for the link. */
  #mayRefuse(): boolean {
    if (!this.#queue.isFull || ++this.#unsentRefusals <= MAX_UNSENT_REFUSALS) return true;
    this.#lifetime.close("The edge sends requests and takes no answers", CloseCode.policyViolation);
    return false;
  }

  /** The visitor left, or the edge gave up. */
  #cancel({ request_id, code }: HTTPRequestCancel): void {
    const request = this.#active.get(request_id);
    request?.abort(givenUp(isProblemCode(code) ? code : "canceled", request.isAnswered));
  }

  /** Never rejects. The edge is told of a failure, unless the request was canceled. */
  async #ask(head: RequestHead, body: Uint8Array | null, signal: RequestUnderWay): Promise<void> {
    try {
      const answer = await this.#askUpstream(head, body, signal);
      if (signal.aborted) cancelBody(answer.body, signal.reason);
      else if (!isWhole(answer)) await this.#answerStreamed(head.id, answer, signal);
      else if (this.#queue.isFull) await this.#answerLater(head.id, answer, signal);
      else this.#queue.sent(this.#sendWhole(head.id, answer));
    } catch (error) {
      if (!signal.aborted) this.#sendFailure(head.id, error);
    }
  }

  async #askUpstream(head: RequestHead, body: Uint8Array | null, signal: RequestUnderWay): Promise<Answer> {
    if (body === null) return this.#upstream(head, null, signal);
    const { length } = body;
    this.#bodyBytes += length;
    try {
      return await this.#upstream(head, body, signal);
    } finally {
      this.#bodyBytes -= length;
    }
  }

  async #answerLater(id: string, answer: Answer, signal: CancelSignal): Promise<void> {
    const length = answer.body === null ? 0 : base64Length((answer.body as Uint8Array).length);
    await this.#inTurn(length, signal, () => this.#sendWhole(id, answer));
  }

  async #answerStreamed(id: string, answer: Answer, signal: RequestUnderWay): Promise<void> {
    const body = answer.body instanceof Uint8Array ? streamOf(answer.body) : answer.body;
    signal.isAnswered = true;
    if (this.#queue.isFull) await this.#inTurn(0, signal, () => this.#sendStart(id, answer));
    else this.#queue.sent(this.#sendStart(id, answer));
    if (signal.aborted) return cancelBody(body, signal.reason);
    try {
      if (body !== null) await this.#sendBody(id, body, signal);
      if (!signal.aborted) this.#send({ type: TypeHTTPResponseEnd, request_id: id });
    } catch (error) {
      if (!signal.aborted) this.#sendAbort(id, error);
    }
  }

  /** Resolves when the link has taken the frame, or the request was canceled. @param length its bytes beside the head */
  #inTurn(length: number, signal: CancelSignal, write: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const frame = new WaitingAnswer(HEAD_BYTES + length, () => {
        resolve();
        return write();
      });
      this.#queue.send(frame);
      signal.addEventListener("abort", () => {
        frame.unlink();
        resolve();
      });
    });
  }

  /** Sends each read of the upstream as one frame. The next read waits until the link has taken it. */
  #sendBody(id: string, body: ReadableStream<Uint8Array>, signal: CancelSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let waiting: WaitingChunk | null = null;
      const pump = new BodyPump(body, {
        write: (chunk) => {
          if (this.#trySendChunk(id, chunk)) return true;
          waiting = new WaitingChunk(this.#link, id, chunk, () => pump.drained());
          this.#queue.send(waiting);
          return waiting.byteLength === 0;
        },
        end: resolve,
        fail: (error) => {
          waiting?.drop();
          reject(error);
        },
      }, null);
      signal.addEventListener("abort", () => {
        waiting?.drop();
        pump.stop(signal.reason);
        resolve();
      });
      void pump.run();
    });
  }

  /** False where the chunk is too long for one frame, or the link is full. */
  #trySendChunk(id: string, chunk: Uint8Array): boolean {
    if (this.#queue.isFull || chunk.length > MAX_CHUNK_BYTES) return false;
    this.#queue.sent(this.#link.sendTextBytes(encodeChunkFrame(id, chunk)));
    release(chunk);
    return true;
  }

  #sendStart(id: string, answer: Answer): boolean {
    return this.#write({
      type: TypeHTTPResponseStart,
      request_id: id,
      status: answer.status,
      headers: this.#headersOf(answer),
      reason: this.#reasonOf(answer),
    });
  }

  #sendWhole(id: string, answer: Answer): boolean {
    const bytes = answer.body instanceof Uint8Array ? answer.body : null;
    const isWritable = this.#write({
      type: TypeHTTPResponse,
      request_id: id,
      status: answer.status,
      headers: this.#headersOf(answer),
      body_b64: bytes === null ? "" : encodeBase64(bytes),
      reason: this.#reasonOf(answer),
    });
    if (bytes !== null) release(bytes);
    return isWritable;
  }

  #headersOf(answer: Answer): Record<string, string> {
    return fieldsToHeaders(frameFields(answer), this.#text, this.#lineFields);
  }

  #reasonOf({ reason }: Answer): string | undefined {
    return reason === undefined ? undefined : this.#text.write(reason);
  }

  /** For a failure before the head. An edge that knows `http_response_abort` makes the answer; for others we make it. */
  #sendFailure(id: string, error: unknown): void {
    if (this.#canAbort) return this.#sendAbort(id, error);
    // Visitors see this answer, so it does not name the cause, which may hold private addresses.
    const code = problemCodeOf(error);
    this.#queue.sent(this.#sendWhole(id, problemAnswer(code, problemKinds[code].title)));
  }

  /**
   * For a failure after the head. An edge that does not know the frame would take a shortened answer for a whole one:
   * the link is broken instead, with all its answers.
   */
  #sendAbort(id: string, error: unknown): void {
    if (!this.#canAbort) return this.#link.abort();
    this.#send({
      type: TypeHTTPResponseAbort,
      request_id: id,
      message: reasonOf(error),
      code: problemCodeOf(error),
    });
  }

  /** Sends a short frame, which does not wait. */
  #send(frame: { type: string; request_id: string } & Record<string, unknown>): void {
    this.#queue.sent(this.#write(frame));
  }

  #write(frame: { type: string; request_id: string } & Record<string, unknown>): boolean {
    return this.#lifetime.end !== null || this.#link.sendText(JSON.stringify(frame));
  }

  #onDrain(): void {
    this.#unsentRefusals = 0;
    this.#queue.drained();
  }

  #onEnd(end: SessionEnd): void {
    const why = new ExchangeError("agent_lost", `The connection to the edge was lost: ${end.reason}`);
    for (const request of this.#active.values()) request.abort(why);
  }
}

/**
 * Whether an answer is sent as one frame: it is here already, and short.
 *
 * @throws {ExchangeError} where its Content-Length is not that of its body
 */
function isWhole({ body, fields }: Answer): boolean {
  if (body === null) return true;
  if (!(body instanceof Uint8Array)) return false;
  const announced = fieldValue(fields, "content-length");
  if (announced !== undefined && Number(announced) !== body.length) {
    throw new ExchangeError(
      "upstream_invalid",
      `The answer's body is not as long as its Content-Length, ${announced}`,
    );
  }
  return body.length <= WHOLE_LIMIT_BYTES;
}

/** What a 426 asks for stands among the headers, as the upstream sent it. */
function frameFields({ status, fields, upgrade }: Answer): Fields {
  return status === 426 && upgrade !== undefined ? [...fields, "Upgrade", upgrade] : fields;
}

function reasonOf(error: unknown): string {
  return error instanceof RunnelError ? error.reason : "The agent failed to ask the upstream";
}

function requestHead(frame: HTTPRequest, text: HeadText, hasRequestIds: boolean): RequestHead {
  const fields: string[] = [];
  const received: Fields = endToEndFields(headersToFields(frame.headers, text));
  let authority = "";
  for (let index = 0; index < received.length; index += 2) {
    const name = received[index] as string;
    if (name.toLowerCase() === "host") authority = received[index + 1] as string;
    else fields.push(name, received[index + 1] as string);
  }
  const path = text.read(frame.path);
  return {
    method: text.read(frame.method),
    target: frame.query === "" ? path : `${path}?${text.read(frame.query)}`,
    scheme: fieldValue(fields, "x-forwarded-proto") === "https" ? "https" : "http",
    authority,
    fields,
    client: fieldValue(fields, "x-forwarded-for") ?? "",
    id: frame.request_id,
    requestId: hasRequestIds ? fieldValue(fields, "x-request-id") : undefined,
  };
}
