/** The limits of an edge's visitors and connections, and what is told of those that are past them. */
import type { Clock } from "../base/mod.ts";
import { ConnectionLimits, type ConnectionLimitsInit, VisitorLimits, type VisitorLimitsInit } from "../limits/mod.ts";
import type { MemoryAccount } from "../memory/mod.ts";
import { ReasonCounts, type ReasonReporter } from "./refusals.ts";

export interface EdgeLimitsInit {
  visitors?: VisitorLimitsInit;
  connections?: ConnectionLimitsInit;
  /** Addresses for which no limit of one address holds, such as those of trusted proxies. Default: none. */
  isExempt?(address: string): boolean;
}

export class EdgeLimits {
  /** Null where nothing is limited. */
  readonly visitors: VisitorLimits | null;
  readonly connections: ConnectionLimits;
  readonly #counts: ReasonCounts;

  /** @param report told of the first refusal for each address and reason, then how many more there were in each minute */
  constructor(init: EdgeLimitsInit, clock: Clock, memory: MemoryAccount, report: ReasonReporter) {
    const counts = this.#counts = new ReasonCounts(clock, "further limits were reached", report);
    // The peer of a unix socket has an empty address.
    const onRefused = (address: string | null, reason: string) => counts.add(address || null, reason);
    this.visitors = VisitorLimits.of(init.visitors, { clock, memory, onRefused });
    this.connections = new ConnectionLimits(init.connections, { clock, onRefused, isExempt: init.isExempt });
  }

  /** Refusals since the start. */
  get refused(): number {
    return this.#counts.total;
  }

  close(): void {
    this.#counts.close();
  }
}
