/**
 * Compares two ways of doing the same: Runnel's own (`with` the trick) and the plain one (`without`). Both are warmed up
 * until their figures are stable, then measured in interleaved rounds of one process, by its processor time: that of all
 * threads, the collector's among them, so that other programs on the machine disturb little.
 */
import process from "node:process";
import { isDeepStrictEqual } from "node:util";
import { median } from "../figures.mjs";
import { type RuntimeName, runtimeName } from "./subjects.ts";

/** Does an operation `count` times, and returns what came of it, to be compared with the other side's. */
export type Run = (count: number) => unknown;

/** The two sides of a case. */
export interface Sides {
  readonly with: Run;
  readonly without: Run;
  /** Ends what the sides hold, such as sockets. */
  close?(): void | Promise<void>;
}

/** One thing that was measured of a case. Less is better. */
export interface Figure {
  /** `ns/piece`, `µs/MB`, `MiB` and so on. */
  readonly unit: string;
  /** Medians of the rounds. */
  readonly with: number;
  readonly without: number;
  /** With divided by without, round by round. */
  readonly ratios: readonly number[];
}

/** What all cases have in common. */
export interface About {
  readonly name: string;
  /** Where the trick is, relative to `src/`. */
  readonly source: string;
  readonly with: string;
  readonly without: string;
  /** The one runtime that has the trick, where it is not for both. */
  readonly only?: RuntimeName;
  /** About how often a small request does the operation, by edge and agent together: told by reading the code. */
  readonly perRequest?: number;
}

export interface Case extends About {
  /** Where the trick is measured instead, because one process cannot show it. */
  readonly elsewhere?: string;
  measure(rounds: number): Promise<Figure[]>;
}

/** The least of a round, and what rounds aim at. */
const ROUND_MS = 50;
const AIM = 1.05;
const BATCH_MS = 10;
/** Figures are stable when so many batches in a row lie within `STABLE_SPREAD`. */
const STABLE_BATCHES = 3;
const STABLE_SPREAD = 1.1;
const MAX_BATCHES = 12;
/** How often an operation is done to compare what the two sides compute. */
const CHECKED_COUNT = 1_000;

/** Processor time of this process in µs, user and system, by all its threads. */
export function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** A case whose sides run in this process. */
export interface InProcess extends About {
  /** What one operation is: `piece`. With `bytes` figures are of a MB (10⁶ bytes) instead. */
  readonly operation?: string;
  /** Bytes of one operation. */
  readonly bytes?: number;
  /** How often an operation is done to compare the sides. Default 1,000; less where one takes long. */
  readonly checkedCount?: number;
  setUp(): Sides | Promise<Sides>;
}

export function inProcess(definition: InProcess): Case {
  return { ...definition, measure: (rounds) => measureInProcess(definition, rounds) };
}

async function measureInProcess(definition: InProcess, rounds: number): Promise<Figure[]> {
  const { bytes, operation = "operation", checkedCount = CHECKED_COUNT } = definition;
  const sides = await definition.setUp();
  try {
    await compareResults(sides, checkedCount);
    const runs = [sides.with, sides.without] as const;
    await warmUp(runs[0]);
    const second = await warmUp(runs[1]);
    // Again: what the second side does may have changed the code that the first one runs on.
    const counts = [await warmUp(runs[0]), second];
    const times: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      for (const side of round % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
        const time = await timed(runs[side], counts[side]);
        times[side].push(time / counts[side]);
        if (time < ROUND_MS * 1_000) counts[side] = Math.ceil(counts[side] * AIM * ROUND_MS * 1_000 / time);
      }
    }
    await compareResults(sides, checkedCount);
    const scale = bytes === undefined ? 1_000 : 1e6 / bytes;
    return [figure(bytes === undefined ? `ns/${operation}` : "µs/MB", times[0], times[1], scale)];
  } finally {
    await sides.close?.();
  }
}

/** @param scale what both sides are multiplied with */
export function figure(
  unit: string,
  withTrick: readonly number[],
  without: readonly number[],
  scale: number = 1,
): Figure {
  return {
    unit,
    with: median(withTrick) * scale,
    without: median(without) * scale,
    ratios: withTrick.map((value, round) => value / without[round]),
  };
}

/** @throws {Error} where the sides do not compute the same */
async function compareResults(sides: Sides, count: number): Promise<void> {
  checkSame(await sides.with(count), await sides.without(count));
}

/** @throws {Error} where the sides did not compute the same, or nothing */
export function checkSame(withTrick: unknown, without: unknown): void {
  if (withTrick === undefined) throw new Error("The side with the trick computes nothing that can be compared");
  if (isDeepStrictEqual(withTrick, without)) return;
  throw new Error(`The sides differ: ${JSON.stringify(withTrick)} with the trick, ${JSON.stringify(without)} without`);
}

/** Microseconds of processor time. */
async function timed(run: Run, count: number): Promise<number> {
  const begun = cpuMicroseconds();
  const result = run(count);
  if (result instanceof Promise) await result;
  return Math.max(1, cpuMicroseconds() - begun);
}

/** Runs until the figures are stable; returns the count that a round needs. */
async function warmUp(run: Run): Promise<number> {
  let count = 1;
  let time = await timed(run, count);
  while (time < BATCH_MS * 500) {
    count = Math.ceil(count * Math.min(10, Math.max(2, BATCH_MS * 1_000 / time)));
    time = await timed(run, count);
  }
  const latest: number[] = [];
  for (let batch = 0; batch < MAX_BATCHES && !isStable(latest); batch++) {
    latest.push(await timed(run, count) / count);
    if (latest.length > STABLE_BATCHES) latest.shift();
  }
  return Math.ceil(AIM * ROUND_MS * 1_000 / median(latest));
}

function isStable(latest: readonly number[]): boolean {
  return latest.length === STABLE_BATCHES && Math.max(...latest) <= STABLE_SPREAD * Math.min(...latest);
}

/** A case that counts what is held in memory. What it counts is the same each time: one round tells all. */
export interface Held extends About {
  readonly unit: string;
  /** Both return how much is held by one way, and what it holds, to be compared. */
  measureWith(): HeldResult;
  measureWithout(): HeldResult;
}

export interface HeldResult {
  readonly held: number;
  readonly content: unknown;
}

export function held(definition: Held): Case {
  return {
    ...definition,
    measure() {
      const withTrick = definition.measureWith();
      const without = definition.measureWithout();
      checkSame(withTrick.content, without.content);
      return Promise.resolve([figure(definition.unit, [withTrick.held], [without.held])]);
    },
  };
}

/** A trick that shows only between two busy processes, or in whole requests. @param where how it is measured */
export function elsewhere(about: About, where: string): Case {
  return { ...about, elsewhere: where, measure: () => Promise.resolve([]) };
}

/** Why a case cannot be measured here, or null. */
export function whyNot(one: Case): string | null {
  if (one.elsewhere !== undefined) return `measured by ${one.elsewhere}`;
  return one.only === undefined || one.only === runtimeName ? null : `a trick for ${one.only} alone`;
}

/** Bytes of all buffers that the views need, each counted once. */
export function bufferBytes(views: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const buffer of new Set(views.map((view) => view.buffer))) bytes += buffer.byteLength;
  return bytes;
}
