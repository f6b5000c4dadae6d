/**
 * Accepts agents of the JSON protocol. A link's first frame must be `register`, within 10 s and of 4 KiB at most. The edge
 * answers with `registered`, after which the agent has a session, or with an `error` frame that says why not.
 */
import { CancelSource, type Clock, systemClock } from "../base/mod.ts";
import type { Answer, Fields, RequestHead } from "../http/mod.ts";
import type { MemoryAccount } from "../httpstream/mod.ts";
import { release } from "../memory/mod.ts";
import type { Socket } from "../net/mod.ts";
import {
  closeReason,
  type ErrorFrame,
  FeatureChallengeLines,
  FeatureDraining,
  FeatureLatin1,
  FeatureRequestCancel,
  FeatureRequestId,
  FeatureResponseAbort,
  FrameError,
  JsonEdgeSession,
  type JsonEdgeSessionOptions,
  parseAgentFrame,
  type Register,
  type Registered,
  TypeErrorFrame,
  TypeRegister,
  TypeRegistered,
} from "../session/mod.ts";
import { CloseCode, WebSocketConnection, type WebSocketHandlers } from "../websocket/mod.ts";
import { type AgentPeer, agentPeerOf } from "./agent_identity.ts";
import { claimFor } from "./claim_for.ts";
import { type DeclaredTunnels, declaredUrls } from "./declared.ts";
import type { PublicUrls } from "./public_urls.ts";
import { refusalReasons, type TokenRefusals } from "./refusals.ts";
import type { SessionQuota } from "./session_quota.ts";
import type { TokenCheck, TokenOwner } from "./tokens.ts";
import { toldTimeouts, type TunnelTimeouts } from "./tunnel_timeouts.ts";
import { ClaimError, isQuota, type Tunnels } from "./tunnels.ts";
import { UnregisteredLinks } from "./unregistered_links.ts";

export interface JsonAcceptorOptions {
  tunnels: Tunnels;
  timeouts: TunnelTimeouts;
  checkToken: TokenCheck;
  refusals: TokenRefusals;
  quota: SessionQuota;
  declared: DeclaredTunnels;
  urls: PublicUrls;
  nextSessionId(): string;
  /** A session is registered; for the log. */
  onSession(session: JsonEdgeSession, name: string, peer: AgentPeer, owner: TokenOwner): void;
  /** An agent may not have the tunnel that it asked for. */
  onTunnelRefused(peer: AgentPeer, reason: string): void;
  /** A registered agent sent a frame that could not be taken, which cost one answer; for the log. */
  onBadFrame(session: JsonEdgeSession, name: string, error: FrameError): void;
  session?: Omit<JsonEdgeSessionOptions, "id" | "features" | "agentBodyLimitBytes" | "memory" | "onBadFrame">;
  /** The bytes that all connections of the process hold. */
  memory: MemoryAccount;
  /** Milliseconds until `register` must have come. Default 10,000. */
  registerTimeoutMs?: number;
  /** Links that have not registered yet; for a further one another is closed with 1013. Default 1,024. */
  maxUnregistered?: number;
  /** Those of one address. Default 256. */
  maxUnregisteredPerAddress?: number;
  /**
   * The largest frame of a registered agent. Default 32 MiB, since an agent may send a whole answer as one frame. A longer
   * one fails the answer that it belongs to.
   */
  maxFrameBytes?: number;
  clock?: Clock;
}

const DEFAULT_REGISTER_TIMEOUT_MS = 10_000;
export const DEFAULT_MAX_FRAME_BYTES = 32 * 1024 * 1024;
/** The largest message of a link that has not registered. */
const MAX_REGISTER_BYTES = 4_096;

/** The close code "try again later", of the registry that RFC 6455 §11.7 began. */
const TRY_AGAIN_LATER = 1013;

const shuttingDown = "The edge is shutting down";
const utf8 = new TextDecoder();
/** For a link that is closing without a session. */
const noHandlers: WebSocketHandlers = { onMessage() {}, onDrain() {}, onClose() {} };

export class JsonAcceptor {
  readonly #options: JsonAcceptorOptions;
  readonly #clock: Clock;
  readonly #unregistered: UnregisteredLinks;
  #isClosed = false;

  constructor(options: JsonAcceptorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { maxUnregistered: maxLinks, maxUnregisteredPerAddress: maxLinksPerAddress } = options;
    this.#unregistered = new UnregisteredLinks({ maxLinks, maxLinksPerAddress });
  }

  /** The 101 to a handshake that is in order. @param fields the handshake's own */
  accept(head: RequestHead, fields: Fields): Answer {
    const takeSocket = (socket: Socket, rest: Uint8Array) => this.#takeSocket(socket, rest, agentPeerOf(head));
    return { status: 101, fields, body: null, upgrade: "websocket", takeSocket };
  }

  /** Closes the links that have not registered, and takes no further ones. */
  close(): void {
    this.#isClosed = true;
    for (const link of this.#unregistered.list()) this.#close(link, CloseCode.goingAway, shuttingDown);
  }

  #takeSocket(socket: Socket, rest: Uint8Array, peer: AgentPeer): void {
    const link = new WebSocketConnection(socket, {
      role: "server",
      accept: "text",
      text: "bytes",
      maxMessageBytes: MAX_REGISTER_BYTES,
      rest,
      clock: this.#clock,
      handlers: {
        onMessage: (data) => this.#onFirst(link, data as Uint8Array, peer),
        onDrain: () => {},
        onEnd: () => this.#remove(link),
        onClose: () => this.#remove(link),
      },
    });
    if (this.#isClosed) return this.#close(link, CloseCode.goingAway, shuttingDown);
    const timer = this.#clock.after(
      this.#options.registerTimeoutMs ?? DEFAULT_REGISTER_TIMEOUT_MS,
      () => this.#refuse(link, "register_timeout", "No `register` frame came in time", CloseCode.policyViolation),
    );
    const tooMany = this.#unregistered.add(link, peer.address, timer);
    if (tooMany !== null) this.#close(tooMany, TRY_AGAIN_LATER, "Too many agents are registering");
  }

  #onFirst(link: WebSocketConnection, message: Uint8Array, peer: AgentPeer): void {
    this.#remove(link);
    try {
      const frame = parseAgentFrame(utf8.decode(message));
      if (frame?.type !== TypeRegister) throw new FrameError("The first frame must be `register`");
      // Later frames wait until the registration is decided.
      link.pause();
      this.#register(link, frame, peer).catch((error) => {
        const isKnown = error instanceof ClaimError;
        if (isKnown && !isQuota(error.code)) this.#options.onTunnelRefused(peer, error.reason);
        const [code, reason] = isKnown ? [error.code, error.reason] : ["internal", "The edge failed"];
        this.#refuse(link, code, reason, CloseCode.policyViolation);
      });
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#refuse(link, error.code, error.reason, CloseCode.protocolError);
    } finally {
      release(message);
    }
  }

  async #register(link: WebSocketConnection, frame: Register, peer: AgentPeer): Promise<void> {
    const { tunnels, checkToken, declared, urls } = this.#options;
    const name = lowerCase(frame.tunnel_id);
    const owner = checkToken(frame.agent_token);
    if (owner === null) return await this.#refuseToken(link, peer.address);
    const tooMany = this.#options.quota.refusal(owner.id);
    if (tooMany !== null) throw new ClaimError("too_many_sessions", tooMany);
    const session: JsonEdgeSession = new JsonEdgeSession(link, {
      clock: this.#clock,
      ...this.#options.session,
      id: this.#options.nextSessionId(),
      features: frame.features ?? [],
      agentBodyLimitBytes: frame.max_body_bytes,
      onBadFrame: (error) => this.#options.onBadFrame(session, name, error),
      memory: this.#options.memory,
    });
    this.#options.quota.add(owner.id, session);
    const timeouts = this.#options.timeouts.grant(frame.timeouts);
    try {
      await claimFor({ owner, session, peer }, name, { tunnels, declared }, { force: frame.force, timeouts });
    } catch (error) {
      session.abandon();
      throw error;
    }
    // The edge may have closed while the claim waited for the agent that had the name.
    if (this.#isClosed) session.close(shuttingDown);
    link.skipsLongMessages = true;
    link.maxMessageBytes = this.#options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES;
    const registered: Registered = {
      type: TypeRegistered,
      url: urls.of(name, { isDrawn: peer.hasRandomName, origin: peer.origin }),
      urls: declaredUrls(declared, name, urls, peer.origin),
      features: [
        FeatureResponseAbort,
        FeatureRequestCancel,
        FeatureLatin1,
        FeatureChallengeLines,
        FeatureDraining,
        FeatureRequestId,
      ],
      timeouts: toldTimeouts(frame.timeouts, timeouts),
    };
    link.sendText(JSON.stringify(registered));
    link.resume();
    this.#options.onSession(session, name, peer, owner);
  }

  async #refuseToken(link: WebSocketConnection, address: string): Promise<void> {
    const gone = new CancelSource();
    // Only while it is read is its end noticed. What else comes is dropped.
    link.handlers = {
      onMessage: (data) => void release(data as Uint8Array),
      onDrain: () => {},
      onEnd: () => gone.abort("The link closed"),
      onClose: () => gone.abort("The link closed"),
    };
    link.resume();
    const code = await this.#options.refusals.refuse(address, gone);
    this.#refuse(link, code, refusalReasons[code], CloseCode.policyViolation);
  }

  #refuse(link: WebSocketConnection, code: string, message: string, closeCode: number): void {
    const frame: ErrorFrame = { type: TypeErrorFrame, message, code };
    link.sendText(JSON.stringify(frame));
    this.#close(link, closeCode, message);
  }

  /** Closes a link without a session. What still comes on it is ignored, a late `register`, too. */
  #close(link: WebSocketConnection, code: number, reason: string): void {
    this.#remove(link);
    link.handlers = noHandlers;
    link.close(code, closeReason(reason));
    link.resume();
  }

  #remove(link: WebSocketConnection): void {
    this.#unregistered.remove(link);
  }
}

/** Without case, as in a host name: some ids, such as ULIDs, are written in upper case. Other letters are no name's. */
function lowerCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
