/** What one visitor may take of an edge, or what all visitors together may take of one tunnel; and what is taken. */
import type { Clock, TokenBucket } from "../base/mod.ts";
import type { TableEntry } from "./key_table.ts";
import { LimitError, type Party } from "./limit_error.ts";
import { bucketOf, type Rate, refillSeconds } from "./rate.ts";
import { TurnBucket } from "./turn_bucket.ts";

export interface ShareLimits {
  /** Requests; null: any number. */
  readonly requests: Rate | null;
  /** Requests at once, upgraded ones among them. `Infinity`: any number. */
  readonly concurrent: number;
  /** WebSockets and other upgraded requests at once. `Infinity`: any number. */
  readonly upgraded: number;
  /** Bytes of bodies, in each of the two directions. `Infinity`: any number. */
  readonly bytesPerSecond: number;
}

export const unlimited: ShareLimits = {
  requests: null,
  concurrent: Infinity,
  upgraded: Infinity,
  bytesPerSecond: Infinity,
};

export function isUnlimited({ requests, concurrent, upgraded, bytesPerSecond }: ShareLimits): boolean {
  return requests === null && concurrent === Infinity && upgraded === Infinity && bytesPerSecond === Infinity;
}

/** Bytes of a second may come at once: less would cost small answers time. */
const BYTE_BURST_SECONDS = 1;

export class Share implements TableEntry {
  readonly bytesUp: TurnBucket | null;
  readonly bytesDown: TurnBucket | null;
  readonly #party: Party;
  readonly #limits: ShareLimits;
  readonly #requests: TokenBucket | null;
  /** Requests under way, and those of them that are upgraded. */
  #active = 0;
  #upgraded = 0;

  constructor(party: Party, limits: ShareLimits, clock: Clock) {
    const { requests, bytesPerSecond } = limits;
    this.#party = party;
    this.#limits = limits;
    this.#requests = requests === null ? null : bucketOf(requests, clock.now());
    this.bytesUp = byteBucket(bytesPerSecond, clock);
    this.bytesDown = byteBucket(bytesPerSecond, clock);
  }

  get isInUse(): boolean {
    return this.#active > 0;
  }

  /** Why there is no place for a further request; null where there is one. */
  placeFault(isUpgraded: boolean): LimitError | null {
    const { concurrent, upgraded } = this.#limits;
    if (this.#active >= concurrent) return LimitError.ofPlaces(this.#party, "concurrency", concurrent);
    if (!isUpgraded || this.#upgraded < upgraded) return null;
    return LimitError.ofPlaces(this.#party, "websockets", upgraded);
  }

  /** Counts a request for the rate. Returns why it may not pass; null where it may. */
  rateFault(now: number): LimitError | null {
    const { requests } = this.#limits;
    if (this.#requests === null || requests === null || this.#requests.take(now)) return null;
    return LimitError.ofRate(this.#party, requests, this.#requests.waitMs(now));
  }

  takePlace(isUpgraded: boolean): void {
    this.#active++;
    if (isUpgraded) this.#upgraded++;
  }

  freePlace(isUpgraded: boolean): void {
    this.#active--;
    if (isUpgraded) this.#upgraded--;
  }
}

function byteBucket(perSecond: number, clock: Clock): TurnBucket | null {
  return perSecond === Infinity ? null : new TurnBucket(perSecond * BYTE_BURST_SECONDS, perSecond, clock);
}

/** Milliseconds behind which a share that nobody has used is like a new one. An older debt of bytes is forgiven. */
export function keepMsOf({ requests }: ShareLimits): number {
  return 1_000 * Math.max(60, requests === null ? 0 : refillSeconds(requests));
}
