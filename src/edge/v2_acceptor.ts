/**
 * Accepts agents of `runnel.v2`. The token is part of the handshake, so that a wrong one gets a 401 instead of a WebSocket.
 * After the 101 the agent has a session, and opens its tunnels on streams of it.
 */
import { type CancelSignal, type Clock, systemClock } from "../base/mod.ts";
import { serves, versionFieldName } from "../config/mod.ts";
import { type Answer, fieldValue, type Handler, problemAnswer, type RequestHead } from "../http/mod.ts";
import {
  type Connection,
  defaultMaxConcurrentStreams,
  ErrorCode,
  Feature,
  type LinkLimits,
  type MemoryAccount,
  parseResumeRequest,
  type ResumeRequest,
  type Stream,
  WebSocketUpgrader,
} from "../httpstream/mod.ts";
import { type EdgeSession, serveExchange, targetOf, V2EdgeSession } from "../session/mod.ts";
import { AcceptRate } from "./accept_rate.ts";
import { type AgentIdentity, type AgentPeer, agentPeerOf } from "./agent_identity.ts";
import { isAgentApi } from "./own_paths.ts";
import { refusalReasons, type TokenRefusals } from "./refusals.ts";
import { type ResumableSession, ResumableSessions } from "./resumable_sessions.ts";
import type { SessionQuota } from "./session_quota.ts";
import type { TokenCheck, TokenOwner } from "./tokens.ts";

/** Streams that an agent may have open at once. */
const MAX_STREAMS = defaultMaxConcurrentStreams("edge");
/** How many of them are reserved for `/api/agent/`. */
const RESERVED_STREAMS = 8;

export interface V2AcceptorOptions {
  /** The edge's version. */
  version: string;
  checkToken: TokenCheck;
  refusals: TokenRefusals;
  quota: SessionQuota;
  nextSessionId(): string;
  /** Serves what an agent asks of the edge. */
  agentRoutes(agent: AgentIdentity): Handler;
  /** An agent has connected, or come back to its session. */
  onSession(session: EdgeSession, owner: TokenOwner, peer: AgentPeer): void;
  /** Milliseconds for which a session outlives a lost link; 0: it does not. */
  resumeTimeoutMs: number;
  /** Heartbeat of the connections: see `ConnectionLimits`. */
  link?: LinkLimits;
  /** A mistake of our own, which cost one stream; for the log. */
  onError(error: unknown): void;
  /** The bytes that all connections of the process hold. */
  memory: MemoryAccount;
  clock?: Clock;
}

export class V2Acceptor {
  readonly #options: V2AcceptorOptions;
  readonly #clock: Clock;
  readonly #resumable: ResumableSessions;
  readonly #rate: AcceptRate;

  constructor(options: V2AcceptorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#rate = new AcceptRate(this.#clock.now());
    this.#resumable = new ResumableSessions(this.#clock, options.resumeTimeoutMs);
  }

  /** The answer to a handshake that offers `runnel.v2`: a 101 that becomes a session, or a problem. */
  async accept(head: RequestHead, signal: CancelSignal): Promise<Answer> {
    const { version, refusals } = this.#options;
    const agentVersion = fieldValue(head.fields, versionFieldName.toLowerCase());
    if (agentVersion !== undefined && !serves(version, agentVersion)) {
      const detail =
        `This edge is ${version} and serves agents of its own and of the previous minor version, not ${agentVersion}`;
      return problemAnswer("version_mismatch", detail, [versionFieldName, version]);
    }
    const owner = this.#ownerOf(head);
    if (owner !== null) {
      // Behind the check of the token, so that only agents have a part in it.
      if (this.#rate.take(owner.id, this.#clock.now())) return this.#upgrade(head, owner);
      return problemAnswer("overloaded", "Too many agents connect at once");
    }
    const code = await refusals.refuse(head.client, signal);
    return problemAnswer(code, refusalReasons[code]);
  }

  /** The owner of the handshake's token; null where there is no token, or a wrong one. */
  #ownerOf(head: RequestHead): TokenOwner | null {
    const [, token] = /^Bearer +(\S+) *$/i.exec(fieldValue(head.fields, "authorization") ?? "") ?? [];
    return token === undefined ? null : this.#options.checkToken(token);
  }

  #upgrade(head: RequestHead, owner: TokenOwner): Answer {
    const request = parseResumeRequest(head.fields);
    if (typeof request === "string") return problemAnswer("bad_request", request);
    if (request === null) return this.#begin(head, owner);
    const verdict = this.#resumable.find(request, owner);
    if (verdict.kind === "known") return this.#resume(head, owner, request, verdict.known);
    if (verdict.kind === "unknown") return this.#begin(head, owner);
    if (verdict.kind === "replaced") return problemAnswer("session_replaced", verdict.reason);
    const detail = `The epoch ${request.epoch} is not above ${verdict.epoch}, the last one of this session`;
    return problemAnswer("stale_epoch", detail);
  }

  #begin(head: RequestHead, owner: TokenOwner): Answer {
    const { agentRoutes, onSession, nextSessionId, version, quota } = this.#options;
    const refusal = quota.refusal(owner.id);
    if (refusal !== null) return problemAnswer("too_many_sessions", refusal);
    // Both are set before the first stream can come.
    let resumable: ResumableSession;
    let routes: Handler;
    const upgrader = this.#upgrader((stream) => serve(stream, resumable.point.connection, routes));
    return upgrader.upgradeResponse(head, (connection, point) => {
      const session = new V2EdgeSession(nextSessionId(), connection, this.#clock);
      // Another one may have come between the answer and its sending.
      const tooMany = quota.refusal(owner.id);
      quota.add(owner.id, session);
      const peer = agentPeerOf(head);
      resumable = { session, point, owner, peer };
      routes = (...request) => agentRoutes(resumable)(...request);
      this.#resumable.add(resumable);
      onSession(session, owner, peer);
      if (tooMany !== null) session.close(tooMany);
    }, [versionFieldName, version]);
  }

  /** From here to the answer nothing may wait: what the answer says was received is what this session goes on from. */
  #resume(head: RequestHead, owner: TokenOwner, request: ResumeRequest, known: ResumableSession): Answer {
    const { onSession, version } = this.#options;
    const answer = this.#upgrader().resumeResponse(head, known.point, request, [versionFieldName, version]);
    if (answer.status !== 101) return answer;
    known.owner = owner;
    known.peer = agentPeerOf(head);
    onSession(known.session, owner, known.peer);
    return answer;
  }

  /** @param onStream default: there are no new streams, since the connection is there already */
  #upgrader(onStream?: (stream: Stream) => void): WebSocketUpgrader {
    return new WebSocketUpgrader({
      clock: this.#clock,
      memory: this.#options.memory,
      limits: { maxConcurrentStreams: MAX_STREAMS, ...this.#options.link },
      resumeTimeoutMs: this.#options.resumeTimeoutMs,
      features: Feature.TUNNELS,
      onStream,
      onHandlerError: (error) => this.#options.onError(error),
    });
  }
}

/**
 * The last slots are reserved for calls of `/api/agent/`, so that an agent can make them whatever else it leaves open. All
 * streams of one message are counted before the first of them is served: that one may be refused because of later ones.
 */
function serve(stream: Stream, connection: Pick<Connection, "acceptedStreams">, routes: Handler): void {
  const isReserved = connection.acceptedStreams > MAX_STREAMS - RESERVED_STREAMS;
  if (isReserved && !isAgentApi(targetOf(stream.headers) ?? "")) stream.reset(ErrorCode.REFUSED_STREAM);
  else serveExchange(stream, routes);
}
