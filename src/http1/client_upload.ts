/**
 * Sends a streamed request body: reads no more than the socket takes, frames it, and checks that it is as long as its
 * Content-Length said.
 */
import { claim } from "../net/lease.ts";
import type { Socket } from "../net/mod.ts";
import { UpstreamError } from "./client_error.ts";
import { HttpWriteError } from "./errors.ts";
import type { Framing } from "./framing.ts";
import type { Body, Fields } from "./message.ts";
import { chunkEnd, chunkHeader, lastChunk } from "./writer.ts";

/** How the bytes stand on the wire; `raw` is what follows a 101, where the end is a FIN. */
export type UploadFraming = Framing | { readonly kind: "raw" };

export interface UploadOwner {
  /** The last byte was handed to the socket. */
  onUploaded(): void;
  /** The body broke off or is not what its head announced: the upstream must not take it for whole. */
  onUploadFailed(error: UpstreamError): void;
}

const noFields = (): Fields => [];

export class Upload {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #socket: Socket;
  readonly #framing: UploadFraming;
  readonly #trailers: () => Fields;
  readonly #owner: UploadOwner;
  #sent = 0;
  #complete = false;
  #stopped = false;
  #onDrained: (() => void) | null = null;

  /** Locks `body`; nothing is read before `run()`. */
  constructor(
    body: ReadableStream<Uint8Array>,
    socket: Socket,
    framing: UploadFraming,
    owner: UploadOwner,
    trailers: () => Fields = noFields,
  ) {
    this.#reader = body.getReader();
    this.#socket = socket;
    this.#framing = framing;
    this.#owner = owner;
    this.#trailers = trailers;
  }

  /** Sends until the end, a failure or `stop()`. Never rejects: the owner is told. */
  async run(): Promise<void> {
    try {
      this.#completeAtLength();
      for (;;) {
        const { value, done } = await this.#reader.read();
        if (this.#stopped) return;
        if (done) return this.#finish();
        claim(value);
        // A chunk of no bytes would be the last one.
        if (value.length === 0) continue;
        // After the last byte the socket may already serve another request, and its drain is no longer ours.
        if (!this.#send(value) && !this.#complete) await this.#drained();
        if (this.#stopped) return;
      }
    } catch (cause) {
      this.#fail(cause);
    }
  }

  /** For the socket's `onDrain`. */
  drain(): void {
    const resume = this.#onDrained;
    this.#onDrained = null;
    resume?.();
  }

  /** Reads no further, unless everything was sent already. The body's source is told `reason`. */
  stop(reason: unknown): void {
    if (this.#stopped || this.#complete) return;
    this.#end(reason);
  }

  #fail(cause: unknown): void {
    // A source that fails after its last byte takes nothing from a body that is whole.
    if (this.#stopped || (this.#complete && !(cause instanceof UpstreamError))) return;
    this.#end(cause);
    this.#owner.onUploadFailed(asUpstreamError(cause));
  }

  #end(reason: unknown): void {
    this.#stopped = true;
    // A source that fails while it is told to stop has stopped.
    this.#reader.cancel(reason).catch(() => {});
    this.drain();
  }

  /** False where the socket has enough for now. */
  #send(chunk: Uint8Array): boolean {
    this.#sent += chunk.length;
    if (this.#framing.kind === "chunked") {
      this.#socket.write(chunkHeader(chunk.length));
      this.#socket.write(chunk);
      return this.#socket.write(chunkEnd);
    }
    if (this.#framing.kind === "length" && this.#sent > this.#framing.length) throw this.#mismatch();
    const isWritable = this.#socket.write(chunk);
    this.#completeAtLength();
    return isWritable;
  }

  /** At its last byte a body with a length is over, before its stream says so. */
  #completeAtLength(): void {
    if (this.#framing.kind !== "length" || this.#sent !== this.#framing.length) return;
    this.#complete = true;
    this.#owner.onUploaded();
  }

  #finish(): void {
    if (this.#complete) return;
    if (this.#framing.kind === "length") throw this.#mismatch();
    if (this.#framing.kind === "raw") this.#socket.end();
    else this.#socket.write(lastChunk(this.#trailers()));
    this.#complete = true;
    this.#owner.onUploaded();
  }

  #mismatch(): UpstreamError {
    const length = this.#framing.kind === "length" ? this.#framing.length : 0;
    const extent = this.#sent > length ? "longer than" : `${this.#sent} bytes short of`;
    return new UpstreamError("bad_request", `body is ${extent} its Content-Length ${length}`);
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => this.#onDrained = resolve);
  }
}

function asUpstreamError(cause: unknown): UpstreamError {
  if (cause instanceof UpstreamError) return cause;
  if (cause instanceof HttpWriteError) return new UpstreamError("bad_request", cause.reason, cause);
  return UpstreamError.ofCancel(cause);
}

/** Tells a body's source that nobody will read it. */
export function discardBody(body: Body, reason: unknown): void {
  if (!(body instanceof ReadableStream) || body.locked) return;
  // A source that fails while it is told to stop has stopped.
  body.cancel(reason).catch(() => {});
}
