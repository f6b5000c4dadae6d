/**
 * What happens, as a feed that programs listen to. The newest events are kept in one list for all subscribers, and each
 * subscriber has a place in it: nothing waits for a slow one, and it costs no memory of its own. Where the list has
 * dropped what a subscriber has not read yet, the subscriber is cut off; it may come back, and is told that events are
 * missing.
 *
 *     publish ─▶ [ 17 18 19 20 21 ]      the list: at most so many events, and so many characters
 *                   ▲        ▲
 *                  slow     quick        the places of two subscribers
 *
 * Details (each request) are made while somebody listens, and a little longer, so that whoever comes back after a lost
 * connection misses nothing.
 */
import { afterTickEnd, type Clock, escapeText, systemClock, type TickListener, type Timer } from "../base/mod.ts";
import { type EventId, formatEventId } from "./event_id.ts";
import type { FeedEvent, FeedFormat } from "./formats.ts";
import { type Feed, Subscriber } from "./subscriber.ts";

/** What an event says, under the keys of its JSON. A key whose value is undefined is left out. */
export type EventFields = Readonly<Record<string, unknown>>;

export interface EventFeedOptions {
  /** Names this run of the program in the ids of its events: lower-case letters and digits. Default: drawn. */
  boot?: string;
  /**
   * Begins to publish the details: what is made only while somebody listens. The returned function ends that. Default:
   * there are none.
   */
  startDetails?: () => () => void;
  /** Events that are kept. Default 4,096. */
  maxEvents?: number;
  /** Characters of their JSON. Default 4 MiB. */
  maxCharacters?: number;
  /** Default 64. */
  maxSubscribers?: number;
  /** Milliseconds for which details are still made after the last subscriber has gone. Default 60,000. */
  lingerMs?: number;
  /** Milliseconds between two signs of life. Default 30,000. */
  keepAliveMs?: number;
  clock?: Clock;
}

export const DEFAULT_MAX_EVENTS = 4_096;
export const DEFAULT_MAX_CHARACTERS = 4 * 1024 ** 2;
export const DEFAULT_MAX_SUBSCRIBERS = 64;
export const DEFAULT_LINGER_MS = 60_000;
const DEFAULT_KEEP_ALIVE_MS = 30_000;
/** The front of the array is cut off when so many of it have left the list. */
const TRIM_EVENTS = 1_024;

export class EventFeed implements Feed, TickListener {
  readonly boot: string;
  readonly #startDetails: () => () => void;
  readonly #maxEvents: number;
  readonly #maxCharacters: number;
  readonly #maxSubscribers: number;
  readonly #lingerMs: number;
  readonly #keepAliveMs: number;
  readonly #clock: Clock;
  readonly #subscribers = new Set<Subscriber>();
  #events: (FeedEvent | null)[] = [];
  /** How many at the front of `#events` have left the list. */
  #dropped = 0;
  #characters = 0;
  /** The number of the newest event; 0 before the first. */
  #newest = 0;
  /** Ends the making of details; null while none are made. */
  #endDetails: (() => void) | null = null;
  #lingerTimer: Timer | null = null;
  #keepAliveTimer: Timer | null = null;
  #isDeliveryScheduled = false;
  #isClosed = false;

  constructor(options: EventFeedOptions = {}) {
    this.boot = options.boot ?? crypto.randomUUID().replaceAll("-", "").slice(0, 10);
    this.#startDetails = options.startDetails ?? (() => () => {});
    this.#maxEvents = options.maxEvents ?? DEFAULT_MAX_EVENTS;
    this.#maxCharacters = options.maxCharacters ?? DEFAULT_MAX_CHARACTERS;
    this.#maxSubscribers = options.maxSubscribers ?? DEFAULT_MAX_SUBSCRIBERS;
    this.#lingerMs = options.lingerMs ?? DEFAULT_LINGER_MS;
    this.#keepAliveMs = options.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS;
    this.#clock = options.clock ?? systemClock;
  }

  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** The number of the oldest event that is kept, or of the next one where none is. */
  get oldest(): number {
    return this.newest + 1 - (this.#events.length - this.#dropped);
  }

  get newest(): number {
    return this.#newest;
  }

  /** Adds an event. @param name lower-case letters and `_` */
  publish(name: string, fields: EventFields): void {
    if (this.#isClosed) return;
    const event = this.#event(name, ++this.#newest, fields);
    this.#events.push(event);
    this.#characters += event.json.length;
    // The newest one stays, however long it is.
    while (this.#isOverfull && this.oldest < this.#newest) this.#drop();
    if (this.#subscribers.size === 0 || this.#isDeliveryScheduled) return;
    this.#isDeliveryScheduled = true;
    afterTickEnd(this);
  }

  /**
   * Everything that is published from now on, or behind the event `since`; first an event `connected`, and `gap` where
   * events between are missing. Null where there are as many subscribers as there may be, and after `close()`.
   *
   * @param since the last event that was read; null: only what is new
   */
  subscribe(format: FeedFormat, since: EventId | null): ReadableStream<Uint8Array> | null {
    if (this.#isClosed || this.#subscribers.size >= this.#maxSubscribers) return null;
    this.#watch();
    const { place, reason } = this.#placeBehind(since);
    const subscriber = new Subscriber(this, format, place + 1);
    this.#subscribers.add(subscriber);
    let text = format.greeting + format.textOf(this.#event("connected", place, {}));
    if (reason !== null) {
      const missing = { since: formatEventId(since as EventId), reason };
      text += format.textOf(this.#event("gap", place, missing));
    }
    subscriber.start(text);
    this.#scheduleKeepAlive();
    return subscriber.stream;
  }

  /** The event of this number, which is kept. */
  eventAt(number: number): FeedEvent {
    return this.#events[this.#dropped + number - this.oldest]!;
  }

  /** For a subscriber: its reader has gone, or it was cut off. */
  left(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber) || this.#subscribers.size > 0) return;
    this.#keepAliveTimer?.cancel();
    this.#keepAliveTimer = null;
    if (!this.#isClosed) this.#lingerTimer = this.#clock.after(this.#lingerMs, () => this.#unwatch());
  }

  onTickEnd(): void {
    this.#isDeliveryScheduled = false;
    for (const subscriber of [...this.#subscribers]) subscriber.deliver();
  }

  /** Ends all streams, behind what was published. */
  close(): void {
    if (this.#isClosed) return;
    this.onTickEnd();
    this.#isClosed = true;
    for (const subscriber of [...this.#subscribers]) subscriber.end();
    this.#lingerTimer?.cancel();
    this.#endDetails?.();
    this.#endDetails = null;
  }

  get #isOverfull(): boolean {
    return this.#events.length - this.#dropped > this.#maxEvents || this.#characters > this.#maxCharacters;
  }

  #event(name: string, number: number, fields: EventFields): FeedEvent {
    const id = formatEventId({ boot: this.boot, number });
    // What comes from outside must not move the cursor of a terminal.
    const json = escapeText(JSON.stringify({ event: name, eventId: id, time: new Date().toISOString(), ...fields }));
    return { name, id, json };
  }

  #drop(): void {
    this.#characters -= this.#events[this.#dropped]!.json.length;
    this.#events[this.#dropped++] = null;
    if (this.#dropped < TRIM_EVENTS) return;
    this.#events = this.#events.slice(this.#dropped);
    this.#dropped = 0;
  }

  /** The number of the event behind which a subscriber begins, and why events before that are missing; null: none are. */
  #placeBehind(since: EventId | null): { place: number; reason: string | null } {
    const kept = this.oldest - 1;
    if (since === null) return { place: this.#newest, reason: null };
    if (since.boot !== this.boot) return { place: kept, reason: "The edge was started anew since then" };
    if (since.number > this.#newest) return { place: this.#newest, reason: "There was no such event yet" };
    if (since.number < kept) return { place: kept, reason: "Only the newest events are kept" };
    return { place: since.number, reason: null };
  }

  #watch(): void {
    this.#lingerTimer?.cancel();
    this.#lingerTimer = null;
    this.#endDetails ??= this.#startDetails();
  }

  /** Nobody has listened for a while. Whoever comes back later is told where details are missing. */
  #unwatch(): void {
    this.#lingerTimer = null;
    this.#endDetails?.();
    this.#endDetails = null;
    this.publish("gap", { reason: "Nobody listened for a while, and requests were not noted" });
  }

  #scheduleKeepAlive(): void {
    this.#keepAliveTimer ??= this.#clock.after(this.#keepAliveMs, () => {
      this.#keepAliveTimer = null;
      const time = new Date().toISOString();
      for (const subscriber of this.#subscribers) subscriber.keepAlive(time);
      this.#scheduleKeepAlive();
    });
  }
}
