/** Tells the edge what became of the newest version of the config, until it has taken that. */
import { Backoff, type Clock } from "../../base/mod.ts";
import { AgentError } from "../errors.ts";
import type { Acknowledgement } from "./edge_api.ts";
import { Alarm } from "./alarm.ts";

export interface AcknowledgerOptions {
  /** Rejects with `AgentError`. */
  send(acknowledgement: Acknowledgement, signal: AbortSignal): Promise<void>;
  onSent(): void;
  /** It could not be told, which is tried again. */
  onTrouble(reason: string): void;
  /** The edge does not take it, whenever it is told. */
  onRefused(): void;
  readonly backoff: Backoff;
  readonly clock: Clock;
}

export class Acknowledger {
  readonly #options: AcknowledgerOptions;
  readonly #alarm: Alarm;
  #pending: Acknowledgement | null = null;

  constructor(options: AcknowledgerOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock);
  }

  /** A later one takes the place of one that the edge has not taken yet. */
  acknowledge(acknowledgement: Acknowledgement): void {
    this.#pending = acknowledgement;
    this.#alarm.ring();
  }

  /** Sends until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#alarm.ring();
    signal.addEventListener("abort", onAbort);
    while (!signal.aborted) {
      this.#alarm.clear();
      const pauseMs = this.#pending === null ? Infinity : await this.#send(this.#pending, signal);
      if (!signal.aborted) await this.#alarm.wait(pauseMs);
    }
    signal.removeEventListener("abort", onAbort);
  }

  /** Resolves to the milliseconds until another attempt. */
  async #send(acknowledgement: Acknowledgement, signal: AbortSignal): Promise<number> {
    const { backoff } = this.#options;
    let isTaken = true;
    try {
      await this.#options.send(acknowledgement, signal);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      if (!signal.aborted) this.#options.onTrouble(error.reason);
      if (error.retryable) return backoff.next();
      isTaken = false;
      this.#options.onRefused();
    }
    backoff.reset();
    // Another one may have come meanwhile.
    if (this.#pending === acknowledgement) this.#pending = null;
    else return 0;
    if (isTaken) this.#options.onSent();
    return Infinity;
  }
}
