/**
 * Which names were ordered lately: how many new ones a week, for whom, and when one that failed may be tried again. It is
 * kept in a file, since the CA counts over restarts, too.
 */
import { z } from "zod";
import { messageOf } from "../base/mod.ts";
import { readIfExists, replacePrivateFile } from "../config/mod.ts";
import type { WaitingName } from "./events.ts";

export interface OrderLimits {
  /** New names that may be ordered within 7 days, those of renewals that come up kept back. Default 40. */
  namesPerWeek: number;
  /** The same for one owner. Default 20. */
  namesPerOwner: number;
}

/** Let's Encrypt issues 50 certificates a week for a registered domain. */
export const DEFAULT_NAMES_PER_WEEK = 40;
export const DEFAULT_NAMES_PER_OWNER = 20;

export const WEEK_MS = 7 * 86_400_000;

/** Let's Encrypt lets a name fail 5 times an hour. */
export const FIRST_RETRY_MS = 15 * 60_000;
export const MAX_RETRY_MS = 86_400_000;

/** Of a failure, so many are kept. */
const MAX_REASON_CHARACTERS = 500;

const recordShape = z.object({
  name: z.string(),
  /** Empty for the edge's own domain. */
  owner: z.string(),
  /** When it was first ordered as a new name, in milliseconds since 1970; null where it never was. */
  orderedAt: z.number().nullable(),
  /** In a row. */
  failures: z.number(),
  /** None is ordered before. */
  retryAt: z.number(),
  /** Of the last failure; empty where there is none. */
  reason: z.string().default(""),
  /** With which it was last ordered. */
  settings: z.string().default(""),
});
type OrderRecord = z.infer<typeof recordShape>;
const neverFailed = { failures: 0, retryAt: 0, reason: "" };
const fileShape = z.object({ orders: z.array(recordShape) });

export class OrderBook {
  readonly #path: string;
  readonly #limits: OrderLimits;
  readonly #settings: string;
  readonly #records = new Map<string, OrderRecord>();
  #saving: Promise<void> = Promise.resolve();

  /** @param settings what an order's success depends on, as text: what failed with others is forgotten. Default empty. */
  constructor(path: string, limits: Partial<OrderLimits> = {}, settings = "") {
    this.#path = path;
    this.#settings = settings;
    this.#limits = {
      namesPerWeek: limits.namesPerWeek ?? DEFAULT_NAMES_PER_WEEK,
      namesPerOwner: limits.namesPerOwner ?? DEFAULT_NAMES_PER_OWNER,
    };
  }

  /** Reads the file, where there is one. @param onFault told where it cannot be read: the book is empty then */
  async load(onFault: (path: string, reason: string) => void): Promise<void> {
    try {
      const text = await readIfExists(this.#path);
      if (text === null) return;
      for (const record of fileShape.parse(JSON.parse(text)).orders) {
        const isOfOthers = record.settings !== this.#settings;
        this.#records.set(record.name, isOfOthers ? { ...record, failures: 0, retryAt: 0, reason: "" } : record);
      }
    } catch (error) {
      onFault(this.#path, messageOf(error));
    }
  }

  /** When `name` may be ordered again behind a failure, in milliseconds since 1970; 0 where none was there. */
  retryAt(name: string, now: number): number {
    const retryAt = this.#records.get(name)?.retryAt ?? 0;
    // A clock that was set back must not make a name wait for ever.
    return Math.min(retryAt, now + MAX_RETRY_MS);
  }

  /** The names that may not be ordered again at `now`. */
  waiting(now: number): WaitingName[] {
    const names = [...this.#records.values()].map(({ name, reason }) => {
      return { name, reason, retryAt: this.retryAt(name, now) };
    });
    return names.filter(({ retryAt }) => retryAt > now);
  }

  /**
   * Why `name` may not be ordered for `owner` as a new one, as a sentence without full stop; null where it may be. One
   * that was ordered within the week may be ordered again.
   *
   * @param renewals how many are due within the next week
   */
  refusal(name: string, owner: string, now: number, renewals: number): string | null {
    this.#forget(now);
    const { namesPerWeek, namesPerOwner } = this.#limits;
    const recent = [...this.#records.values()].filter((record) => isRecent(record, now));
    if (recent.some((record) => record.name === name)) return null;
    const own = recent.filter((record) => record.owner === owner).length;
    if (own >= namesPerOwner) {
      return `Its owner has ordered ${own} names within 7 days, as many as --acme-names-per-token allows`;
    }
    if (recent.length + renewals < namesPerWeek) return null;
    const kept = renewals === 0 ? "" : `, and ${renewals} renewals come up`;
    return `${recent.length} names were ordered within 7 days${kept}: --acme-names-per-week is ${namesPerWeek}`;
  }

  /** An order begins. @param owner empty for the edge's own domain */
  begin(name: string, owner: string, now: number, isRenewal: boolean): void {
    const before = this.#records.get(name);
    const known = before !== undefined && isRecent(before, now) ? before.orderedAt : null;
    const orderedAt = known ?? (isRenewal ? null : now);
    const { failures, retryAt, reason } = before ?? neverFailed;
    this.#records.set(name, { name, owner, orderedAt, failures, retryAt, reason, settings: this.#settings });
  }

  /** It has failed. Returns the milliseconds for which none is ordered. */
  failed(name: string, now: number, reason: string): number {
    const record = this.#records.get(name) ??
      { name, owner: "", orderedAt: null, settings: this.#settings, ...neverFailed };
    const retryInMs = Math.min(FIRST_RETRY_MS * 2 ** record.failures, MAX_RETRY_MS);
    const [failures, retryAt] = [record.failures + 1, now + retryInMs];
    this.#records.set(name, { ...record, failures, retryAt, reason: reason.slice(0, MAX_REASON_CHARACTERS) });
    return retryInMs;
  }

  succeeded(name: string): void {
    const record = this.#records.get(name);
    if (record !== undefined) this.#records.set(name, { ...record, ...neverFailed });
  }

  /** Writes the file. Rejects as the system does. */
  save(now: number): Promise<void> {
    this.#forget(now);
    const text = JSON.stringify({ orders: [...this.#records.values()] }, null, 2);
    const saved = this.#saving.then(() => replacePrivateFile(this.#path, `${text}\n`));
    this.#saving = saved.catch(() => {});
    return saved;
  }

  /** Resolves once nothing is being written. */
  get settled(): Promise<void> {
    return this.#saving;
  }

  /** What neither counts any more nor makes a name wait. A name that keeps failing keeps the count of its failures. */
  #forget(now: number): void {
    for (const record of this.#records.values()) {
      const isOver = record.retryAt + MAX_RETRY_MS <= now || record.failures === 0;
      if (isOver && !isRecent(record, now)) this.#records.delete(record.name);
    }
  }
}

function isRecent({ orderedAt }: OrderRecord, now: number): boolean {
  return orderedAt !== null && orderedAt > now - WEEK_MS;
}
