/** The token of an agent, which may change while the agent runs: it is then in a file, which is read again. */
import { AgentError, type AgentErrorCode } from "./errors.ts";

export class AgentToken {
  readonly #read: () => Promise<string | null>;
  #current: string;
  #accepted: string;

  /** @param read the token as it is now; null where it cannot be read. Default: it never changes. */
  constructor(token: string, read: () => Promise<string | null> = () => Promise.resolve(null)) {
    this.#current = this.#accepted = token;
    this.#read = read;
  }

  /** As it was read last. */
  get current(): string {
    return this.#current;
  }

  /** True where the tunnel was opened with an earlier one. */
  get isRenewed(): boolean {
    return this.#current !== this.#accepted;
  }

  /** Reads it again. */
  async refresh(): Promise<void> {
    this.#current = await this.#read() ?? this.#current;
  }

  /**
   * Opens a tunnel, or a session, with the current token. Where the edge refuses that, it is read again, and another one is tried at
   * once.
   */
  opener<T>(open: (token: string, signal: AbortSignal) => Promise<T>): (signal: AbortSignal) => Promise<T> {
    return async (signal) => {
      for (;;) {
        const token = this.#current;
        try {
          const opened = await open(token, signal);
          this.#accepted = token;
          return opened;
        } catch (error) {
          if (!(error instanceof AgentError) || !refusals.has(error.code)) throw error;
          await this.refresh();
          if (this.#current === token || signal.aborted) throw error;
        }
      }
    };
  }
}

/** What another token may help against. */
const refusals: ReadonlySet<AgentErrorCode> = new Set(["unauthorized", "too_many_attempts", "name_not_allowed"]);
