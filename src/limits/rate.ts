/** How often something may happen, and buckets for that. */
import { TokenBucket } from "../base/mod.ts";

export interface Rate {
  readonly perSecond: number;
  /** How often at once, behind a rest of `burst / perSecond` seconds. */
  readonly burst: number;
}

/** A full bucket for `rate`. */
export function bucketOf({ burst, perSecond }: Rate, now: number): TokenBucket {
  return new TokenBucket(burst, perSecond, now);
}

/** Seconds until an empty bucket is full: from then on it is like a new one. */
export function refillSeconds({ burst, perSecond }: Rate): number {
  return Math.max(1, Math.ceil(burst / perSecond));
}
