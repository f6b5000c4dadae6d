/** Where a stream of events goes: the part of a connection that the registry knows. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { type BodyOwner, BodySource } from "../http/mod.ts";

export interface PushSink {
  /** Takes bytes at once, whether their reader takes them or not. Where it throws, the stream is over. */
  write(bytes: Uint8Array): void;
  /** Bytes that were written and that the reader has not taken yet. */
  readonly backlogBytes: number;
  /** Ends the stream, in order or, with `error`, by breaking it off. Nothing is written any more. */
  close(error?: Error): void;
}

/** A stream was broken off. */
export class PushStreamError extends RunnelError {
  static {
    nameErrorClass(this, "PushStreamError");
  }

  declare readonly code: "slow_subscriber" | "push_ended";

  constructor(code: PushStreamError["code"], reason: string) {
    super({ code, reason, initiator: code === "push_ended" ? "library" : "remote", retryable: true });
  }
}

/** A sink whose reader takes a `ReadableStream`, such as the body of an answer. */
export class PushStream implements PushSink, BodyOwner {
  readonly #source = new BodySource(this);
  readonly #onLeft: (sink: PushStream) => void;

  /** @param onLeft called where the reader goes */
  constructor(onLeft: (sink: PushStream) => void) {
    this.#onLeft = onLeft;
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  get backlogBytes(): number {
    return this.#source.queuedBytes;
  }

  write(bytes: Uint8Array): void {
    this.#source.push(bytes);
  }

  /** A reader that has not taken everything might never do so: its stream breaks off. */
  close(error?: Error): void {
    if (error === undefined && this.#source.queuedBytes === 0) return this.#source.end();
    this.#source.fail(error ?? new PushStreamError("push_ended", "The stream ended before its reader took it all"));
  }

  /** For the source, as is `onCancel`. Events come when they happen, and not when they are asked for. */
  onPull(): void {}

  onCancel(): void {
    this.#onLeft(this);
  }
}
