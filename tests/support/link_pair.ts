/** Two links joined in memory, so that two connections, or one and a scripted peer, meet without sockets. */
import { clearImmediate, setImmediate } from "node:timers";
import { type Clock, systemClock, type Timer } from "../../src/base/clock.ts";
import type { Link, LinkCloseInfo, LinkHandlers, SentMessage } from "../../src/httpstream/mod.ts";
import { release } from "../../src/memory/mod.ts";

export interface LinkPairOptions {
  /** Default: everything happens in the next event-loop tick; with a delay or a rate, the system's clock. */
  clock?: Clock;
  /** Milliseconds that a message travels, one way. Default 0. */
  delayMs?: number;
  /** Bytes that leave a second, each way. Default: no limit. */
  bytesPerSecond?: number;
  /** `send()` returns false above so many unsent bytes. Default 65,536. */
  highWaterBytes?: number;
  /** True: `sendKept()` keeps messages, as that of a masking client does. Default false. */
  keeps?: boolean;
}

export interface LinkPair {
  readonly edge: MemoryLink;
  readonly agent: MemoryLink;
  /** Breaks both ends at once, without a closing handshake. */
  cut(): void;
}

/**
 * Two ends of one link. Delivery is asynchronous and in order; with a `FakeClock`, nothing moves until it is advanced
 * (`advance(0)` delivers what needs no time).
 */
export function linkPair(options: LinkPairOptions = {}): LinkPair {
  const isTimed = options.delayMs !== undefined || options.bytesPerSecond !== undefined;
  const clock = options.clock ?? (isTimed ? systemClock : tickClock);
  const edge = new MemoryLink(clock, options);
  const agent = new MemoryLink(clock, options);
  edge.join(agent);
  agent.join(edge);
  return {
    edge,
    agent,
    cut() {
      edge.abort();
      agent.abort();
    },
  };
}

/** Takes no time: every callback comes in the next event-loop tick. */
const tickClock: Clock = {
  now: () => 0,
  after(_delayMs, callback) {
    const handle = setImmediate(callback);
    return { cancel: () => clearImmediate(handle) };
  },
};

type Item =
  | { readonly kind: "message"; readonly parts: readonly Uint8Array[]; readonly size: number }
  | { readonly kind: "close"; readonly code: number; readonly reason: string; readonly size: 0 };

const noHandlers: LinkHandlers = { onMessage() {}, onDrain() {}, onClose() {} };
const lost: LinkCloseInfo = { code: 1006, reason: "", clean: false };

export class MemoryLink implements Link {
  handlers: LinkHandlers = noHandlers;
  readonly localAddress = null;
  /** Messages that `sendKept()` keeps, and that are not released. */
  keptMessages = 0;
  /** While true, what this end sends is lost on the way, as in a proxy that died. */
  swallowing = false;

  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #msPerByte: number;
  readonly #highWaterBytes: number;
  readonly #keeps: boolean;
  readonly #timers = new Set<Timer>();
  /** Not on the wire yet, and on the wire. */
  readonly #unsent: Item[] = [];
  readonly #inFlight: Item[] = [];
  #peer: MemoryLink = this;
  #bufferedBytes = 0;
  #wireFreeAt = 0;
  #owesDrain = false;
  #isClosing = false;
  #isEnded = false;

  constructor(clock: Clock, options: LinkPairOptions) {
    this.#clock = clock;
    this.#delayMs = options.delayMs ?? 0;
    this.#msPerByte = options.bytesPerSecond === undefined ? 0 : 1_000 / options.bytesPerSecond;
    this.#highWaterBytes = options.highWaterBytes ?? 65_536;
    this.#keeps = options.keeps ?? false;
  }

  join(peer: MemoryLink): void {
    this.#peer = peer;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#isClosing || this.#isEnded) return true;
    let size = 0;
    for (const part of parts) size += part.length;
    this.#enqueue({ kind: "message", parts, size });
    this.#owesDrain ||= this.#bufferedBytes > this.#highWaterBytes;
    return !this.#owesDrain;
  }

  sendKept(parts: readonly Uint8Array[]): SentMessage | null {
    if (!this.#keeps || this.#isClosing || this.#isEnded) return null;
    const message = join(parts, parts.reduce((sum, part) => sum + part.length, 0));
    this.keptMessages++;
    return { isReady: this.send([message]), read: () => message.slice(), release: () => void this.keptMessages-- };
  }

  /** Nothing is gathered here. */
  flush(): void {}

  close(code: number, reason: string): void {
    if (this.#isClosing || this.#isEnded) return;
    this.#isClosing = true;
    this.#enqueue({ kind: "close", code, reason, size: 0 });
  }

  abort(): void {
    if (this.#isEnded) return;
    this.#drop();
    this.#later(0, () => this.handlers.onClose(lost));
    this.#later(this.#delayMs, () => this.#peer.#lose());
  }

  #enqueue(item: Item): void {
    this.#bufferedBytes += item.size;
    this.#unsent.push(item);
    const now = this.#clock.now();
    this.#wireFreeAt = Math.max(now, this.#wireFreeAt) + item.size * this.#msPerByte;
    this.#later(this.#wireFreeAt - now, () => this.#depart());
  }

  /** Takes the first item, whichever timer fired, so that a clock which rounds does not change the order. */
  #depart(): void {
    const item = this.#unsent.shift()!;
    this.#bufferedBytes -= item.size;
    this.#inFlight.push(item);
    if (this.#delayMs > 0) this.#later(this.#delayMs, () => this.#arrive());
    else this.#arrive();
    if (!this.#owesDrain || this.#bufferedBytes > 0 || this.#isEnded) return;
    this.#owesDrain = false;
    this.handlers.onDrain();
  }

  #arrive(): void {
    const item = this.#inFlight.shift()!;
    if (!this.swallowing) this.#peer.#receive(item);
  }

  #receive(item: Item): void {
    if (this.#isEnded) return;
    this.handlers.onBytes?.();
    if (item.kind === "message") {
      // Joined only now, so that a sender which changes its bytes after send() is found out.
      this.handlers.onMessage(join(item.parts, item.size));
      return;
    }
    this.close(item.code, item.reason);
    this.#isEnded = true;
    this.handlers.onClose({ code: item.code, reason: item.reason, clean: true });
  }

  #lose(): void {
    if (this.#isEnded) return;
    this.#drop();
    this.handlers.onClose(lost);
  }

  #drop(): void {
    this.#isEnded = true;
    this.#bufferedBytes = 0;
    this.#unsent.length = 0;
    this.#inFlight.length = 0;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #later(delayMs: number, callback: () => void): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  const message = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    message.set(part, offset);
    offset += part.length;
    release(part);
  }
  return message;
}
