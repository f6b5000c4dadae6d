/**
 * How many connections there may be, in all and of one address, and how many TLS handshakes may begin. A refusal costs next
 * to nothing: it comes before anything is read.
 */
import { type Clock, systemClock, type TokenBucket } from "../base/mod.ts";
import type { ConnectionLease } from "../net/mod.ts";
import { KeyTable, type TableEntry } from "./key_table.ts";
import { bucketOf, type Rate, refillSeconds } from "./rate.ts";
import { visitorKey } from "./visitor_key.ts";

export interface ConnectionLimitsInit {
  /** Connections at once, those of agents among them. Default 65,536. */
  readonly maxConnections?: number;
  /** Those of one address, or of an IPv6 network of 64 bits. Default `Infinity`. */
  readonly maxPerAddress?: number;
  /** TLS handshakes, in all. null: any number. Default 1,000 a second, 2,000 at once. */
  readonly handshakes?: Rate | null;
  /** Those of one address. null: any number. Default 100 a second, 200 at once. */
  readonly handshakesPerAddress?: Rate | null;
  /** Addresses of which handshakes are counted one by one. Default 65,536. */
  readonly maxKeys?: number;
}

export interface ConnectionLimitsParts {
  readonly clock?: Clock;
  /** Addresses for which no limit of one address holds, such as those of proxies. Default: none. */
  isExempt?(address: string): boolean;
  /** Told of each refusal. @param address null: the limit in all is reached */
  onRefused?(address: string | null, reason: string): void;
}

const DEFAULT_MAX_CONNECTIONS = 65_536;
const DEFAULT_MAX_KEYS = 65_536;
const defaultHandshakes: Rate = { perSecond: 1_000, burst: 2_000 };
const defaultHandshakesPerAddress: Rate = { perSecond: 100, burst: 200 };
/** Connections past the most, which are told that there are too many. Agents and probes are served on them. */
const SURPLUS_CONNECTIONS = 256;

class Handshakes implements TableEntry {
  readonly isInUse = false;
  readonly bucket: TokenBucket;

  constructor(rate: Rate, now: number) {
    this.bucket = bucketOf(rate, now);
  }
}

export class ConnectionLimits {
  readonly #clock: Clock;
  readonly #maxConnections: number;
  readonly #maxPerAddress: number;
  readonly #handshakes: TokenBucket | null;
  readonly #handshakesByKey: KeyTable<Handshakes> | null;
  readonly #isExempt: (address: string) => boolean;
  readonly #onRefused: (address: string | null, reason: string) => void;
  #open = 0;
  /** Connections by address. Those of none are not in it. */
  readonly #openByKey = new Map<string, number>();
  /** What leases call. */
  readonly #counts: Counts = {
    add: (address) => this.#addOf(address),
    remove: (key) => this.#remove(key),
    close: () => void this.#open--,
  };

  constructor(init: ConnectionLimitsInit = {}, parts: ConnectionLimitsParts = {}) {
    this.#clock = parts.clock ?? systemClock;
    this.#isExempt = (address) => parts.isExempt?.(address) ?? false;
    this.#onRefused = (address, reason) => parts.onRefused?.(address, reason);
    this.#maxConnections = init.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    this.#maxPerAddress = init.maxPerAddress ?? Infinity;
    const { handshakes = defaultHandshakes, handshakesPerAddress: perAddress = defaultHandshakesPerAddress } = init;
    this.#handshakes = handshakes === null ? null : bucketOf(handshakes, this.#clock.now());
    this.#handshakesByKey = perAddress === null ? null : new KeyTable(
      (now) => new Handshakes(perAddress, now),
      1_000 * refillSeconds(perAddress),
      init.maxKeys ?? DEFAULT_MAX_KEYS,
    );
  }

  /** Connections that are open. */
  get open(): number {
    return this.#open;
  }

  /** Addresses of which handshakes are counted. */
  get rememberedAddresses(): number {
    return this.#handshakesByKey?.size ?? 0;
  }

  /** The most that there can be, those that are only told that there are too many among them. */
  get most(): number {
    return this.#maxConnections + SURPLUS_CONNECTIONS;
  }

  /** True where the newest connection is one too many: it is to be told so. */
  get isOverfull(): boolean {
    return this.#open > this.#maxConnections;
  }

  /**
   * Counts an accepted connection until its lease is released. Null where it is to be reset.
   *
   * @param address of the peer; empty where it has none, as on unix sockets
   */
  admit(address: string): ConnectionLease | null {
    if (this.#open >= this.most) return null;
    const key = this.#addOf(address);
    if (key === false) return null;
    this.#open++;
    return new CountedConnection(this.#counts, key);
  }

  /** Counts a TLS handshake that is about to begin. False where the connection is to be reset instead. */
  admitHandshake(address: string): boolean {
    const now = this.#clock.now();
    if (this.#handshakesByKey !== null && address !== "" && !this.#isExempt(address)) {
      if (!this.#handshakesByKey.get(visitorKey(address), now).bucket.take(now)) {
        this.#onRefused(address, "more than --address-handshake-rate lets an address have");
        return false;
      }
    }
    if (this.#handshakes === null || this.#handshakes.take(now)) return true;
    this.#onRefused(null, "more than --handshake-rate lets all have together");
    return false;
  }

  /**
   * Counts a connection of `address`. Returns the key that it counts under; null where no limit of one address holds, and
   * false where there are too many.
   */
  #addOf(address: string): string | null | false {
    if (this.#maxPerAddress === Infinity || address === "" || this.#isExempt(address)) return null;
    const key = visitorKey(address);
    const count = this.#openByKey.get(key) ?? 0;
    if (count >= this.#maxPerAddress) {
      this.#onRefused(address, "more than --connections-per-address lets an address have");
      return false;
    }
    this.#openByKey.set(key, count + 1);
    return key;
  }

  #remove(key: string | null): void {
    if (key === null) return;
    const left = (this.#openByKey.get(key) as number) - 1;
    if (left === 0) this.#openByKey.delete(key);
    else this.#openByKey.set(key, left);
  }
}

interface Counts {
  add(address: string): string | null | false;
  remove(key: string | null): void;
  close(): void;
}

class CountedConnection implements ConnectionLease {
  readonly #counts: Counts;
  #key: string | null;
  #isReleased = false;

  constructor(counts: Counts, key: string | null) {
    this.#counts = counts;
    this.#key = key;
  }

  assign(address: string): boolean {
    const key = this.#counts.add(address);
    if (key === false) return false;
    this.#counts.remove(this.#key);
    this.#key = key;
    return true;
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#counts.remove(this.#key);
    this.#counts.close();
  }
}
