/** What a stream asks of its connection. */
import type { GrowthPool } from "./flow/mod.ts";
import type { Scheduler } from "./scheduler.ts";
import type { MuxStream } from "./stream.ts";
import type { Fields } from "./types.ts";

export interface StreamHost {
  readonly scheduler: Scheduler;
  readonly pool: GrowthPool;
  /** Milliseconds, as of the message or the flush that is being dealt with. */
  readonly now: number;
  readonly rttMs: number;
  readonly initialWindowBytes: number;
  readonly peerWindowBytes: number;
  /** Whether so many header bytes wait that informational heads are dropped. */
  readonly headersFull: boolean;
  /** The block of these fields. @throws {StreamError} `invalid_headers`. */
  encode(fields: Fields, flags: number): Uint8Array;
  /** Something waits to leave: a flush at the end of the turn. */
  wake(): void;
  /** The stream has something to tell its owner. */
  news(stream: MuxStream): void;
  /** Bytes came in that the stream's reader has not taken yet. */
  unsettled(stream: MuxStream): void;
  /** What the stream holds changed by so many bytes, and by so many header bytes. */
  held(bytes: number, headerBytes: number): void;
  /** The stream is over on the wire, and holds nothing. */
  over(stream: MuxStream): void;
  /** Its slot is free. */
  released(stream: MuxStream): void;
}
