/**
 * What a stream has to tell its owner. Events are collected while the connection takes a message in or makes a flush,
 * and told afterwards. So the owner sees a head together with the bytes that came with it, and is never called from
 * within another call.
 */
import type { StreamError } from "./errors.ts";
import type { Fields, StreamHandlers } from "./types.ts";
import type { WebStreamsAdapter } from "./web_streams_adapter.ts";

/** Kinds of events, as bits, in the order in which they are told. */
export const StreamEvent = { INTERIM_HEAD: 1, RESPONSE: 2, READABLE: 4, STOP: 8, WRITABLE: 16, CLOSE: 32 } as const;

/** What the calls say. */
export interface EventSubject {
  readonly receivedHead: Fields | null;
  readonly error: StreamError | null;
}

const noHandlers: StreamHandlers = {};

export class StreamEvents {
  /** The owner's. */
  handlers: StreamHandlers = noHandlers;
  /** Null until the owner asks for a part of it. */
  adapter: WebStreamsAdapter | null = null;
  #pending = 0;
  #headerBytes = 0;
  #interimHeads: Fields[] | null = null;
  #stopCode = 0;

  /** Header bytes that came in and that the owner was not told of. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  /** @param headerBytes bytes of the header block that the event is about. Default 0. */
  add(kinds: number, headerBytes = 0): void {
    this.#pending |= kinds;
    this.#headerBytes += headerBytes;
  }

  addInterimHead(fields: Fields, headerBytes: number): void {
    (this.#interimHeads ??= []).push(fields);
    this.add(StreamEvent.INTERIM_HEAD, headerBytes);
  }

  addStop(code: number): void {
    this.#stopCode = code;
    this.add(StreamEvent.STOP);
  }

  /** Forgets what was not told yet. */
  clear(): void {
    this.#pending = 0;
    this.#interimHeads = null;
  }

  /** Tells everything that was added, in the order in which it can have happened. */
  tell(subject: EventSubject): void {
    const events = this.#pending;
    this.#pending = 0;
    this.#headerBytes = 0;
    if ((events & StreamEvent.INTERIM_HEAD) !== 0) this.#tellInterimHeads();
    if ((events & (StreamEvent.RESPONSE | StreamEvent.READABLE)) !== 0) this.adapter?.onReceived();
    if ((events & StreamEvent.RESPONSE) !== 0) this.handlers.onResponse?.(subject.receivedHead!);
    if ((events & StreamEvent.READABLE) !== 0) this.handlers.onReadable?.();
    if ((events & StreamEvent.STOP) !== 0) this.handlers.onStop?.(this.#stopCode);
    if ((events & StreamEvent.WRITABLE) !== 0) {
      this.adapter?.onWritable();
      this.handlers.onWritable?.();
    }
    if ((events & StreamEvent.CLOSE) !== 0) {
      this.adapter?.onClosed();
      this.handlers.onClose?.(subject.error);
    }
  }

  #tellInterimHeads(): void {
    const heads = this.#interimHeads;
    this.#interimHeads = null;
    if (heads === null) return;
    for (const fields of heads) this.handlers.onInform?.(fields);
  }
}
