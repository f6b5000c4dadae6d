/**
 * The edge's end of a session of the JSON protocol: one registered agent on one link. `pending` holds the requests that
 * wait for the first frame of an answer, `streaming` the answers that their clients have not read to the end. A request
 * id is in one of them at most. While the link takes nothing, requests wait for it in `#sender`, and are pending, too.
 */
import { type CancelSignal, type Clock, systemClock } from "../../base/mod.ts";
import {
  type Answer,
  type Body,
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
import { MemoryAccount } from "../../httpstream/mod.ts";
import { release } from "../../memory/mod.ts";
import { CloseCode } from "../../websocket/mod.ts";
import { problemBehind } from "../given_up.ts";
import { parseJson } from "../json.ts";
import type { EdgeSession, SessionEnd } from "../session.ts";
import { AnswerBody } from "./answer_body.ts";
import { Backpressure, type BackpressureLimits, defaultBackpressureLimits } from "./backpressure.ts";
import { decodeBase64 } from "./base64.ts";
import { decodeChunkFrame } from "./chunk_frame.ts";
import {
  FeatureReplaced,
  FeatureRequestCancel,
  FrameError,
  type HTTPRequestCancel,
  type HTTPResponse,
  type HTTPResponseAbort,
  type HTTPResponseStart,
  parseAgentFrame,
  TypeDraining,
  TypeHTTPRequestCancel,
  TypeHTTPResponse,
  TypeHTTPResponseAbort,
  TypeHTTPResponseChunk,
  TypeHTTPResponseEnd,
  TypeHTTPResponseStart,
} from "./frames.ts";
import { type HeadText, headTextOf } from "./head_text.ts";
import { headersToFields } from "./headers.ts";
import { JsonLifetime } from "./lifetime.ts";
import { type JsonLink, REPLACED_CLOSE_CODE } from "./link.ts";
import type { RequestBody } from "./request_body.ts";
import { overloaded, RequestSender, Waiter } from "./request_sender.ts";

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
  /**
   * Bytes of request bodies that are held at one time: while they are collected, and until the link has taken them.
   * Default 64 MiB. A request whose body goes beyond it gets `overloaded`.
   */
  collectLimitBytes?: number;
  /** The bytes that all connections of the process hold. Default: no limit but the session's own. */
  memory?: MemoryAccount;
  /** Exchanges at one time; further ones get `overloaded`. Default 1,024. */
  maxActive?: number;
  backpressure?: BackpressureLimits;
  /**
   * A frame of an answer had a value that could not be taken, so that this answer failed; for the log. Called once for each
   * key of each frame. Default: does nothing.
   */
  onBadFrame?(error: FrameError): void;
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

/** What a frame for nobody costs in the budget of floods: its visitor may just have left. */
const LATE_COST = 1 / 64;
/** The body of a whole answer counts from here on. The others are bounded by the number of exchanges. */
const SMALL_BODY_BYTES = 16 * 1024;

const utf8 = new TextDecoder();

const lengthField: ReadonlySet<string> = new Set(["content-length"]);
const wholeAnswer = /"type"\s*:\s*"http_response"/;

export class JsonEdgeSession implements EdgeSession {
  readonly id: string;
  readonly protocol = "json";
  readonly pending = new Map<string, Waiter>();
  readonly streaming = new Map<string, AnswerBody>();
  readonly #canCancel: boolean;
  readonly #knowsReplaced: boolean;
  readonly #text: HeadText;
  /** True for an agent that may serve one request after the other, and is not heard meanwhile. */
  readonly #mayBlock: boolean;
  readonly #bodyLimitBytes: number;
  readonly #maxActive: number;
  /** What is held for all exchanges of the session. */
  readonly #account: MemoryAccount;
  readonly #sender: RequestSender;
  readonly #backpressure: Backpressure;
  readonly #lifetime: JsonLifetime;
  readonly #onBadFrame: JsonEdgeSessionOptions["onBadFrame"];
  /** The keys of frames of which `onBadFrame` was told. */
  readonly #toldKeys = new Set<string>();
  #isLeaving = false;
  /** Requests that were sent and not answered to the end, those of visitors who have left among them. */
  #unanswered = 0;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(link: JsonLink, options: JsonEdgeSessionOptions) {
    const clock = options.clock ?? systemClock;
    this.id = options.id;
    this.#canCancel = options.features.includes(FeatureRequestCancel);
    this.#knowsReplaced = options.features.includes(FeatureReplaced);
    this.#text = headTextOf(options.features);
    this.#mayBlock = options.features.length === 0;
    this.#bodyLimitBytes = bodyLimit(options);
    this.#account = new MemoryAccount(Infinity, options.memory ?? null, () => this.#freeSome());
    const collectLimitBytes = options.collectLimitBytes ?? DEFAULT_COLLECT_LIMIT_BYTES;
    this.#sender = new RequestSender(link, this.#text, this.#account, collectLimitBytes);
    this.#sender.onSend = () => this.#unanswered++;
    this.#maxActive = options.maxActive ?? DEFAULT_MAX_ACTIVE;
    this.#onBadFrame = options.onBadFrame;
    const backpressure = options.backpressure ?? defaultBackpressureLimits;
    this.#backpressure = new Backpressure(link, clock, backpressure, this.#account);
    this.#lifetime = new JsonLifetime(link, clock, {
      peer: "agent",
      isIdle: () => this.active === 0,
      isReadingPaused: () => this.#backpressure.isPaused,
      isPeerBusy: () => this.#mayBlock && this.#unanswered > 0,
      onMessage: (data) => this.#onMessage(data as Uint8Array),
      onBadFrame: (id, error) => this.#failBadFrame(id, error),
      onLongMessage: (beginning, error) => this.#onLongMessage(beginning, error.reason),
      onDrain: () => this.#sender.drained(),
      onEnd: (end) => this.#onEnd(end),
    });
  }

  get closed(): Promise<SessionEnd> {
    return this.#lifetime.closed;
  }

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Nothing of this protocol can be sent again: a session ends with its link. */
  readonly isSuspended = false;
  readonly suspendedMs = 0;

  watchSuspension(): () => void {
    return () => {};
  }

  endWithLink(): void {}

  get active(): number {
    return this.#sender.collecting.size + this.pending.size + this.streaming.size;
  }

  /** Bytes held for its exchanges, both directions. */
  get bufferedBytes(): number {
    return this.#account.heldBytes;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  get rttMs(): number | null {
    return this.#lifetime.rttMs;
  }

  /** Rejects with `ExchangeError`: `tunnel_offline`, `upgrade_not_supported`, `body_too_large`, `overloaded`, `agent_lost`. */
  readonly open = async (head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> => {
    this.#admit(head);
    // Other upgrades pass as if they were not asked for, which RFC 9110 §7.8 allows.
    const content = contentOf(head, body);
    if (content instanceof ReadableStream) return await this.#collectAndAsk(head, content, signal);
    if (content !== null && content.length > this.#bodyLimitBytes) throw this.#tooLarge();
    signal.throwIfAborted();
    return await this.#ask(head, content, signal);
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
    if (this.#isLeaving) throw leaving();
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

  async #collectAndAsk(head: RequestHead, stream: ReadableStream<Uint8Array>, signal: CancelSignal): Promise<Answer> {
    const announced = Number(fieldValue(head.fields, "content-length") ?? 0);
    if (announced > this.#bodyLimitBytes) throw this.#tooLarge();
    const body = this.#sender.newBody(announced);
    let answer: Promise<Answer>;
    try {
      // The upstream cannot be asked whether it wants the body: this protocol sends head and body together.
      if (fieldValue(head.fields, "expect") !== undefined) head.onInformational?.(100, []);
      const result = await body.collect(stream, this.#bodyLimitBytes, signal);
      if (result === "limit") throw this.#tooLarge();
      if (result === "account") throw overloaded();
      signal.throwIfAborted();
      this.#checkOpen();
      answer = this.#ask(head, body, signal);
    } catch (error) {
      body.drop();
      throw error;
    } finally {
      body.unlink();
      this.#lifetime.closeIfDrained();
    }
    return await answer;
  }

  #tooLarge(): ExchangeError {
    const reason = `The body is over ${this.#bodyLimitBytes} bytes, the most that this tunnel's agent can take`;
    return new ExchangeError("body_too_large", reason, { initiator: "user" });
  }

  /** @throws {ExchangeError} `overloaded`; the body is then still the caller's */
  #ask(head: RequestHead, body: Uint8Array | RequestBody | null, signal: CancelSignal): Promise<Answer> {
    const length = body === null ? 0 : body.length;
    const waiter = this.#sender.ask(head, body);
    this.#bytesIn += length;
    this.pending.set(head.id, waiter);
    signal.addEventListener("abort", () => this.#cancel(head.id, signal.reason));
    return waiter.answer;
  }

  /** Ends the exchange that holds most, since all connections of the process hold too much together. */
  #freeSome(): boolean {
    const request = this.#sender.largest();
    let most = request?.heldBytes ?? 0;
    let answerId: string | null = null;
    for (const [id, { bufferedBytes }] of this.streaming) {
      if (bufferedBytes <= most) continue;
      answerId = id;
      most = bufferedBytes;
    }
    if (answerId !== null) this.#cancel(answerId, overloaded());
    else if (request instanceof Waiter) this.#cancel(request.head.id, overloaded());
    else if (request !== null) {
      request.stop(overloaded());
      request.drop();
    }
    return most > 0;
  }

  #onMessage(message: Uint8Array): number | void {
    const chunk = decodeChunkFrame(message);
    if (chunk !== null) return this.#onChunk(chunk.id, chunk.data);
    const frame = parseAgentFrame(utf8.decode(message));
    switch (frame?.type) {
      case TypeHTTPResponse:
        return this.#onResponse(frame);
      case TypeHTTPResponseStart:
        return this.#onStart(frame);
      case TypeHTTPResponseChunk:
        return this.#onChunk(frame.request_id, decodeBase64(frame.data_b64, "data_b64", frame));
      case TypeHTTPResponseEnd:
        return this.#onAnswerEnd(frame.request_id);
      case TypeHTTPResponseAbort:
        this.#countAnswer();
        return this.#onAbort(frame);
      case TypeDraining:
        return this.#leave();
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
    const error = new ExchangeError("upstream_invalid", `The agent's answer is too long for one frame: ${reason}`);
    this.#failAnswer(id, wholeAnswer.test(text), error);
    return true;
  }

  #failBadFrame(id: string, error: FrameError): true {
    const kind = `${error.type} ${error.key}`;
    if (!this.#toldKeys.has(kind)) {
      this.#toldKeys.add(kind);
      this.#onBadFrame?.(error);
    }
    const reason = `The agent's answer cannot be taken: ${error.reason}`;
    this.#failAnswer(id, error.type === TypeHTTPResponse, new ExchangeError("upstream_invalid", reason));
    return true;
  }

  /**
   * A frame of the answer to `id` cannot be taken: the answer fails, and no other.
   *
   * @param isWhole the frame was the whole answer, so that the agent has nothing left to cancel
   */
  #failAnswer(id: string, isWhole: boolean, error: ExchangeError): void {
    if (isWhole) {
      this.#countAnswer();
      this.#takeWaiter(id)?.reject(error);
    }
    // What comes behind the end of an answer is dropped.
    if (this.streaming.get(id)?.isComplete !== true) this.#cancel(id, error);
    this.#lifetime.closeIfDrained();
  }

  #countAnswer(): void {
    if (this.#unanswered > 0) this.#unanswered--;
  }

  #onResponse(frame: HTTPResponse): number | void {
    const body = decodeBase64(frame.body_b64, "body_b64", frame);
    this.#countAnswer();
    this.#bytesOut += body.length;
    const waiter = this.#takeWaiter(frame.request_id);
    if (waiter === undefined) return LATE_COST;
    const received = headersToFields(frame.headers, this.#text);
    waiter.resolve({
      status: frame.status,
      reason: reasonOf(frame, this.#text),
      fields: wholeAnswerFields(received, waiter.head, frame.status, body.length),
      body: this.#wholeBody(frame.request_id, body),
      upgrade: upgradeOf(frame.status, received),
    });
    this.#lifetime.closeIfDrained();
  }

  #wholeBody(id: string, bytes: Uint8Array): Body {
    if (bytes.length <= SMALL_BODY_BYTES) return bytes.length === 0 ? null : bytes;
    // The link need not wait for its reader: nothing more comes.
    const answerBody = this.#newBody(id, this.#account);
    answerBody.pushWhole(bytes);
    this.#account.enforceLimit();
    return answerBody.stream;
  }

  #newBody(id: string, total: MemoryAccount): AnswerBody {
    const answerBody: AnswerBody = new AnswerBody(total, {
      onTaken: () => this.#backpressure.taken(answerBody),
      onEnded: () => this.#onEnded(id, answerBody),
      onCanceled: (reason) => this.#cancel(id, reason),
    });
    this.streaming.set(id, answerBody);
    return answerBody;
  }

  #onStart(frame: HTTPResponseStart): number | void {
    const waiter = this.#takeWaiter(frame.request_id);
    if (waiter === undefined) return LATE_COST;
    const answerBody = this.#newBody(frame.request_id, this.#backpressure.total);
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
    this.#bytesOut += data.length;
    answerBody.push(data);
    this.#backpressure.pushed(answerBody, () => {
      this.#cancel(id, new ExchangeError("request_timeout", "The client took nothing of the answer for too long"));
    });
    this.#account.enforceLimit();
  }

  #onAnswerEnd(id: string): number | void {
    this.#countAnswer();
    const answerBody = this.streaming.get(id);
    if (answerBody === undefined || answerBody.isComplete) return LATE_COST;
    answerBody.end();
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
    const isKnown = waiter === undefined || waiter.isSent;
    if (isKnown && answerBody?.isComplete !== true) this.#sendCancel(id, reason);
    const error = reason instanceof Error ? reason : new ExchangeError("request_timeout", "The client went away");
    waiter?.reject(error);
    this.#abortAnswer(id, error);
    this.#lifetime.closeIfDrained();
  }

  #sendCancel(id: string, reason: unknown): void {
    if (!this.#canCancel || this.#lifetime.end !== null) return;
    const code = problemBehind(reason) ?? undefined;
    const frame: HTTPRequestCancel = { type: TypeHTTPRequestCancel, request_id: id, code };
    this.#sender.sendShort(JSON.stringify(frame));
  }

  #takeWaiter(id: string): Waiter | undefined {
    const waiter = this.pending.get(id);
    this.pending.delete(id);
    if (waiter?.isSent === false) this.#sender.drop(waiter);
    return waiter;
  }

  /** The agent would not serve what it got behind its announcement. */
  #leave(): void {
    this.#isLeaving = true;
    for (const { head } of this.#sender.waiting()) this.#takeWaiter(head.id)?.reject(leaving());
    this.#lifetime.closeIfDrained();
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
    this.#account.close();
    for (const body of this.#sender.collecting) body.stop(lost(end));
    for (const id of [...this.pending.keys()]) this.#takeWaiter(id)?.reject(lost(end));
    for (const [id, answerBody] of [...this.streaming]) if (!answerBody.isComplete) this.#abortAnswer(id, lost(end));
  }
}

function leaving(): ExchangeError {
  return new ExchangeError("tunnel_offline", "The agent is leaving and takes no new requests");
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

/** With the Content-Length of the body, except for HEAD and 304, where it is the length of another answer. */
function wholeAnswerFields(received: Fields, head: RequestHead, status: number, length: number): Fields {
  const fields = withoutHost(endToEndFields(received));
  if (head.method === "HEAD" || status === 304) return fields;
  const announced = fieldValue(fields, "content-length");
  if (announced === String(length)) return fields;
  const others = announced === undefined ? fields : withoutFields(fields, lengthField);
  // Of a body that goes as a stream, the server does not know the length.
  return length > SMALL_BODY_BYTES && status !== 204 ? [...others, "Content-Length", String(length)] : others;
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
