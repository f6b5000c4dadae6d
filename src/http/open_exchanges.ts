/** The exchanges that are under way, for a view that people watch. */
import { LinkedList, ListNode } from "../base/mod.ts";

/** What is known of an exchange before its end. */
export interface ExchangeFigures {
  readonly method: string;
  /** Without the query string, which may be secret. */
  readonly path: string;
  /** Of the answer; 0 before its head. */
  readonly status: number;
  /** Body bytes from the client, and to it, so far. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** By the observer's clock, in milliseconds. */
  readonly startedAt: number;
}

/** One exchange that is under way. */
export class OpenExchange extends ListNode<OpenExchange> {
  readonly figures: ExchangeFigures;
  /** True where bytes moved between the last two calls of `OpenExchanges.sample`. */
  isMoving = false;
  /** Of the last sample that found it moving; before that its start. */
  movedAt: number;
  #sampledBytes = 0;

  constructor(figures: ExchangeFigures) {
    super();
    this.figures = figures;
    this.movedAt = figures.startedAt;
  }

  /** Body bytes in both directions. */
  get bytes(): number {
    return this.figures.bytesIn + this.figures.bytesOut;
  }

  sample(now: number): void {
    const { bytes } = this;
    this.isMoving = bytes !== this.#sampledBytes;
    if (this.isMoving) this.movedAt = now;
    this.#sampledBytes = bytes;
  }
}

/**
 * Filled by `observeExchanges`. An exchange costs an insertion into a list; what a view wants to know beyond that, it
 * finds out itself.
 */
export class OpenExchanges {
  /** Called when an exchange begins while there is no other. */
  onFirst: () => void = () => {};
  readonly #list = new LinkedList<OpenExchange>();

  get size(): number {
    return this.#list.size;
  }

  /** From the oldest to the newest. */
  [Symbol.iterator](): Iterator<OpenExchange> {
    return this.#list[Symbol.iterator]();
  }

  /** The returned member unlinks itself at the end of the exchange. */
  add(figures: ExchangeFigures): OpenExchange {
    const exchange = new OpenExchange(figures);
    this.#list.append(exchange);
    if (this.#list.size === 1) this.onFirst();
    return exchange;
  }

  /** Notes which exchanges have moved since the last call. */
  sample(now: number): void {
    for (const exchange of this.#list) exchange.sample(now);
  }
}
