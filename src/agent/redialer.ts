/**
 * Dials for a session that has lost its link, until it goes on or is over. Nothing of it is lost meanwhile: both ends keep
 * what the other one may lack.
 */
import type { Clock, Timer } from "../base/mod.ts";
import { type Connection, ErrorCode } from "../httpstream/mod.ts";
import { canonicalAddress, type NetworkChange, type NetworkWatch } from "../net/mod.ts";
import type { LinkEvents } from "../session/mod.ts";
import { AgentError } from "./errors.ts";
import { redialPauseMs } from "./redial_pauses.ts";

/** A link that has lived so long was a good one: the pauses behind it start anew. */
const STABLE_MS = 10_000;
/**
 * Milliseconds for each connection, TLS included. A dial into a network that is not there may hang: the next one notices
 * that it has come back. On a slow path, later ones have more time. Once there is a connection, the edge has the usual
 * time for its answer: it may be busy with a thousand others that have lost it.
 */
const CONNECT_TIMEOUTS_MS = [2_000, 2_000, 4_000, 4_000, 8_000];
const LAST_CONNECT_TIMEOUT_MS = 10_000;

/** Milliseconds in which the edge must answer when the network may be another one. */
const PROBE_MS = 2_000;
/** Behind a sleep of so many milliseconds the edge has given the link up. */
const LONG_SLEEP_MS = 25_000;

export interface RedialerOptions {
  readonly connection: Connection;
  /**
   * Dials once. Resolves to false where the edge does not know the session any more.
   *
   * @param epoch above that of each dial before
   */
  dial(epoch: number, connectTimeoutMs: number, signal: AbortSignal): Promise<boolean>;
  /** Who is told; asked at each event. */
  events(): LinkEvents | null;
  /** Tells of other networks, and of the machine's sleep. */
  readonly network: Pick<NetworkWatch, "listen">;
  readonly clock: Clock;
  /** A number from 0 up to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/** Begins to dial whenever the connection is suspended. */
export class Redialer {
  readonly #options: RedialerOptions;
  readonly #connection: Connection;
  readonly #random: () => number;
  #epoch = 0;
  /** Dials since the last link that was stable. */
  #attempts = 0;
  #linkedAt: number;
  #timer: Timer | null = null;
  #dial: AbortController | null = null;
  #probeTimer: Timer | null = null;

  constructor(options: RedialerOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#random = options.random ?? Math.random;
    this.#linkedAt = options.clock.now();
    this.#connection.suspensionHandlers = {
      onSuspended: (reason) => this.#suspended(reason),
      onResumed: (suspendedMs) => this.#resumed(suspendedMs),
    };
    const stopListening = options.network.listen((change) => this.#networkChanged(change));
    void this.#connection.ended.then(() => {
      stopListening();
      this.#stop();
    });
  }

  /** A link of a network that is gone is given up, and one that may be is asked. */
  #networkChanged(change: NetworkChange): void {
    if (this.#connection.isSuspended) return this.#dialNow();
    const { localAddress } = this.#connection;
    const isGone = change.kind === "addresses"
      ? localAddress !== null && !change.addresses.has(canonicalAddress(localAddress) ?? localAddress)
      : change.sleptMs >= LONG_SLEEP_MS;
    if (!isGone) return this.#probe();
    this.#connection.detach(change.kind === "addresses" ? "The network has changed" : "The machine slept");
  }

  /** What is waited for may be another network already. */
  #dialNow(): void {
    this.#stop();
    this.#attempts = 0;
    this.#schedule(null);
  }

  #probe(): void {
    this.#endProbe();
    const timer = this.#probeTimer = this.#options.clock.after(PROBE_MS, () => {
      this.#connection.detach(`The edge did not answer within ${PROBE_MS} ms, behind a change of the network`);
    });
    this.#connection.ping().then(() => timer.cancel(), () => timer.cancel());
  }

  /** The link that was asked is lost, or answers. */
  #endProbe(): void {
    this.#probeTimer?.cancel();
    this.#probeTimer = null;
  }

  #suspended(reason: string): void {
    this.#endProbe();
    if (this.#options.clock.now() - this.#linkedAt >= STABLE_MS) this.#attempts = 0;
    this.#options.events()?.onSuspended(reason);
    this.#schedule(null);
  }

  #resumed(suspendedMs: number): void {
    this.#linkedAt = this.#options.clock.now();
    this.#options.events()?.onResumed(suspendedMs, this.#connection.streams);
  }

  #stop(): void {
    this.#endProbe();
    this.#timer?.cancel();
    this.#timer = null;
    this.#dial?.abort();
  }

  #schedule(because: AgentError | null): void {
    if (!this.#connection.isSuspended) return;
    const inMs = redialPauseMs(this.#attempts++, this.#random);
    this.#options.events()?.onRedial(this.#attempts, inMs, because);
    this.#timer = this.#options.clock.after(inMs, () => void this.#attempt());
  }

  async #attempt(): Promise<void> {
    this.#timer = null;
    const dial = this.#dial = new AbortController();
    const connectTimeoutMs = CONNECT_TIMEOUTS_MS[this.#attempts - 1] ?? LAST_CONNECT_TIMEOUT_MS;
    try {
      const isKnown = await this.#options.dial(++this.#epoch, connectTimeoutMs, dial.signal);
      if (!isKnown) this.#connection.expire("The edge does not know the session any more: it has started anew");
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      // Another dial has taken its place, or the session is over.
      if (dial.signal.aborted) return;
      // A refusal of this token, or of this agent, does not pass by dialing again.
      if (error.code === "replaced") this.#connection.expire(error.reason, ErrorCode.REPLACED);
      else if (isFinal(error)) this.#connection.expire(error.reason);
      else this.#schedule(error);
    } finally {
      if (this.#dial === dial) this.#dial = null;
    }
  }
}

/** What an edge says by itself. Everything else may be said by what stands in its place just now, such as a proxy. */
function isFinal({ code }: AgentError): boolean {
  return code === "unauthorized" || code === "protocol_mismatch";
}
