/**
 * How a session of the JSON protocol lives and ends, the same at both ends: its heartbeat, its messages until the end,
 * and each way in which it can be over.
 */
import { type Clock, FloodBudget } from "../../base/mod.ts";
import { release } from "../../memory/mod.ts";
import { CloseCode, type WebSocketClose, WebSocketProtocolError } from "../../websocket/mod.ts";
import type { SessionEnd } from "../session.ts";
import { FrameError } from "./frames.ts";
import { JsonHeartbeat } from "./heartbeat.ts";
import { closeReason, type JsonLink, REPLACED_CLOSE_CODE } from "./link.ts";

/** The session whose lifetime it is. */
export interface LifetimeOwner {
  readonly peer: "agent" | "edge";
  /** Whether nothing is under way. */
  isIdle(): boolean;
  /** True while the link is not read, so that silence says nothing about the peer. */
  isReadingPaused(): boolean;
  /** True while the peer may be unable to answer a ping, because it is busy with a request. */
  isPeerBusy(): boolean;
  /**
   * A message came. Not called once the session is over. Returns nothing where it had a use, else what it costs in the
   * budget of floods: 1, or less where it may be late. Bytes are released after the call: what is kept of them needs
   * a reference of its own (src/memory).
   *
   * @throws {FrameError} which `onBadFrame` is told of, or else ends the session
   */
  onMessage(data: Uint8Array | string): number | void;
  /** A frame about the request `id` has a value that cannot be taken. The session ends where this returns false. */
  onBadFrame(id: string, error: FrameError): boolean;
  /**
   * A message came that is too long, and is dropped. The session ends where this returns false, or is not there.
   *
   * @param beginning of the message, some kilobytes of it
   * @param error says how long it is, and the limit
   */
  onLongMessage?(beginning: Uint8Array, error: WebSocketProtocolError): boolean;
  /** After a send that returned false: the next message may be sent. */
  onDrain(): void;
  /** The session is over: what runs must be broken off. Called once, before `closed` resolves. */
  onEnd(end: SessionEnd): void;
}

export class JsonLifetime {
  /** Resolves when the session is over. The link may take a little longer to close. */
  readonly closed: Promise<SessionEnd>;
  readonly #link: JsonLink;
  readonly #owner: LifetimeOwner;
  readonly #heartbeat: JsonHeartbeat;
  readonly #closed = Promise.withResolvers<SessionEnd>();
  readonly #linkClosed = Promise.withResolvers<void>();
  /** Of messages without use, against the others. */
  readonly #flood: FloodBudget;
  readonly #clock: Clock;
  #usefulMessages = 0;
  #isDraining = false;
  #end: SessionEnd | null = null;

  /** Sets the handlers of `link`. */
  constructor(link: JsonLink, clock: Clock, owner: LifetimeOwner) {
    this.#link = link;
    this.#owner = owner;
    this.#clock = clock;
    this.#flood = new FloodBudget(clock.now());
    this.closed = this.#closed.promise;
    this.#heartbeat = new JsonHeartbeat(link, clock, {
      isExempt: () => owner.isReadingPaused(),
      isBusy: () => owner.isPeerBusy(),
      onDead: (silentMs) => this.#die(silentMs),
    });
    link.handlers = {
      onMessage: (data) => this.#takeMessage(data),
      onLongMessage: (beginning, error) => this.#end !== null || (owner.onLongMessage?.(beginning, error) ?? false),
      onBytes: () => this.#heartbeat.onBytes(),
      onPong: () => this.#heartbeat.onPong(),
      onDrain: () => {
        this.#heartbeat.onBytes();
        owner.onDrain();
      },
      // A pong waits behind a long message: that the peer takes the message is as good.
      onProgress: () => this.#heartbeat.onBytes(),
      onEnd: (close) => this.#takeEnd(close),
      onClose: (close) => {
        this.#takeEnd(close);
        this.#linkClosed.resolve();
      },
    };
  }

  /** How the session ended; null while it has not. */
  get end(): SessionEnd | null {
    return this.#end;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** The last measured round trip in milliseconds; null before the first. */
  get rttMs(): number | null {
    return this.#heartbeat.rttMs;
  }

  ping(timeoutMs: number): Promise<boolean> {
    return this.#heartbeat.ping(timeoutMs);
  }

  /** Closes once nothing is under way. Resolves when the link itself is closed, so that the last message has left. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.closeIfDrained();
    await this.#linkClosed.promise;
  }

  /** To be called when an exchange is over. */
  closeIfDrained(): void {
    if (!this.#isDraining || !this.#owner.isIdle()) return;
    this.close(this.#owner.peer === "agent" ? "The edge is shutting down" : "The agent is shutting down");
  }

  close(reason: string, closeCode: number = CloseCode.goingAway): void {
    this.#link.close(closeCode, closeReason(reason));
    this.finish({ code: "closed", reason });
  }

  /** Ends the session, and leaves the link as it is. A second call does nothing. */
  finish(end: SessionEnd): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#heartbeat.stop();
    this.#owner.onEnd(end);
    this.#closed.resolve(end);
  }

  #takeMessage(data: Uint8Array | string): void {
    this.#heartbeat.onBytes();
    try {
      // A request that crosses our close frame is not served: its answer could not be sent.
      this.#count(this.#end === null ? this.#owner.onMessage(data) ?? 0 : 0);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      if (error.requestId !== null && this.#owner.onBadFrame(error.requestId, error)) return this.#count(1);
      this.#link.close(CloseCode.protocolError, closeReason(error.reason));
      this.finish({ code: error.code, reason: error.reason });
    } finally {
      if (typeof data !== "string") release(data);
    }
  }

  /** @param cost of a message in the budget of floods; 0: it had a use */
  #count(cost: number): void {
    if (cost === 0) this.#usefulMessages++;
    else if (!this.#flood.take(this.#clock.now(), this.#usefulMessages, cost)) this.#endFlood();
  }

  #endFlood(): void {
    const reason = "More messages without use came than the others allow";
    this.#link.close(CloseCode.policyViolation, reason);
    this.finish({ code: "flooded", reason });
  }

  /** No message follows, whether the socket is closed yet or not. */
  #takeEnd(close: WebSocketClose): void {
    const broken = close.error instanceof WebSocketProtocolError ? close.error.reason : "";
    const closed = `The link to the ${this.#owner.peer} closed with ${close.code}`;
    const reason = close.reason || broken || closed;
    this.finish({ code: close.code === REPLACED_CLOSE_CODE ? "replaced" : "link_closed", reason });
  }

  #die(silentMs: number): void {
    const { peer } = this.#owner;
    this.#link.abort();
    this.finish({ code: `${peer}_silent`, reason: `The ${peer} was silent for ${silentMs / 1000} s` });
  }
}
