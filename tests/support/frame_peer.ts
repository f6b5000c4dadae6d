/**
 * The peer of a connection, played by the test frame by frame. It sends whatever the test says, also what breaks the
 * protocol, records what it gets, and answers nothing by itself.
 */
import assert from "node:assert/strict";
import { decodeMessage, FrameType, MessageBuilder } from "../../src/httpstream/wire/mod.ts";
import type { Link, LinkCloseInfo } from "../../src/httpstream/link.ts";
import { type FrameName, type FrameOf, FrameRecorder, type RecordedFrame } from "./frame_recorder.ts";

const DEADLINE_MS = 10_000;

export interface RawFrame {
  /** A name, or any number from 0 to 255. */
  type: keyof typeof FrameType | number;
  flags?: number;
  streamId?: number;
  payload?: Uint8Array | readonly number[];
  /** What the length field claims. Default: the payload's length. */
  length?: number;
}

/** The bytes of one frame, unchecked. */
export function rawFrame(frame: RawFrame): Uint8Array {
  const payload = Uint8Array.from(frame.payload ?? []);
  const length = frame.length ?? payload.length;
  const type = typeof frame.type === "number" ? frame.type : FrameType[frame.type];
  const bytes = new Uint8Array(9 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, length >>> 16);
  view.setUint16(1, length & 0xffff);
  view.setUint8(3, type);
  view.setUint8(4, frame.flags ?? 0);
  view.setUint32(5, frame.streamId ?? 0);
  bytes.set(payload, 9);
  return bytes;
}

interface Waiter {
  readonly ready: () => boolean;
  readonly resolve: () => void;
  readonly fail: () => void;
}

export class FramePeer {
  readonly #link: Link;
  readonly #recorder = new FrameRecorder();
  readonly #waiters = new Set<Waiter>();
  #taken = 0;
  #closeInfo: LinkCloseInfo | null = null;

  constructor(link: Link) {
    this.#link = link;
    link.handlers = {
      onMessage: (message) => this.#notify(() => decodeMessage(message, this.#recorder)),
      onDrain: () => {},
      onClose: (info) => this.#notify(() => this.#closeInfo = info),
    };
  }

  /** Every frame that came, ACKs included, in order. */
  get frames(): readonly RecordedFrame[] {
    return this.#recorder.frames;
  }

  /** Counted frames that came, as a true ACK would carry. */
  get countedFrames(): number {
    return this.#recorder.countedFrames;
  }

  /** How the link ended; null while it lives. */
  get closeInfo(): LinkCloseInfo | null {
    return this.#closeInfo;
  }

  /** Sends well-formed frames as one message: `peer.send((m) => m.windowUpdate(2, 100))`. */
  send(build: (message: MessageBuilder) => void): void {
    const message = new MessageBuilder();
    build(message);
    this.#link.send(message.take());
  }

  /** Sends the frames as one message, unchecked. */
  sendRaw(...frames: readonly (RawFrame | Uint8Array)[]): void {
    this.#link.send(frames.map((frame) => frame instanceof Uint8Array ? frame : rawFrame(frame)));
  }

  /** Exchanges the SETTINGS with which a session begins. */
  async greet(pairs: readonly number[] = []): Promise<FrameOf<"SETTINGS">> {
    this.send((message) => message.settings(pairs));
    return await this.expectFrame("SETTINGS");
  }

  /** The next frame that was not taken yet. ACKs are passed over, unless `acks` is true. */
  async next(acks = false): Promise<RecordedFrame> {
    await this.until(() => this.#peek(acks) !== null, "the next frame");
    const frame = this.#peek(acks)!;
    this.#taken = this.frames.indexOf(frame, this.#taken) + 1;
    return frame;
  }

  /**
   * Takes the next frame and checks its type and, where given, its properties. ACKs and PINGs may come at any time: they
   * are passed over unless expected.
   */
  async expectFrame<Name extends FrameName>(
    type: Name,
    properties: Partial<Omit<FrameOf<Name>, "type">> = {},
  ): Promise<FrameOf<Name>> {
    let frame = await this.next(type === "ACK");
    while (frame.type === "PING" && type !== "PING") frame = await this.next(type === "ACK");
    const expected: Record<string, unknown> = { type, ...properties };
    const got = frame as unknown as Record<string, unknown>;
    const seen = Object.fromEntries(Object.keys(expected).map((key) => [key, got[key]]));
    assert.deepEqual(seen, expected, `after ${this.#taken - 1} frames came ${frame.type}`);
    return frame as FrameOf<Name>;
  }

  /** Waits for the link's end. */
  async closed(): Promise<LinkCloseInfo> {
    await this.until(() => this.#closeInfo !== null, "the link's end");
    return this.#closeInfo!;
  }

  /**
   * Waits until the condition is true. It is checked after each message, and a last time at the link's end. `what`
   * names it for the failure.
   */
  async until(ready: () => boolean, what: string): Promise<void> {
    if (ready()) return;
    if (this.#closeInfo !== null) throw this.#waitError(what);
    let waiter: Waiter | undefined;
    let deadline: ReturnType<typeof setTimeout> | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        waiter = { ready, resolve, fail: () => reject(this.#waitError(what)) };
        this.#waiters.add(waiter);
        deadline = setTimeout(waiter.fail, DEADLINE_MS);
      });
    } finally {
      clearTimeout(deadline);
      this.#waiters.delete(waiter!);
    }
  }

  close(code = 1000, reason = ""): void {
    this.#link.close(code, reason);
  }

  abort(): void {
    this.#link.abort();
  }

  #peek(acks: boolean): RecordedFrame | null {
    for (let index = this.#taken; index < this.frames.length; index++) {
      const frame = this.frames[index]!;
      if (acks || frame.type !== "ACK") return frame;
    }
    return null;
  }

  #notify(change: () => void): void {
    change();
    for (const waiter of [...this.#waiters]) {
      if (waiter.ready()) waiter.resolve();
      else if (this.#closeInfo !== null) waiter.fail();
    }
  }

  #waitError(what: string): Error {
    const came = this.frames.slice(-20).map((frame) => frame.type).join(" ");
    const end = this.#closeInfo;
    const state = end === null ? `${DEADLINE_MS} ms passed` : `the link ended with ${end.code} "${end.reason}"`;
    return new assert.AssertionError({ message: `Waited for ${what}, but ${state}; last came: ${came}` });
  }
}
