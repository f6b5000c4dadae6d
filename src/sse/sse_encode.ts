/** Writes Server-Sent Events (WHATWG HTML §9.2.5). */

export interface SseBlock {
  /** Default: `message`, which is not written. */
  readonly type?: string;
  /** Default: the reader's place stays what it is. `""` takes its id away. */
  readonly id?: string;
  /** Milliseconds before a reader reconnects. Default: as before. */
  readonly retryMs?: number;
  /** May have several lines; CR and CR LF arrive as LF. Default: nothing is told, and `id` and `retryMs` count. */
  readonly data?: string;
}

/**
 * One event, with the empty line that ends it.
 *
 * @throws {TypeError} where a value cannot be written: `type` and `id` are one line, an id has no NULL, and `retryMs` is a
 *   whole number from 0
 */
export function sseEvent({ type, id, retryMs, data }: SseBlock): string {
  let text = "";
  if (type !== undefined && type !== "message") text += `event: ${oneLine("type", type)}\n`;
  if (id !== undefined) text += `id: ${withoutNull(oneLine("id", id))}\n`;
  if (retryMs !== undefined) text += `retry: ${wholeNumber(retryMs)}\n`;
  if (data !== undefined) text += prefixed("data: ", data);
  return `${text}\n`;
}

/** A comment, which readers pass over: it shows that the stream is open. Each line of it becomes one. */
export function sseComment(text: string): string {
  return `${prefixed(": ", text)}\n`;
}

/** The space behind the colon is taken off again by a reader, so that a value may begin with one. */
function prefixed(prefix: string, text: string): string {
  if (!/[\r\n]/.test(text)) return `${prefix}${text}\n`;
  return text.split(/\r\n|\r|\n/).map((line) => `${prefix}${line}\n`).join("");
}

function oneLine(name: string, text: string): string {
  if (/[\r\n]/.test(text)) throw new TypeError(`The ${name} of an event has a line break: ${JSON.stringify(text)}`);
  return text;
}

function withoutNull(id: string): string {
  if (id.includes("\0")) throw new TypeError(`The id of an event has a NULL: ${JSON.stringify(id)}`);
  return id;
}

function wholeNumber(retryMs: number): number {
  if (!Number.isSafeInteger(retryMs) || retryMs < 0) throw new TypeError(`retryMs is ${retryMs}, no whole number`);
  return retryMs;
}
