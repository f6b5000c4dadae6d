/** Accepts agents at `GET /agent`. The subprotocol that the handshake offers decides which protocol they speak. */
import type { CancelSignal, Clock, RunnelError } from "../base/mod.ts";
import { type Answer, type Handler, problemAnswer, type RequestHead } from "../http/mod.ts";
import { type LinkLimits, type MemoryAccount, SUBPROTOCOL } from "../httpstream/mod.ts";
import type { EdgeSession, SessionEnd } from "../session/mod.ts";
import { checkUpgrade } from "../websocket/mod.ts";
import type { AgentIdentity, AgentPeer } from "./agent_identity.ts";
import type { DeclaredTunnels } from "./declared.ts";
import { JsonAcceptor, type JsonAcceptorOptions } from "./json_acceptor.ts";
import type { PublicUrls } from "./public_urls.ts";
import { type RefusalCode, type RefusalReporter, TokenRefusals } from "./refusals.ts";
import { SessionQuota } from "./session_quota.ts";
import type { TokenCheck, TokenOwner } from "./tokens.ts";
import type { TunnelTimeouts } from "./tunnel_timeouts.ts";
import type { Tunnels } from "./tunnels.ts";
import { V2Acceptor } from "./v2_acceptor.ts";

const DEFAULT_RESUME_TIMEOUT_MS = 30_000;

export interface AgentAcceptorOptions {
  /** The edge's version. */
  version: string;
  tunnels: Tunnels;
  timeouts: TunnelTimeouts;
  checkToken: TokenCheck;
  /** Sessions that the owner of a token may have at one time. Default 200. */
  maxSessionsPerOwner?: number;
  /** A session was refused because its token has as many already; for the log. */
  onQuotaReached(reason: string): void;
  declared: DeclaredTunnels;
  urls: PublicUrls;
  /** Serves what an agent of `runnel.v2` asks of the edge. */
  agentRoutes(agent: AgentIdentity): Handler;
  /** An agent has connected, or come back to its session. */
  onSession(session: EdgeSession, owner: TokenOwner, peer: AgentPeer): void;
  /** Milliseconds for which a session of `runnel.v2` outlives a lost link; 0: it does not. Default 30,000. */
  resumeTimeoutMs?: number;
  /** Heartbeat of the connections of `runnel.v2`: see `ConnectionLimits`. */
  link?: LinkLimits;
  /** An agent may not have the tunnel that it asked for. */
  onTunnelRefused(peer: AgentPeer, reason: string): void;
  /** A session opened a tunnel, which it has until `ended` resolves; for the log. */
  onTunnel(session: EdgeSession, name: string, peer: AgentPeer, ended: Promise<SessionEnd>): void;
  /** Wrong tokens were refused; for the log. */
  onTokensRefused: RefusalReporter;
  /** An agent sent a frame that could not be taken, which cost one answer; for the log. */
  onBadFrame(session: EdgeSession, name: string, error: RunnelError): void;
  /** A mistake of our own, which cost one stream; for the log. */
  onError(error: unknown): void;
  /** The bytes that all connections of the process hold. */
  memory: MemoryAccount;
  json?: Pick<
    JsonAcceptorOptions,
    "session" | "registerTimeoutMs" | "maxUnregistered" | "maxUnregisteredPerAddress" | "maxFrameBytes"
  >;
  clock: Clock;
}

export class AgentAcceptor {
  readonly #json: JsonAcceptor;
  readonly #v2: V2Acceptor;
  readonly #refusals: TokenRefusals;
  readonly #tunnels: Tunnels;
  readonly #onSession: AgentAcceptorOptions["onSession"];
  /** All that are not over, with a tunnel or without. */
  readonly #sessions = new Map<EdgeSession, TokenOwner>();
  #sessionCount = 0;
  /** Agents are told to go elsewhere. */
  #isLeaving = false;

  constructor(options: AgentAcceptorOptions) {
    this.#tunnels = options.tunnels;
    this.#onSession = options.onSession;
    this.#refusals = new TokenRefusals(options.clock, options.onTokensRefused);
    const quota = new SessionQuota(options.maxSessionsPerOwner, options.onQuotaReached);
    const shared = { ...options, refusals: this.#refusals, quota, nextSessionId: () => `s${++this.#sessionCount}` };
    this.#v2 = new V2Acceptor({
      ...shared,
      resumeTimeoutMs: options.resumeTimeoutMs ?? DEFAULT_RESUME_TIMEOUT_MS,
      onSession: (session, owner, peer) => this.#add(session, owner, peer),
    });
    this.#json = new JsonAcceptor({
      ...options.json,
      ...shared,
      onSession: (session, name, peer, owner) => {
        this.#add(session, owner, peer);
        options.onTunnel(session, name, peer, session.closed);
      },
    });
  }

  /** Those that are not over. */
  get sessions(): Iterable<EdgeSession> {
    return this.#sessions.keys();
  }

  /** Wrong tokens since the start. */
  get refusedTokens(): number {
    return this.#refusals.total;
  }

  /** Counts a wrong token that was shown elsewhere; see `TokenRefusals.refuse`. */
  refuseToken(address: string, signal: CancelSignal): Promise<RefusalCode> {
    return this.#refusals.refuse(address, signal);
  }

  /**
   * The answer to a request for `/agent`: a 101 that becomes a session, or a problem.
   *
   * @param signal aborts when the agent has gone
   */
  async accept(head: RequestHead, signal: CancelSignal): Promise<Answer> {
    const check = checkUpgrade(head, { protocols: [SUBPROTOCOL] });
    if (!check.accepted) {
      if (check.status !== 426) return problemAnswer("bad_request", check.reason, check.fields);
      return { ...problemAnswer("upgrade_required", check.reason, check.fields), upgrade: "websocket" };
    }
    return check.protocol === null ? this.#json.accept(head, check.fields) : await this.#v2.accept(head, signal);
  }

  /** Closes the links that have not registered, takes no further ones, and answers the wrong tokens that wait. */
  closeUnregistered(): void {
    this.#json.close();
    this.#refusals.close();
  }

  /**
   * Tells the agents that this edge leaves. Their sessions go on until `drain()`, but none outlives its link from now on:
   * nobody can come back to an edge that does not listen.
   */
  announceDrain(): void {
    this.#isLeaving = true;
    for (const session of this.#sessions.keys()) announceDrain(session);
  }

  /** Lets each session whose agent cannot be told of a drain finish what runs on it: its agent comes back elsewhere. */
  drainUntold(): void {
    for (const session of this.#sessions.keys()) if (session.announceDrain === undefined) void session.drain();
  }

  /** Lets each session finish what runs on it. */
  async drain(): Promise<void> {
    await Promise.all(Array.from(this.#sessions.keys(), (session) => session.drain()));
  }

  /** Ends every session now. */
  close(reason: string): void {
    for (const session of this.#sessions.keys()) session.close(reason);
  }

  /** Ends the sessions of a token now. */
  closeToken(tokenId: string, reason: string): void {
    for (const [session, owner] of this.#sessions) if (owner.tokenId === tokenId) session.close(reason);
  }

  /** Takes a tunnel from sessions whose tokens may not open it any more. Nobody keeps the name of one that is offline. */
  recheckTunnel(name: string): void {
    for (const { session } of this.#tunnels.get(name)?.holders ?? []) {
      const refusal = this.#sessions.get(session)?.refusalOf(name) ?? null;
      if (refusal !== null) this.#tunnels.withdraw(name, "name_not_allowed", refusal, session);
    }
    // Does nothing while somebody has it.
    this.#tunnels.release(name);
  }

  #add(session: EdgeSession, owner: TokenOwner, peer: AgentPeer): void {
    const isNew = !this.#sessions.has(session);
    this.#sessions.set(session, owner);
    this.#onSession(session, owner, peer);
    if (isNew) void session.closed.then(() => this.#sessions.delete(session));
    if (this.#isLeaving) announceDrain(session);
    // It may have ended between its check and now, when nobody knew of the session.
    if (!owner.isValid()) session.close("The token was removed, replaced or has expired");
  }
}

function announceDrain(session: EdgeSession): void {
  session.endWithLink();
  session.announceDrain?.();
}
