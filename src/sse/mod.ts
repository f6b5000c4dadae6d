/** Server-Sent Events (WHATWG HTML §9.2), read. */

export interface SseEvent {
  /** `message` where the stream names none. */
  readonly type: string;
  readonly data: string;
  /** The newest id of the stream so far; `""` before the first. */
  readonly id: string;
}

export interface SseParserOptions {
  /** Of one event. Default 1 MiB. */
  maxEventBytes?: number;
}

/** For one stream: after a reconnect there is a new one. */
export class SseParser {
  readonly #onEvent: (event: SseEvent) => void;
  readonly #maxEventBytes: number;
  readonly #decoder = new TextDecoder();
  #rest = "";
  #type = "";
  #data: string[] = [];
  #id = "";

  constructor(onEvent: (event: SseEvent) => void, { maxEventBytes = 1024 ** 2 }: SseParserOptions = {}) {
    this.#onEvent = onEvent;
    this.#maxEventBytes = maxEventBytes;
  }

  /** @throws {Error} for an event over the limit */
  push(bytes: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop()!;
    if (this.#rest.length > this.#maxEventBytes) throw new Error(`An event has over ${this.#maxEventBytes} bytes`);
    for (const line of lines) this.#takeLine(line);
  }

  #takeLine(line: string): void {
    if (line === "") {
      if (this.#data.length > 0) {
        this.#onEvent({ type: this.#type || "message", data: this.#data.join("\n"), id: this.#id });
      }
      this.#type = "";
      this.#data = [];
      return;
    }
    const [, name, value = ""] = /^([^:]*)(?::[ ]?(.*))?$/s.exec(line) as unknown as [string, string, string?];
    if (name === "event") this.#type = value;
    if (name === "data") this.#data.push(value);
    if (name === "id" && !value.includes("\0")) this.#id = value;
  }
}
