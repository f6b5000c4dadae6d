/** Requests, bodies and answers as tests of Handlers make and read them. */
import assert from "node:assert/strict";
import { UpstreamError, type UpstreamErrorCode } from "../../src/http/upstream_error.ts";
import type { Answer, Body, RequestHead } from "../../src/http/message.ts";
import { bytesOf, latin1 } from "./net.ts";

/** `GET / ` with Host `a.test` and no other field, but for what is given. */
export function requestHead(overrides: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "GET",
    target: "/",
    scheme: "http",
    authority: "a.test",
    fields: [],
    client: "127.0.0.1",
    id: "test",
    ...overrides,
  };
}

export const never: AbortSignal = new AbortController().signal;

/** The whole body as a Latin-1 string; of none, the empty string. Rejects where it breaks off. */
export async function bodyText(body: Body): Promise<string> {
  if (body === null) return "";
  if (body instanceof Uint8Array) return latin1(body);
  let text = "";
  for await (const chunk of body) text += latin1(chunk);
  return text;
}

/** A reader of a streamed answer, chunk by chunk. */
export class BodyReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(answer: Answer) {
    assert.ok(answer.body instanceof ReadableStream, "the answer's body is a stream");
    this.#reader = answer.body.getReader();
  }

  /** The next chunk as a Latin-1 string, or `null` at the end. */
  async next(): Promise<string | null> {
    const { value, done } = await this.#reader.read();
    return done ? null : latin1(value);
  }

  cancel(reason?: unknown): Promise<void> {
    return this.#reader.cancel(reason);
  }
}

/** A body that the test feeds, and that shows what became of it. */
export class FedBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** How often a chunk was asked for. */
  pulls = 0;
  /** Why the reader stopped; `undefined` while it has not. */
  canceled: unknown = undefined;
  #controller!: ReadableStreamDefaultController<Uint8Array>;

  constructor(onPull: (body: FedBody) => void = () => {}) {
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: () => {
        this.pulls++;
        onPull(this);
      },
      cancel: (reason) => void (this.canceled = reason ?? "canceled"),
    }, { highWaterMark: 0 });
  }

  push(chunk: string | Uint8Array): void {
    this.#controller.enqueue(typeof chunk === "string" ? bytesOf(chunk) : chunk);
  }

  end(): void {
    this.#controller.close();
  }

  fail(error: unknown): void {
    this.#controller.error(error);
  }
}

/** Asserts that `promise` rejects with an `UpstreamError` of that code, and returns the error. */
export async function rejectsWith(promise: Promise<unknown>, code: UpstreamErrorCode): Promise<UpstreamError> {
  const error = await promise.then(
    (value) => assert.fail(`no ${code}, but ${String(value)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof UpstreamError, `no UpstreamError: ${String(error)}`);
  assert.equal(error.code, code, error.reason);
  return error;
}
