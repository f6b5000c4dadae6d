/** The link under a JSON session, scripted by the test: it records what is sent, and delivers what the test says. */
import { count } from "../../src/memory/mod.ts";
import type { MessageSource, WebSocketClose } from "../../src/websocket/mod.ts";
import type { JsonLink } from "../../src/session/wsproto/link.ts";

type Frame = Record<string, unknown>;

export class FakeJsonLink implements JsonLink {
  handlers: JsonLink["handlers"] = { onMessage() {}, onDrain() {}, onClose() {} };
  /** What `sendText` returns: false while the link is full. */
  isWritable = true;
  paused = false;
  aborted = false;
  pings = 0;
  /** The last message that came as bytes, with a reference, as from a WebSocket. */
  lastMessage = new Uint8Array(0);
  closedWith: { code: number | undefined; reason: string | undefined } | null = null;
  readonly #asBytes: boolean;
  readonly #sent: Frame[] = [];
  readonly #waiters: (() => void)[] = [];

  /** @param side whose session uses it: an edge's gets its messages as bytes */
  constructor(side: "edge" | "agent") {
    this.#asBytes = side === "edge";
  }

  /** The frames that the session sent and that were not returned by `next()` yet. */
  get sent(): readonly Frame[] {
    return this.#sent;
  }

  /** The types of `sent`, in order. */
  get sentTypes(): unknown[] {
    return this.#sent.map((frame) => frame.type);
  }

  /** The next frame that the session sends. */
  async next(): Promise<Frame> {
    while (this.#sent.length === 0) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    return this.#sent.shift() as Frame;
  }

  /** The other end sends a frame. */
  receive(frame: Frame): void {
    this.receiveText(JSON.stringify(frame));
  }

  receiveText(text: string): void {
    this.handlers.onBytes?.();
    if (!this.#asBytes) return this.handlers.onMessage(text);
    this.lastMessage = new Uint8Array(new TextEncoder().encode(text));
    this.handlers.onMessage(count(this.lastMessage));
  }

  /** The other end answers a ping. */
  pong(): void {
    this.handlers.onBytes?.();
    this.handlers.onPong?.(new Uint8Array(0));
  }

  /** The link takes messages again. */
  drain(): void {
    this.isWritable = true;
    this.handlers.onDrain();
  }

  /** The link closes. */
  lose(close: Partial<WebSocketClose> = {}): void {
    this.handlers.onClose({ code: 1006, reason: "", clean: false, error: null, ...close });
  }

  sendText(text: string): boolean {
    this.#sent.push(JSON.parse(text));
    for (const wake of this.#waiters.splice(0)) wake();
    return this.isWritable;
  }

  sendTextBytes(text: Uint8Array): boolean {
    return this.sendText(new TextDecoder().decode(text));
  }

  sendTextFrom(source: MessageSource): boolean {
    const decoder = new TextDecoder();
    let text = "";
    for (let left = source.byteLength; left > 0;) {
      const part = source.next();
      left -= part.length;
      text += decoder.decode(part, { stream: true });
    }
    source.onOver();
    return this.sendText(text);
  }

  ping(): boolean {
    this.pings++;
    return this.isWritable;
  }

  close(code?: number, reason?: string): void {
    this.closedWith ??= { code, reason };
  }

  abort(): void {
    this.aborted = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}
