/**
 * How an agent of `runnel.v2` comes in: its token stands in the handshake, so that a wrong one is a 401 and costs no
 * WebSocket. From then on it has a session; tunnels are opened on streams of it.
 */
import { type Clock, systemClock } from "../base/mod.ts";
import { BinarySession, serveExchange, type Session, targetOf } from "../session/mod.ts";
import { type Fields, fieldValue, type Handler, type ProblemCode, type RequestHead } from "../http/mod.ts";
import {
  Connection,
  defaultMaxConcurrentStreams,
  ErrorCode,
  freshSession,
  type MemoryAccount,
  type Stream,
  WebSocketLink,
} from "../httpstream/mod.ts";
import type { Socket } from "../net/mod.ts";
import { type AgentIdentity, isAgentApi } from "./agent_api.ts";
import type { GuessLimiter, TokenCheck } from "./tokens.ts";

/** Streams that an agent may have open at once, and how many of them are for `/api/agent/` alone. */
const maxStreams = defaultMaxConcurrentStreams("edge");
const keptStreams = 8;

export interface BinaryDoorOptions {
  checkToken: TokenCheck;
  guesses: GuessLimiter;
  nextSessionId(): string;
  /** Serves what an agent asks of the edge. */
  agentRoutes(agent: AgentIdentity): Handler;
  onSession(session: Session): void;
  /** A mistake of our own, which cost one stream; for the log. */
  onError(error: unknown): void;
  /** The bytes that all connections of the process hold. */
  memory: MemoryAccount;
  clock?: Clock;
}

/** Whose token it was, and what the 101 says beside the handshake's own. */
export interface Entry {
  readonly owner: string;
  readonly fields: Fields;
}

/** An agent that may not come in. */
export interface Refusal {
  readonly code: ProblemCode;
  readonly detail: string;
}

export class BinaryDoor {
  readonly #options: BinaryDoorOptions;
  readonly #clock: Clock;

  constructor(options: BinaryDoorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Whose token the handshake shows, or why it is not let in. */
  check(head: RequestHead): Entry | Refusal {
    const { guesses, checkToken } = this.#options;
    if (guesses.isBlocked(head.client)) {
      return { code: "too_many_attempts", detail: "too many refused tokens: wait a minute" };
    }
    const [, token] = /^Bearer +(\S+) *$/i.exec(fieldValue(head.fields, "authorization") ?? "") ?? [];
    const owner = token === undefined ? null : checkToken(token);
    if (owner !== null) return { owner, fields: freshSession() };
    guesses.refused(head.client);
    return { code: "unauthorized", detail: "the token was refused" };
  }

  /** Takes over a socket whose handshake is done. */
  enter(socket: Socket, rest: Uint8Array, { owner }: Entry): void {
    const link = new WebSocketLink(socket, { role: "server", rest, clock: this.#clock });
    const connection = new Connection(link, {
      role: "edge",
      clock: this.#clock,
      memory: this.#options.memory,
      limits: { maxConcurrentStreams: maxStreams },
      onStream: (stream) => this.#serve(stream, connection, routes),
      onHandlerError: (error) => this.#options.onError(error),
    });
    const session = new BinarySession(this.#options.nextSessionId(), connection, this.#clock);
    const routes = this.#options.agentRoutes({ owner, session });
    this.#options.onSession(session);
  }

  /**
   * An agent's own calls always find room: whatever else it leaves open, the last slots are kept for them. Streams that
   * came in one message have theirs already, so that of those it is the first ones that are refused.
   */
  #serve(stream: Stream, connection: Connection, routes: Handler): void {
    const isKept = connection.acceptedStreams > maxStreams - keptStreams;
    if (isKept && !isAgentApi(targetOf(stream.headers))) stream.reset(ErrorCode.REFUSED_STREAM);
    else serveExchange(stream, routes);
  }
}
