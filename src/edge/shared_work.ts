/**
 * Which of several agents gets a request for the tunnel that they share, and what may be asked of a second one.
 *
 *     takes requests ─▶ upstream up ─▶ fewest exchanges of this tunnel ─▶ the one that waited longest
 *                          └─ none: those that are down are asked all the same
 */
import { type CancelSignal, CancelSource, type Clock, systemClock } from "../base/mod.ts";
import { type Answer, type Body, ExchangeError, type ProblemCode, type RequestHead } from "../http/mod.ts";
import type { TunnelHolder } from "./tunnel_holder.ts";

type Inform = NonNullable<RequestHead["onInformational"]>;

/** Asks the agent of `holder`, until `signal` aborts. */
export type AskHolder = (holder: TunnelHolder, head: RequestHead, signal: CancelSignal) => Promise<Answer>;

/** Of requests without a body, which no upstream minds to get twice (RFC 9110 §9.2.1). */
const movableMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
/** Nothing of an answer can have come: the session refused the stream or was lost, or there was no upstream. */
const movingCodes: ReadonlySet<ProblemCode> = new Set([
  ...["tunnel_offline", "agent_lost", "overloaded", "upstream_refused"] as const,
]);

export class SharedWork {
  readonly #clock: Clock;
  #turn = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /**
   * The one to ask; null where none takes requests.
   *
   * @param isMovable the request may be asked of another one afterwards
   * @param except one that is not to be asked. Default none.
   */
  pick(holders: readonly TunnelHolder[], isMovable: boolean, except: TunnelHolder | null = null): TunnelHolder | null {
    const able = holders.filter((holder) => holder !== except && holder.takesRequests);
    const up = able.filter((holder) => !holder.isDown);
    const now = this.#clock.now();
    const trial = up.length > 0 && except === null
      ? able.find((holder) => holder.takeTrial(now, isMovable))
      : undefined;
    const picked = trial ?? leastBusy(up.length > 0 ? up : able);
    if (picked !== null) picked.turn = ++this.#turn;
    return picked;
  }

  /**
   * Asks one of `holders`, and once another one where the request may move and the first one has given no answer: it
   * failed, or its link is lost while another one takes requests. Rejects with what the last one that was asked rejects
   * with.
   *
   * @param signal the visitor's: nobody else is asked once it aborted
   * @param ask called once or twice
   * @returns null where none takes requests
   */
  ask(
    holders: () => readonly TunnelHolder[],
    head: RequestHead,
    body: Body,
    signal: CancelSignal,
    ask: AskHolder,
  ): Promise<Answer> | null {
    const isMovable = mayMove(head, body);
    const first = this.pick(holders(), isMovable);
    if (first === null) return null;
    if (!isMovable) return this.#watched(first, ask(first, head, signal));
    const request = new MovableRequest(head, signal);
    const endWatch = first.session.watchSuspension((isSuspended) => {
      const isServed = holders().some((other) => other !== first && other.takesRequests);
      if (isSuspended && isServed) request.giveUp();
    });
    return this.#watched(first, ask(first, request.head, request)).finally(endWatch).catch((error: unknown) => {
      const second = request.isAnswered || signal.aborted || !isMoving(error)
        ? null
        : this.pick(holders(), isMovable, first);
      if (second === null) throw error;
      return this.#watched(second, ask(second, head, signal));
    });
  }

  /** Learns from the answer whether the upstream is there. */
  #watched(holder: TunnelHolder, answer: Promise<Answer>): Promise<Answer> {
    return answer.then((answer) => {
      holder.upstreamAnswered();
      return answer;
    }, (error: unknown) => {
      if (error instanceof ExchangeError && error.code === "upstream_refused") {
        holder.upstreamRefused(this.#clock.now());
      }
      throw error;
    });
  }
}

/**
 * A request that may move: its head, and whether something of an answer has come. It is the signal for the first agent, too,
 * which aborts with the visitor's, and when that agent is not waited for any more.
 */
class MovableRequest extends CancelSource {
  isAnswered = false;
  readonly head: RequestHead;
  readonly #visitor: CancelSignal;

  constructor(head: RequestHead, visitor: CancelSignal) {
    super();
    this.#visitor = visitor;
    if (visitor.aborted) this.handleEvent();
    else visitor.addEventListener("abort", this);
    // It counts as answered where the visitor's version of HTTP has no interim answers, too.
    this.head = { ...head, onInformational: this.#noting(head.onInformational) };
  }

  /** The visitor has left. */
  handleEvent(): void {
    this.abort(this.#visitor.reason);
  }

  /** Another agent is to be asked, unless there is something of an answer. */
  giveUp(): void {
    if (!this.isAnswered) this.abort(new ExchangeError("agent_lost", "The link to the agent was lost"));
  }

  #noting(inform: Inform | undefined): Inform {
    return (status, fields) => {
      this.isAnswered = true;
      inform?.(status, fields);
    };
  }
}

function leastBusy(holders: readonly TunnelHolder[]): TunnelHolder | null {
  let least: TunnelHolder | null = null;
  for (const holder of holders) {
    if (least === null || holder.outstanding < least.outstanding) least = holder;
    else if (holder.outstanding === least.outstanding && holder.turn < least.turn) least = holder;
  }
  return least;
}

function mayMove({ method, upgrade }: RequestHead, body: Body): boolean {
  return body === null && upgrade === undefined && movableMethods.has(method);
}

function isMoving(error: unknown): boolean {
  return error instanceof ExchangeError && movingCodes.has(error.code);
}
