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
} from "../../http/mod.ts";
import { release } from "../../memory/mod.ts";
import { givenUp } from "../given_up.ts";
import type { Session, SessionEnd } from "../session.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { encodeChunkFrame } from "./chunk_frame.ts";
import {
  FeatureDraining,
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

export interface JsonAgentSessionOptions {
  /** Asked for each request. */
  upstream: Handler;
  /** What the edge announced in `registered.features`. */
  features: readonly string[];
  /** Requests at one time; further ones are answered with `overloaded`. Default 1,024. */
  maxActive?: number;
  clock?: Clock;
}

const DEFAULT_MAX_ACTIVE = 1_024;
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
  readonly #text: HeadText;
  readonly #lineFields: LineFields;
  readonly #maxActive: number;
  readonly #lifetime: JsonLifetime;
  readonly #active = new Map<string, RequestUnderWay>();
  readonly #waitingForDrain: (() => void)[] = [];
  #isWritable = true;

  constructor(link: JsonLink, options: JsonAgentSessionOptions) {
    this.#link = link;
    this.#upstream = options.upstream;
    this.#canAbort = options.features.includes(FeatureResponseAbort);
    this.#canAnnounceDrain = options.features.includes(FeatureDraining);
    this.#text = headTextOf(options.features);
    this.#lineFields = lineFieldsFor(options.features);
    this.#maxActive = options.maxActive ?? DEFAULT_MAX_ACTIVE;
    this.#lifetime = new JsonLifetime(link, options.clock ?? systemClock, {
      peer: "edge",
      isIdle: () => this.#active.size === 0,
      isReadingPaused: () => false,
      isPeerBusy: () => false,
      onMessage: (data) => this.#onMessage(data as string),
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
    const body = decodeBase64(frame.body_b64, "body_b64");
    const head = requestHead(frame, this.#text);
    if (this.#active.size >= this.#maxActive) {
      const detail = `The agent is serving ${this.#active.size} requests already`;
      return this.#sendWhole(id, problemAnswer("overloaded", detail));
    }
    const request = new RequestUnderWay();
    this.#active.set(id, request);
    this.#ask(head, body.length === 0 ? null : body, request).finally(() => {
      this.#active.delete(id);
      this.#lifetime.closeIfDrained();
    });
  }

  /** The visitor left, or the edge gave up. */
  #cancel({ request_id, code }: HTTPRequestCancel): void {
    const request = this.#active.get(request_id);
    request?.abort(givenUp(isProblemCode(code) ? code : "canceled", request.isAnswered));
  }

  /** Never rejects. The edge is told of a failure, unless the request was canceled. */
  async #ask(head: RequestHead, body: Uint8Array | null, signal: RequestUnderWay): Promise<void> {
    try {
      const answer = await this.#upstream(head, body, signal);
      if (signal.aborted) cancelBody(answer.body, signal.reason);
      else if (isWhole(answer)) this.#sendWhole(head.id, answer);
      else await this.#answerStreamed(head.id, answer, signal);
    } catch (error) {
      if (!signal.aborted) this.#sendFailure(head.id, error);
    }
  }

  async #answerStreamed(id: string, answer: Answer, signal: RequestUnderWay): Promise<void> {
    signal.isAnswered = true;
    this.#send({
      type: TypeHTTPResponseStart,
      request_id: id,
      status: answer.status,
      headers: this.#headersOf(answer),
      reason: this.#reasonOf(answer),
    });
    try {
      if (answer.body instanceof Uint8Array) this.#sendChunk(id, answer.body);
      else if (answer.body !== null) await this.#sendBody(id, answer.body, signal);
      if (!signal.aborted) this.#send({ type: TypeHTTPResponseEnd, request_id: id });
    } catch (error) {
      if (!signal.aborted) this.#sendAbort(id, error);
    }
  }

  /** Sends each read of the upstream as one frame. The next read waits while the link is full. */
  #sendBody(id: string, body: ReadableStream<Uint8Array>, signal: CancelSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const pump = new BodyPump(body, {
        write: (chunk) => {
          this.#sendChunk(id, chunk);
          if (!this.#isWritable) this.#waitingForDrain.push(() => pump.drained());
          return this.#isWritable;
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
    if (this.#lifetime.end === null && chunk.length > 0) {
      this.#isWritable = this.#link.sendTextBytes(encodeChunkFrame(id, chunk)) && this.#isWritable;
    }
    release(chunk);
  }

  #sendWhole(id: string, answer: Answer): void {
    const bytes = answer.body instanceof Uint8Array ? answer.body : null;
    this.#send({
      type: TypeHTTPResponse,
      request_id: id,
      status: answer.status,
      headers: this.#headersOf(answer),
      body_b64: bytes === null ? "" : encodeBase64(bytes),
      reason: this.#reasonOf(answer),
    });
    if (bytes !== null) release(bytes);
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
    this.#sendWhole(id, problemAnswer(code, problemKinds[code].title));
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

  #send(frame: { type: string; request_id: string } & Record<string, unknown>): void {
    if (this.#lifetime.end !== null) return;
    this.#isWritable = this.#link.sendText(JSON.stringify(frame)) && this.#isWritable;
  }

  #onDrain(): void {
    this.#isWritable = true;
    for (const resume of this.#waitingForDrain.splice(0)) resume();
  }

  #onEnd(end: SessionEnd): void {
    const why = new ExchangeError("agent_lost", `The connection to the edge was lost: ${end.reason}`);
    for (const request of this.#active.values()) request.abort(why);
    this.#onDrain();
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

function requestHead(frame: HTTPRequest, text: HeadText): RequestHead {
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
  };
}
