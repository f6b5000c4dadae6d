/**
 * Who is counted by itself. Each tunnel has counters of its own until there are many: the rest are counted together, so
 * that whoever collects the figures gets a bounded number of them.
 */
import { Traffic } from "../http/mod.ts";

export const DEFAULT_MAX_COUNTED_TUNNELS = 1_000;

export class TrafficTable {
  /** The tunnels for which there is no room. */
  readonly rest = new Traffic();
  /** Requests that go to no tunnel: the edge's own paths, and hosts that nobody has. */
  readonly own = new Traffic();
  readonly #byName = new Map<string, Traffic>();
  readonly #maxTunnels: number;

  /** @param maxTunnels that are counted by themselves */
  constructor(maxTunnels: number = DEFAULT_MAX_COUNTED_TUNNELS) {
    this.#maxTunnels = maxTunnels;
  }

  /** The counters of the tunnel `name`, which are those of `rest` where there is no room. */
  of(name: string): Traffic {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.#byName.size >= this.#maxTunnels) return this.rest;
    const traffic = new Traffic();
    this.#byName.set(name, traffic);
    return traffic;
  }

  /** Forgets the tunnels that are not among `names`: others have room then. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.#byName.keys()) if (!names.has(name)) this.#byName.delete(name);
  }
}
