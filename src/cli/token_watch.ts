/**
 * Looks whether the token of a running agent has changed in its file. The tunnel is then opened anew before the old token
 * ends, so that no request is lost.
 */
import type { AgentError, AgentToken } from "../agent/mod.ts";
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import { logger } from "../observe/mod.ts";

/** What is opened anew with another token. */
export interface Renewable {
  /** Null while there is no session: the next one is opened with the new token anyway. */
  readonly tunnel: unknown;
  /** Resolves to why it could not be opened, see `Agent.renew`. */
  renew(): Promise<AgentError | null>;
}

/** How often it is looked. */
const LOOK_MS = 1_000;
/** Until a new token is tried again that could not be used. */
const RETRY_MS = 30_000;

export class TokenWatch {
  readonly #agent: Renewable;
  readonly #token: AgentToken;
  readonly #clock: Clock;
  #timer: Timer | null = null;
  #failedToken = "";
  #retryAt = 0;
  #isStopped = false;

  constructor(agent: Renewable, token: AgentToken, clock: Clock = systemClock) {
    this.#agent = agent;
    this.#token = token;
    this.#clock = clock;
    this.#lookLater();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (!this.#isStopped) this.#timer = this.#clock.after(LOOK_MS, () => this.#look().finally(() => this.#lookLater()));
  }

  async #look(): Promise<void> {
    await this.#token.refresh();
    if (this.#isStopped || !this.#token.isRenewed || this.#agent.tunnel === null) return;
    const token = this.#token.current;
    if (token === this.#failedToken && this.#clock.now() < this.#retryAt) return;
    const log = logger("agent");
    log.info("The token has changed: the tunnel is opened anew");
    const error = await this.#agent.renew();
    if (error === null) return;
    this.#failedToken = token;
    this.#retryAt = this.#clock.now() + RETRY_MS;
    log.warn("The new token cannot be used yet, and the session goes on as before: {reason}", { reason: error.reason });
  }
}
