/**
 * Frames of a client that are kept when they have left, until the peer has acknowledged them. A client's frame is a masked
 * copy of its message anyhow, so that copy is kept, each in a block that is used again and again.
 *
 * What is kept in the reads that brought it pins them, a dozen at a time. The processor's caches hold fewer, and the
 * collector takes their bytes for a heap that grows: a download cost edge and agent on Bun 7.5 % more processor time. Copies
 * that were kept beside the frames, and masked on their way there, cost 6.5 %, and kept frames 4 %.
 */
import type { Socket } from "../net/mod.ts";
import { Opcode } from "./frames.ts";
import { applyMask } from "./mask.ts";
import { returnKept, takeKept } from "./mask_blocks.ts";
import { clientFrameLength, encodeFrame, totalLength } from "./writer.ts";

/** One frame, and its binary message. */
export class KeptFrame {
  /** False where the sender should wait for `onDrain`. Set when the frame is sent. */
  isReady = true;
  readonly bytes: Uint8Array;
  /** Bytes that the connection has sent with this frame. */
  readonly end: number;
  readonly #owner: KeptFrames;
  readonly #messageBytes: number;
  readonly #key: number;

  constructor(owner: KeptFrames, bytes: Uint8Array, messageBytes: number, key: number) {
    this.#owner = owner;
    this.bytes = bytes;
    this.end = owner.sentBytes + bytes.length;
    this.#messageBytes = messageBytes;
    this.#key = key;
  }

  /** The message, in memory of its own. */
  read(): Uint8Array {
    const message = new Uint8Array(this.bytes.subarray(this.bytes.length - this.#messageBytes));
    applyMask(message, 0, message.length, this.#key);
    return message;
  }

  /** The frame is not needed any more. Once. */
  release(): void {
    this.#owner.release(this);
  }
}

/** Those of one connection. A block is used again when its frame is released, and the socket does not read it any more. */
export class KeptFrames {
  /** Bytes that the connection has sent. */
  sentBytes = 0;
  readonly #socket: Socket;
  /** From the oldest to the newest. */
  readonly #released: KeptFrame[] = [];
  #isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The next frame, which must be sent now. Null where it is too long for a block, or all blocks are taken. */
  encode(parts: readonly Uint8Array[], key: number): KeptFrame | null {
    const messageBytes = totalLength(parts);
    const bytes = takeKept(clientFrameLength(messageBytes));
    if (bytes === null) return null;
    encodeFrame(Opcode.binary, parts, key, () => bytes);
    return new KeptFrame(this, bytes, messageBytes, key);
  }

  /** A peer may acknowledge what it has not received, and a runtime may tell later what the kernel has taken. */
  release(frame: KeptFrame): void {
    this.#released.push(frame);
    this.returnBlocks();
  }

  /** The socket has closed, and reads nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.returnBlocks();
  }

  /** To be called when the kernel has taken more, too. */
  returnBlocks(): void {
    const { closed, bufferedBytes } = this.#socket;
    // A socket that was reset forgets what it has buffered, and may read on until it says that it has closed.
    const writtenBytes = this.#isClosed ? Infinity : closed ? 0 : this.sentBytes - bufferedBytes;
    const released = this.#released;
    let returned = 0;
    while (returned < released.length && released[returned].end <= writtenBytes) returnKept(released[returned++].bytes);
    if (returned === released.length) released.length = 0;
    else if (returned > 0) released.splice(0, returned);
  }
}
