/**
 * Reads Server-Sent Events as WHATWG HTML §9.2.6 says. The fields of an event are the package's affair; lines, their
 * limits and the id that lasts over events are ours.
 *
 *     bytes ─▶ lines (CR, LF, CR LF) ─▶ text (UTF-8, one BOM off) ─▶ fields ─▶ event, at an empty line
 */
import { createParser, type EventSourceParser } from "eventsource-parser";
import { LineSplitter } from "./line_splitter.ts";
import { MessageFormatError } from "./errors.ts";

export interface SseEvent {
  /** `message` where the stream names none. */
  readonly type: string;
  /** Several `data` lines are joined with LF. */
  readonly data: string;
  /** The newest id of the stream so far, which need not stand in this event; `""` before the first. */
  readonly id: string;
}

export interface SseParserOptions {
  /** Of a line, and of all lines of one event but comments, with their ends. Default 1 MiB. */
  maxEventBytes?: number;
  /** The stream says for how many milliseconds a client waits before it reconnects. Default: ignored. */
  onRetry?: (delayMs: number) => void;
}

export const DEFAULT_MAX_EVENT_BYTES = 1024 ** 2;

/** A stream may begin with one BOM. */
const firstLineDecoder = new TextDecoder();
/** Anywhere else it is a character. */
const lineDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** For one stream: after a reconnect there is a new one. An event without its empty line is never told. */
export class SseParser {
  readonly #lines: LineSplitter;
  readonly #fields: EventSourceParser;
  readonly #maxEventBytes: number;
  #isFirstLine = true;
  /** Of the event that is not whole yet. */
  #eventBytes = 0;
  #newestId = "";
  #lastEventId = "";

  constructor(onEvent: (event: SseEvent) => void, options: SseParserOptions = {}) {
    this.#maxEventBytes = options.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES;
    this.#lines = new LineSplitter((line) => this.#take(line), this.#maxEventBytes, "any");
    this.#fields = createParser({
      onEvent: ({ event = "message", data }) => onEvent({ type: event, data, id: this.#lastEventId }),
      onRetry: options.onRetry,
    });
    // It would take three letters at the beginning for the bytes of a BOM.
    this.#fields.feed("\n");
  }

  /** What a client sends as `Last-Event-ID` when it reconnects; `""`: nothing. An id counts once its event is whole. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /**
   * Tells the events that are whole now. The bytes are not kept. After it has thrown, the stream cannot be read on.
   *
   * @throws {MessageFormatError} `line_too_long` or `event_too_large`
   */
  push(bytes: Uint8Array): void {
    this.#lines.push(bytes);
  }

  #take(line: Uint8Array): void {
    const text = (this.#isFirstLine ? firstLineDecoder : lineDecoder).decode(line);
    this.#isFirstLine = false;
    if (text.startsWith(":")) return;
    if (text === "") this.#endEvent();
    else {
      this.#count(line.length + 1);
      this.#noteId(text);
    }
    this.#fields.feed(`${text}\n`);
  }

  #endEvent(): void {
    this.#eventBytes = 0;
    this.#lastEventId = this.#newestId;
  }

  #count(bytes: number): void {
    this.#eventBytes += bytes;
    if (this.#eventBytes > this.#maxEventBytes) {
      throw new MessageFormatError("event_too_large", `An event of a stream is over ${this.#maxEventBytes} bytes`);
    }
  }

  /** The package forgets an id with its event, and tells none of an event without data. */
  #noteId(text: string): void {
    if (text !== "id" && !text.startsWith("id:")) return;
    const value = text.slice(text[3] === " " ? 4 : 3);
    if (!value.includes("\0")) this.#newestId = value;
  }
}
