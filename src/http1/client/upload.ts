/** Sends the streamed body of a request on the upstream's socket, in the framing that the head says. */
import { BodyLengthError, BodyPump, type BodySink, type Fields, UpstreamError } from "../../http/mod.ts";
import type { Socket } from "../../net/mod.ts";
import { type Framing, HttpWriteError, lastChunk } from "../codec/mod.ts";
import { writeChunk } from "../write_chunk.ts";

/** `raw` is for the bytes after a 101, which end with FIN. */
export type UploadFraming = Framing | { readonly kind: "raw" };

export interface UploadOwner {
  /** The last byte was written to the socket. */
  onUploaded(): void;
  /** The body broke off, or has another length than the head says. The connection must be reset. */
  onUploadFailed(error: UpstreamError): void;
}

const noFields = (): Fields => [];

export class Upload implements BodySink {
  readonly #pump: BodyPump;
  readonly #socket: Socket;
  readonly #framing: UploadFraming;
  readonly #trailers: () => Fields;
  readonly #owner: UploadOwner;
  #sentBytes = 0;
  #isComplete = false;

  /** Locks `body`. Nothing is read before `run()`. */
  constructor(
    body: ReadableStream<Uint8Array>,
    socket: Socket,
    framing: UploadFraming,
    owner: UploadOwner,
    trailers: () => Fields = noFields,
  ) {
    this.#pump = new BodyPump(body, this, framing.kind === "length" ? framing.length : null);
    this.#socket = socket;
    this.#framing = framing;
    this.#owner = owner;
    this.#trailers = trailers;
  }

  /** Sends until the end, a failure or `stop()`. */
  run(): void {
    this.#completeAtLength();
    void this.#pump.run();
  }

  /** For the socket's `onDrain`. */
  drained(): void {
    this.#pump.drained();
  }

  /** Cancels the body, unless all of it was sent. */
  stop(reason: unknown): void {
    if (!this.#isComplete) this.#pump.stop(reason);
  }

  /** Called by the pump, as are `end` and `fail`. */
  write(chunk: Uint8Array): boolean {
    if (this.#framing.kind === "chunked") return writeChunk(this.#socket, chunk);
    this.#sentBytes += chunk.length;
    const canTakeMore = this.#socket.write(chunk);
    this.#completeAtLength();
    // After the last byte the socket may be used for another request, and `drained()` is not called.
    return canTakeMore || this.#isComplete;
  }

  end(): void {
    if (this.#isComplete) return;
    if (this.#framing.kind === "raw") this.#socket.end();
    else this.#socket.write(lastChunk(this.#trailers()));
    this.#complete();
  }

  fail(error: unknown): void {
    // The body was complete before its source failed.
    if (this.#isComplete && !(error instanceof BodyLengthError)) return;
    this.#owner.onUploadFailed(asUpstreamError(error));
  }

  /** A body with a length is complete with its last byte, before its stream ends. */
  #completeAtLength(): void {
    if (this.#framing.kind === "length" && this.#sentBytes === this.#framing.length) this.#complete();
  }

  #complete(): void {
    this.#isComplete = true;
    this.#owner.onUploaded();
  }
}

function asUpstreamError(cause: unknown): UpstreamError {
  if (cause instanceof UpstreamError) return cause;
  if (cause instanceof HttpWriteError) return new UpstreamError("bad_request", cause.reason, cause);
  if (!(cause instanceof BodyLengthError)) return UpstreamError.ofCancel(cause);
  const { sentBytes, length } = cause;
  const extent = sentBytes > length ? "longer than" : `${sentBytes} bytes short of`;
  return new UpstreamError("bad_request", `The body is ${extent} its Content-Length ${length}`, cause);
}
