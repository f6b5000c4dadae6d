/**
 * How an agent without a subprotocol comes in: its first text frame is `register`, within 10 s and of 4 KiB at most;
 * then it has a session, or an `error` frame that says why not.
 */
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import type { Socket } from "../net/mod.ts";
import { WebSocketConnection } from "../websocket/mod.ts";
import {
  closeReason,
  type ErrorFrame,
  FeatureRequestCancel,
  FeatureResponseAbort,
  FrameError,
  JsonEdgeSession,
  type JsonEdgeSessionOptions,
  parseAgentFrame,
  type Register,
  type Registered,
  TypeError,
  TypeRegister,
  TypeRegistered,
} from "../session/mod.ts";
import type { GuessLimiter, TokenCheck } from "./tokens.ts";
import { ClaimError, type Tunnels } from "./tunnels.ts";

export interface JsonDoorOptions {
  tunnels: Tunnels;
  checkToken: TokenCheck;
  guesses: GuessLimiter;
  /** The public URL of a tunnel's name. */
  urlOf(name: string): string;
  nextSessionId(): string;
  /** A session is registered; for the log. */
  onSession(session: JsonEdgeSession, name: string): void;
  session?: Omit<JsonEdgeSessionOptions, "id" | "features">;
  /** Milliseconds until `register` must have come. Default 10,000. */
  registerTimeoutMs?: number;
  /** Links that have not registered yet; further ones are closed with 1013. Default 1,024. */
  maxStrangers?: number;
  /** The largest frame of a registered agent. Default 32 MiB: a whole answer of an old agent must fit in. */
  maxFrameBytes?: number;
  clock?: Clock;
}

/** Before it registered, an agent is a stranger, and is read no further than this. */
const strangerFrameBytes = 4096;

const shuttingDown = "The edge is shutting down";

export class JsonDoor {
  readonly #options: JsonDoorOptions;
  readonly #clock: Clock;
  /** The links that have not registered, each with the timer that limits that. */
  readonly #strangers = new Map<WebSocketConnection, Timer>();
  #closed = false;

  constructor(options: JsonDoorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Takes over a socket whose handshake is done. `address` is the agent's, for the brake on guessing. */
  enter(socket: Socket, rest: Uint8Array, address: string): void {
    const link = new WebSocketConnection(socket, {
      role: "server",
      accept: "text",
      text: "bytes",
      maxMessageBytes: strangerFrameBytes,
      rest,
      clock: this.#clock,
      handlers: {
        onMessage: (data) => this.#onFirst(link, data as Uint8Array, address),
        onDrain: () => {},
        onClose: () => this.#leave(link),
      },
    });
    if (this.#closed) return this.#dismiss(link, 1001, shuttingDown);
    if (this.#strangers.size >= (this.#options.maxStrangers ?? 1024)) {
      return this.#dismiss(link, 1013, "Too many agents are registering");
    }
    const timer = this.#clock.after(
      this.#options.registerTimeoutMs ?? 10_000,
      () => this.#refuse(link, "register_timeout", "No `register` frame came in time", 1008),
    );
    this.#strangers.set(link, timer);
  }

  /** Closes the links that have not registered, and takes no further ones. */
  close(): void {
    this.#closed = true;
    for (const link of [...this.#strangers.keys()]) this.#dismiss(link, 1001, shuttingDown);
  }

  #onFirst(link: WebSocketConnection, message: Uint8Array, address: string): void {
    this.#leave(link);
    try {
      const frame = parseAgentFrame(new TextDecoder().decode(message));
      if (frame?.type !== TypeRegister) throw new FrameError("The first frame must be `register`");
      // What else the stranger sends waits until its claim is decided.
      link.pause();
      this.#register(link, frame, address).catch((error) => {
        const known = error instanceof ClaimError;
        this.#refuse(link, known ? error.code : "internal", known ? error.reason : "The edge failed", 1008);
      });
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#refuse(link, error.code, error.reason, 1002);
    }
  }

  async #register(link: WebSocketConnection, frame: Register, address: string): Promise<void> {
    const { tunnels, guesses, checkToken, urlOf } = this.#options;
    if (guesses.isBlocked(address)) {
      return this.#refuse(link, "too_many_attempts", "Too many refused tokens: wait a minute", 1008);
    }
    const owner = checkToken(frame.agent_token);
    if (owner === null) {
      guesses.refused(address);
      return this.#refuse(link, "unauthorized", "The token was refused", 1008);
    }
    const features = frame.features ?? [];
    const session = new JsonEdgeSession(link, {
      clock: this.#clock,
      ...this.#options.session,
      id: this.#options.nextSessionId(),
      features,
    });
    try {
      await tunnels.claim(frame.tunnel_id, owner, session, frame.force);
    } catch (error) {
      session.abandon();
      throw error;
    }
    // A claim may have waited for the name's holder while the edge was closed.
    if (this.#closed) session.close(shuttingDown);
    link.maxMessageBytes = this.#options.maxFrameBytes ?? 32 * 1024 * 1024;
    const registered: Registered = {
      type: TypeRegistered,
      url: urlOf(frame.tunnel_id),
      features: [FeatureResponseAbort, FeatureRequestCancel],
    };
    link.sendText(JSON.stringify(registered));
    link.resume();
    this.#options.onSession(session, frame.tunnel_id);
  }

  #refuse(link: WebSocketConnection, code: string, message: string, closeCode: number): void {
    const frame: ErrorFrame = { type: TypeError, message, code };
    link.sendText(JSON.stringify(frame));
    this.#dismiss(link, closeCode, message);
  }

  /** The link is nobody's from here on: what still comes on it, a late `register` too, has no effect. */
  #dismiss(link: WebSocketConnection, code: number, reason: string): void {
    this.#leave(link);
    link.handlers = { onMessage() {}, onDrain() {}, onClose() {} };
    link.close(code, closeReason(reason));
    link.resume();
  }

  #leave(link: WebSocketConnection): void {
    this.#strangers.get(link)?.cancel();
    this.#strangers.delete(link);
  }
}
