/** What goes wrong in a chaos run, in which order: random, and the same each time for the same seed. */
import type { Direction, Fault } from "../../support/chaos_link.ts";
import { SeededRandom } from "../../support/seeded_random.ts";

export interface ChaosEvent {
  readonly fault: Fault;
  readonly direction: Direction;
  /** Bytes of that direction that pass before it strikes, from when the one before was over. */
  readonly afterBytes: number;
  /** Dials that are refused behind it. */
  readonly refusals: number;
  /** Milliseconds until a stall ends. */
  readonly stallMs: number;
}

/** Cuts come most often, as they do outside. */
const kinds: readonly Fault[] = [
  ...["cut", "cut", "cut", "end", "stall", "stall", "blackHole", "blackHoleOneWay"] as const,
  ...["halfClose", "halfCloseAndHang"] as const,
];
/** One in so many strikes within the handshake of the next link, or its replay. */
const EARLY_ONE_IN = 4;
const EARLY_BYTES = 1_024;
const LATE_BYTES = 3 * 1024 * 1024;

/** @param stallMs the longest stall */
export function chaosPlan(seed: number, count: number, stallMs: number): ChaosEvent[] {
  const random = new SeededRandom(seed);
  // Each kind comes up once in a round, so that a short run has them all.
  const round: Fault[] = [];
  return Array.from({ length: count }, () => {
    if (round.length === 0) round.push(...kinds);
    const [fault] = round.splice(random.between(0, round.length - 1), 1);
    const isEarly = random.between(1, EARLY_ONE_IN) === 1;
    return {
      fault: fault!,
      direction: random.pick(["up", "down"] as const),
      afterBytes: isEarly ? random.between(1, EARLY_BYTES) : random.betweenPowers(1_024, LATE_BYTES),
      refusals: Math.max(0, random.between(-3, 2)),
      stallMs: random.between(1, stallMs),
    };
  });
}

export function eventText({ fault, direction, afterBytes, refusals, stallMs }: ChaosEvent): string {
  const more = fault === "stall" ? `for ${stallMs} ms` : `then ${refusals} dials refused`;
  return `${fault} ${direction} after ${afterBytes} bytes, ${more}`;
}
