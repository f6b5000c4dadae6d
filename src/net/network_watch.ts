/**
 * Notices what breaks connections without a word: another network (other addresses of this machine), and the sleep of the
 * machine. Both are looked for every 5 s, as long as somebody listens.
 */
import { networkInterfaces } from "node:os";
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import { canonicalAddress } from "./address.ts";
import { runtime } from "./current_runtime.ts";

export type NetworkChange =
  /** The machine has other addresses than before: these, in their canonical form. */
  | { readonly kind: "addresses"; readonly addresses: ReadonlySet<string> }
  /** It slept, or the process stood still, for about so many milliseconds. */
  | { readonly kind: "sleep"; readonly sleptMs: number };

export interface NetworkWatchOptions {
  clock?: Clock;
  /** Milliseconds between looks. Default 5,000. */
  intervalMs?: number;
  /** Null where they cannot be known. Default: those of this machine. */
  readAddresses?: () => ReadonlySet<string> | null;
  /** The wall clock in milliseconds, which goes on while the machine sleeps. Default `Date.now`. */
  wallClock?: () => number;
}

const DEFAULT_INTERVAL_MS = 5_000;
/** A look that comes so late is one behind a sleep. A step of the wall clock looks the same, and costs a question. */
const LEAST_SLEEP_MS = 5_000;

export class NetworkWatch {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #readAddresses: () => ReadonlySet<string> | null;
  readonly #wallClock: () => number;
  readonly #listeners = new Set<(change: NetworkChange) => void>();
  #addresses: ReadonlySet<string> | null = null;
  #lookedAt = { monotonicMs: 0, wallMs: 0 };
  #timer: Timer | null = null;

  constructor(options: NetworkWatchOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS;
    this.#readAddresses = options.readAddresses ?? machineAddresses;
    this.#wallClock = options.wallClock ?? Date.now;
  }

  /** Tells `listener` of changes from now on. The returned function ends that. */
  listen(listener: (change: NetworkChange) => void): () => void {
    this.#listeners.add(listener);
    if (this.#timer === null) this.#begin();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#timer?.cancel();
      this.#timer = null;
    };
  }

  #begin(): void {
    this.#addresses = this.#readAddresses();
    this.#arm();
  }

  #arm(): void {
    this.#lookedAt = { monotonicMs: this.#clock.now(), wallMs: this.#wallClock() };
    this.#timer = this.#clock.after(this.#intervalMs, () => this.#look());
  }

  #look(): void {
    const { monotonicMs, wallMs } = this.#lookedAt;
    // Some systems' monotonic clocks stand still during a sleep, and others go on.
    const passedMs = Math.max(this.#clock.now() - monotonicMs, this.#wallClock() - wallMs);
    const sleptMs = passedMs - this.#intervalMs;
    const before = this.#addresses;
    const addresses = this.#addresses = this.#readAddresses();
    this.#arm();
    if (sleptMs >= LEAST_SLEEP_MS) this.#tell({ kind: "sleep", sleptMs });
    if (before !== null && addresses !== null && !isEqual(before, addresses)) {
      this.#tell({ kind: "addresses", addresses });
    }
  }

  #tell(change: NetworkChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

/** One for all connections of the process. */
export const networkWatch: NetworkWatch = new NetworkWatch();

function isEqual(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((address) => b.has(address));
}

/** Null where the process may not know them. */
function machineAddresses(): ReadonlySet<string> | null {
  if (!runtime.mayReadAddresses()) return null;
  const addresses = new Set<string>();
  for (const own of Object.values(networkInterfaces())) {
    for (const { address } of own ?? []) addresses.add(canonicalAddress(address) ?? address);
  }
  return addresses;
}
