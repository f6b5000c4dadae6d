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
  type MemoryAccount,
  type Stream,
  WebSocketUpgrader,
} from "../httpstream/mod.ts";
import { type EdgeSession, serveExchange, targetOf, V2EdgeSession } from "../session/mod.ts";
import { type AgentIdentity, type AgentPeer, agentPeerOf } from "./agent_identity.ts";
import { isAgentApi } from "./own_paths.ts";
import { refusalReasons, type TokenRefusals } from "./refusals.ts";
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
  onSession(session: EdgeSession, owner: TokenOwner, peer: AgentPeer): void;
  /** A mistake of our own, which cost one stream; for the log. */
  onError(error: unknown): void;
  /** The bytes that all connections of the process hold. */
  memory: MemoryAccount;
  clock?: Clock;
}

export class V2Acceptor {
  readonly #options: V2AcceptorOptions;
  readonly #clock: Clock;

  constructor(options: V2AcceptorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
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
    if (owner !== null) return this.#upgrade(head, owner);
    const code = await refusals.refuse(head.client, signal);
    return problemAnswer(code, refusalReasons[code]);
  }

  /** The owner of the handshake's token; null where there is no token, or a wrong one. */
  #ownerOf(head: RequestHead): TokenOwner | null {
    const [, token] = /^Bearer +(\S+) *$/i.exec(fieldValue(head.fields, "authorization") ?? "") ?? [];
    return token === undefined ? null : this.#options.checkToken(token);
  }

  #upgrade(head: RequestHead, owner: TokenOwner): Answer {
    const { agentRoutes, onSession, nextSessionId, memory, version, quota } = this.#options;
    const refusal = quota.refusal(owner.id);
    if (refusal !== null) return problemAnswer("too_many_sessions", refusal);
    // Both are set before the first stream can come.
    let connection: Pick<Connection, "acceptedStreams">;
    let routes: Handler;
    const upgrader = new WebSocketUpgrader({
      clock: this.#clock,
      memory,
      limits: { maxConcurrentStreams: MAX_STREAMS },
      features: Feature.TUNNELS,
      onStream: (stream) => serve(stream, connection, routes),
      onHandlerError: (error) => this.#options.onError(error),
    });
    return upgrader.upgradeResponse(head, (upgraded) => {
      const session = new V2EdgeSession(nextSessionId(), upgraded, this.#clock);
      // Another one may have come between the answer and its sending.
      const tooMany = quota.refusal(owner.id);
      quota.add(owner.id, session);
      connection = upgraded;
      const peer = agentPeerOf(head);
      routes = agentRoutes({ owner, session, peer });
      onSession(session, owner, peer);
      if (tooMany !== null) session.close(tooMany);
    }, [versionFieldName, version]);
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
