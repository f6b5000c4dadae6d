/**
 * The edge's end of a session of the JSON protocol: one registered agent on one link. `pending` holds the requests that
 * wait for the first frame of an answer, `streaming` the answers that their clients have not read to the end. A request
 * id is in one of them at most.
 */
import { type CancelSignal, type Clock, systemClock } from "../../base/mod.ts";
import {
  type Answer,
  type Body,
  collectBody,
  CollectBudget,
  contentOf,
  endToEndFields,
  ExchangeError,
  type Fields,
  fieldValue,
  isFieldValue,
  isPlainUpgrade,
  isProblemCode,
  listedProtocols,
  problemKinds,
  type RequestHead,
  unusualReason,
  withoutFields,
  withoutHost,
} from "../../http/mod.ts";
import { release } from "../../memory/mod.ts";
import { CloseCode } from "../../websocket/mod.ts";
import { problemBehind } from "../given_up.ts";
import { parseJson } from "../json.ts";
import type { EdgeSession, SessionEnd } from "../session.ts";
import { AnswerBody } from "./answer_body.ts";
import { Backpressure, type BackpressureLimits, defaultBackpressureLimits } from "./backpressure.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { decodeChunkFrame } from "./chunk_frame.ts";
import {
  FeatureReplaced,
  FeatureRequestCancel,
  FrameError,
  type HTTPRequest,
  type HTTPRequestCancel,
  type HTTPResponse,
  type HTTPResponseAbort,
  type HTTPResponseStart,
  parseAgentFrame,
  TypeDraining,
  TypeHTTPRequest,
  TypeHTTPRequestCancel,
  TypeHTTPResponse,
  TypeHTTPResponseAbort,
  TypeHTTPResponseChunk,
  TypeHTTPResponseEnd,
  TypeHTTPResponseStart,
} from "./frames.ts";
import { type HeadText, headTextOf } from "./head_text.ts";
import { fieldsToHeaders, headersToFields, noLineFields } from "./headers.ts";
import { JsonLifetime } from "./lifetime.ts";
import { type JsonLink, REPLACED_CLOSE_CODE } from "./link.ts";

export interface JsonEdgeSessionOptions {
  /** Names the session in logs. */
  id: string;
  /** What the agent announced in `register.features`. */
  features: readonly string[];
  /** The largest request body that the agent announced to take; default: it announced none. */
  agentBodyLimitBytes?: number;
  /**
   * The largest request body, since this protocol cannot stream one: the most that is sent to any agent. Default 10 MiB,
   * and 7 MiB for an agent that announced no limit.
   */
  bodyLimitBytes?: number;
  /** Bytes of request bodies that are collected at one time. Default 64 MiB. */
  collectLimitBytes?: number;
  /** Exchanges at one time; further ones get `overloaded`. Default 1,024. */
  maxActive?: number;
  backpressure?: BackpressureLimits;
  clock?: Clock;
}

const MIB = 1024 * 1024;
export const DEFAULT_BODY_LIMIT_BYTES = 10 * MIB;
/**
 * WebSocket libraries often take messages of 10 MiB at most, and end the link at a longer one. The body is a third longer
 * in base64, and the rest is for the head.
 */
export const UNANNOUNCED_BODY_LIMIT_BYTES = 7 * MIB;
const DEFAULT_COLLECT_LIMIT_BYTES = 64 * MIB;
const DEFAULT_MAX_ACTIVE = 1_024;

/** What a chunk for nobody costs in the budget of floods: its visitor may just have left. */
const LATE_COST = 1 / 64;

const utf8 = new TextDecoder();

const lengthField: ReadonlySet<string> = new Set(["content-length"]);
const wholeAnswer = /"type"\s*:\s*"http_response"/;
const teField: ReadonlySet<string> = new Set(["te"]);

/** A request whose answer has not begun. */
interface Waiter {
  readonly head: RequestHead;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export class JsonEdgeSession implements EdgeSession {
  readonly id: string;
  readonly protocol = "json";
  readonly pending = new Map<string, Waiter>();
  readonly streaming = new Map<string, AnswerBody>();
  readonly #link: JsonLink;
  readonly #canCancel: boolean;
  readonly #knowsReplaced: boolean;
  readonly #text: HeadText;
  /** True for an agent that may serve one request after the other, and is not heard meanwhile. */
  readonly #mayBlock: boolean;
  readonly #bodyLimitBytes: number;
  readonly #maxActive: number;
  readonly #budget: CollectBudget;
  readonly #backpressure: Backpressure;
  readonly #lifetime: JsonLifetime;
  /** Requests whose bodies are being collected. */
  #collecting = 0;
  #isLeaving = false;
  /** Requests that were sent and not answered to the end, those of visitors who have left among them. */
  #unanswered = 0;

  constructor(link: JsonLink, options: JsonEdgeSessionOptions) {
    const clock = options.clock ?? systemClock;
    this.id = options.id;
    this.#link = link;
    this.#canCancel = options.features.includes(FeatureRequestCancel);
    this.#knowsReplaced = options.features.includes(FeatureReplaced);
    this.#text = headTextOf(options.features);
    this.#mayBlock = options.features.length === 0;
    this.#bodyLimitBytes = bodyLimit(options);
    this.#budget = new CollectBudget(options.collectLimitBytes ?? DEFAULT_COLLECT_LIMIT_BYTES);
    this.#maxActive = options.maxActive ?? DEFAULT_MAX_ACTIVE;
    this.#backpressure = new Backpressure(link, clock, options.backpressure ?? defaultBackpressureLimits);
    this.#lifetime = new JsonLifetime(link, clock, {
      peer: "agent",
      isIdle: () => this.active === 0,
      isReadingPaused: () => this.#backpressure.isPaused,
      isPeerBusy: () => this.#mayBlock && this.#unanswered > 0,
      onMessage: (data) => this.#onMessage(data as Uint8Array),
      onLongMessage: (beginning, error) => this.#onLongMessage(beginning, error.reason),
      onDrain: () => {},
      onEnd: (end) => this.#onEnd(end),
    });
  }

  get closed(): Promise<SessionEnd> {
    return this.#lifetime.closed;
  }

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  get active(): number {
    return this.#collecting + this.pending.size + this.streaming.size;
  }

  /** Rejects with `ExchangeError`: `tunnel_offline`, `upgrade_not_supported`, `body_too_large`, `overloaded`, `agent_lost`. */
  readonly open = async (head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> => {
    this.#admit(head);
    let answer: Promise<Answer>;
    this.#collecting++;
    try {
      // Other upgrades pass as if they were not asked for, which RFC 9110 §7.8 allows.
      const bytes = await this.#collect(head, contentOf(head, body));
      signal.throwIfAborted();
      this.#checkOpen();
      answer = this.#ask(head, bytes, signal);
    } finally {
      this.#collecting--;
      this.#lifetime.closeIfDrained();
    }
    return await answer;
  };

  ping(timeoutMs: number): Promise<boolean> {
    return this.#lifetime.ping(timeoutMs);
  }

  drain(): Promise<void> {
    return this.#lifetime.drain();
  }

  close(reason: string): void {
    this.#lifetime.close(reason);
  }

  replace(reason: string): void {
    this.#lifetime.close(reason, this.#knowsReplaced ? REPLACED_CLOSE_CODE : CloseCode.goingAway);
  }

  /** The registration was refused: ends the session and leaves the link to the caller. */
  abandon(): void {
    this.#lifetime.finish({ code: "refused", reason: "The registration was refused" });
  }

  #checkOpen(): void {
    if (this.#lifetime.end !== null) throw lost(this.#lifetime.end);
    if (this.#isLeaving) throw new ExchangeError("tunnel_offline", "The agent is leaving and takes no new requests");
  }

  #admit(head: RequestHead): void {
    this.#checkOpen();
    if (isPlainUpgrade(head)) {
      const reason = `The tunnel's agent speaks the JSON protocol, which cannot carry an upgrade to ${head.upgrade}`;
      throw new ExchangeError("upgrade_not_supported", reason, { initiator: "library" });
    }
    const { isDraining } = this.#lifetime;
    if (isDraining || this.active >= this.#maxActive) {
      const reason = isDraining ? "The edge is shutting down" : `${this.active} requests wait for this agent`;
      throw new ExchangeError("overloaded", reason, { initiator: "library" });
    }
  }

  async #collect(head: RequestHead, body: Body): Promise<Uint8Array> {
    const announced = Number(fieldValue(head.fields, "content-length") ?? 0);
    if (announced > this.#bodyLimitBytes) throw this.#tooLarge();
    // The upstream cannot be asked whether it wants the body: this protocol sends head and body together.
    const isExpecting = body instanceof ReadableStream && fieldValue(head.fields, "expect") !== undefined;
    if (isExpecting) head.onInformational?.(100, []);
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
    this.#link.sendText(JSON.stringify(requestFrame(head, body, this.#text)));
    this.#unanswered++;
    release(body);
    return answer;
  }

  #onMessage(message: Uint8Array): number | void {
    const chunk = decodeChunkFrame(message);
    if (chunk !== null) return this.#onChunk(chunk.id, chunk.data);
    const frame = parseAgentFrame(utf8.decode(message));
    switch (frame?.type) {
      case TypeHTTPResponse:
        this.#countAnswer();
        return this.#onResponse(frame);
      case TypeHTTPResponseStart:
        return this.#onStart(frame);
      case TypeHTTPResponseChunk:
        return this.#onChunk(frame.request_id, decodeBase64(frame.data_b64, "data_b64"));
      case TypeHTTPResponseEnd:
        this.#countAnswer();
        return this.streaming.get(frame.request_id)?.end();
      case TypeHTTPResponseAbort:
        this.#countAnswer();
        return this.#onAbort(frame);
      case TypeDraining:
        this.#isLeaving = true;
        return;
      case undefined:
        return 1;
      default:
        throw new FrameError(`Frame \`${frame?.type}\` has no place in a registered session`);
    }
  }

  /**
   * A frame that is too long for this end fails the answer that it belongs to, and no other. False where it names none.
   */
  #onLongMessage(beginning: Uint8Array, reason: string): boolean {
    const text = utf8.decode(beginning);
    const id = requestIdIn(text);
    if (id === null) return false;
    if (wholeAnswer.test(text)) this.#countAnswer();
    const error = new ExchangeError("upstream_invalid", `The agent's answer is too long for one frame: ${reason}`);
    this.#takeWaiter(id)?.reject(error);
    if (this.streaming.has(id)) this.#cancel(id, error);
    this.#lifetime.closeIfDrained();
    return true;
  }

  #countAnswer(): void {
    if (this.#unanswered > 0) this.#unanswered--;
  }

  #onResponse(frame: HTTPResponse): void {
    const waiter = this.#takeWaiter(frame.request_id);
    if (waiter === undefined) return;
    const body = decodeBase64(frame.body_b64, "body_b64");
    const received = headersToFields(frame.headers, this.#text);
    waiter.resolve({
      status: frame.status,
      reason: reasonOf(frame, this.#text),
      fields: wholeAnswerFields(received, waiter.head, frame.status, body.length),
      body: body.length === 0 ? null : body,
      upgrade: upgradeOf(frame.status, received),
    });
    this.#lifetime.closeIfDrained();
  }

  #onStart(frame: HTTPResponseStart): void {
    const waiter = this.#takeWaiter(frame.request_id);
    if (waiter === undefined) return;
    const id = frame.request_id;
    const answerBody: AnswerBody = new AnswerBody(this.#backpressure.total, {
      onTaken: () => this.#backpressure.taken(answerBody),
      onEnded: () => this.#onEnded(id, answerBody),
      onCanceled: (reason) => this.#cancel(id, reason),
    });
    this.streaming.set(id, answerBody);
    const received = headersToFields(frame.headers, this.#text);
    waiter.resolve({
      status: frame.status,
      reason: reasonOf(frame, this.#text),
      fields: withoutHost(endToEndFields(received)),
      body: answerBody.stream,
      upgrade: upgradeOf(frame.status, received),
    });
  }

  #onChunk(id: string, data: Uint8Array): number | void {
    const answerBody = this.streaming.get(id);
    if (answerBody === undefined) {
      release(data);
      return LATE_COST;
    }
    answerBody.push(data);
    this.#backpressure.pushed(answerBody, () => {
      this.#cancel(id, new ExchangeError("request_timeout", "The client took nothing of the answer for too long"));
    });
  }

  /** The client has read the answer to its end. */
  #onEnded(id: string, answerBody: AnswerBody): void {
    this.streaming.delete(id);
    this.#backpressure.remove(answerBody);
    this.#lifetime.closeIfDrained();
  }

  #onAbort(frame: HTTPResponseAbort): void {
    const code = isProblemCode(frame.code) ? frame.code : "upstream_failed";
    // The agent's message may name private addresses. It is kept for the log, and the public gets the title.
    const error = new ExchangeError(code, problemKinds[code].title, { cause: frame.message });
    this.#takeWaiter(frame.request_id)?.reject(error);
    this.#abortAnswer(frame.request_id, error);
    this.#lifetime.closeIfDrained();
  }

  /** The client is gone, or too slow. What the agent still sends for this id is ignored. */
  #cancel(id: string, reason: unknown): void {
    const waiter = this.#takeWaiter(id);
    const answerBody = this.streaming.get(id);
    if (waiter === undefined && answerBody === undefined) return;
    if (answerBody?.isComplete !== true) this.#sendCancel(id, reason);
    const error = reason instanceof Error ? reason : new ExchangeError("request_timeout", "The client went away");
    waiter?.reject(error);
    this.#abortAnswer(id, error);
    this.#lifetime.closeIfDrained();
  }

  #sendCancel(id: string, reason: unknown): void {
    if (!this.#canCancel || this.#lifetime.end !== null) return;
    const code = problemBehind(reason) ?? undefined;
    const frame: HTTPRequestCancel = { type: TypeHTTPRequestCancel, request_id: id, code };
    this.#link.sendText(JSON.stringify(frame));
  }

  #takeWaiter(id: string): Waiter | undefined {
    const waiter = this.pending.get(id);
    this.pending.delete(id);
    return waiter;
  }

  #abortAnswer(id: string, error: Error): void {
    const answerBody = this.streaming.get(id);
    if (answerBody === undefined) return;
    this.streaming.delete(id);
    this.#backpressure.remove(answerBody);
    answerBody.abort(error);
  }

  /** Answers that the agent has sent to their end can still be read. */
  #onEnd(end: SessionEnd): void {
    for (const id of [...this.pending.keys()]) this.#takeWaiter(id)?.reject(lost(end));
    for (const [id, answerBody] of [...this.streaming]) if (!answerBody.isComplete) this.#abortAnswer(id, lost(end));
  }
}

function lost(end: SessionEnd): ExchangeError {
  // The reason may be the agent's own text. It is kept for the log, and the public gets ours.
  return new ExchangeError("agent_lost", "The connection to the agent was lost", { cause: end.reason });
}

/** A phrase that cannot stand in a status line is taken for none. */
function reasonOf({ status, reason }: HTTPResponse | HTTPResponseStart, text: HeadText): string | undefined {
  if (reason === undefined) return undefined;
  const phrase = text.read(reason);
  return isFieldValue(phrase) ? unusualReason(status, phrase) : undefined;
}

/** What a 426 asks for (RFC 9110 §15.5.22). */
function upgradeOf(status: number, received: Fields): string | undefined {
  return status === 426 ? listedProtocols(fieldValue(received, "upgrade") ?? "") : undefined;
}

/** Drops a Content-Length that is not the body's, except for HEAD and 304, where it is the length of another answer. */
function wholeAnswerFields(received: Fields, head: RequestHead, status: number, length: number): Fields {
  const fields = withoutHost(endToEndFields(received));
  if (head.method === "HEAD" || status === 304) return fields;
  const announced = fieldValue(fields, "content-length");
  return announced === undefined || announced === String(length) ? fields : withoutFields(fields, lengthField);
}

/** The first string of the key `request_id` in a frame that is cut off; null where there is none. */
function requestIdIn(beginning: string): string | null {
  const [, text] = /"request_id"\s*:\s*("(?:[^"\\]|\\.){1,512}")/.exec(beginning) ?? [];
  const id = text === undefined ? null : parseJson(text);
  return typeof id === "string" ? id : null;
}

function bodyLimit({ bodyLimitBytes, agentBodyLimitBytes }: JsonEdgeSessionOptions): number {
  if (agentBodyLimitBytes === undefined) return bodyLimitBytes ?? UNANNOUNCED_BODY_LIMIT_BYTES;
  return Math.min(agentBodyLimitBytes, bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES);
}

function requestFrame(head: RequestHead, body: Uint8Array, text: HeadText): HTTPRequest {
  const mark = head.target.indexOf("?");
  // The `?` of an empty query stays in the path, since an empty `query` stands for no query at all.
  const split = mark < 0 || mark === head.target.length - 1 ? head.target.length : mark;
  // The answer's frames cannot carry trailers, so the upstream is not told that the client takes them.
  const passed = withoutFields(head.fields, teField);
  const fields = head.authority === "" ? [...passed] : ["Host", head.authority, ...passed];
  const hasLength = fieldValue(head.fields, "content-length") !== undefined;
  if (body.length > 0 && !hasLength) fields.push("Content-Length", String(body.length));
  return {
    type: TypeHTTPRequest,
    request_id: head.id,
    method: head.method,
    path: text.write(head.target.slice(0, split)),
    query: text.write(head.target.slice(split + 1)),
    headers: fieldsToHeaders(fields, text, noLineFields),
    body_b64: encodeBase64(body),
  };
}
