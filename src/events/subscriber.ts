/** One reader of a feed: its place in the list of events, and the stream that it reads. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { type BodyOwner, BodySource } from "../http/mod.ts";
import type { FeedEvent, FeedFormat } from "./formats.ts";

/** The feed, as its subscribers see it. */
export interface Feed {
  /** The numbers of the oldest event that is kept and of the newest one. */
  readonly oldest: number;
  readonly newest: number;
  /** The event of a number between them. */
  eventAt(number: number): FeedEvent;
  /** The subscriber has gone. May be called again. */
  left(subscriber: Subscriber): void;
}

/** A subscriber was cut off, since it was too slow. */
export class SlowSubscriberError extends RunnelError {
  static {
    nameErrorClass(this, "SlowSubscriberError");
  }

  constructor(missed: number) {
    const reason =
      `A program that listens to events was cut off: it read so slowly that ${missed} of them were dropped`;
    super({ code: "slow_subscriber", reason, initiator: "remote", retryable: true });
  }
}

/** Characters of events that are given to a reader at once: what it has not taken is not sent again. */
const MAX_BATCH_CHARACTERS = 64 * 1024;

const encoder = new TextEncoder();

export class Subscriber implements BodyOwner {
  readonly #source = new BodySource(this);
  readonly #feed: Feed;
  readonly #format: FeedFormat;
  /** The number of the event that it gets next. */
  #next: number;

  constructor(feed: Feed, format: FeedFormat, next: number) {
    this.#feed = feed;
    this.#format = format;
    this.#next = next;
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  /** @param text comes before all events */
  start(text: string): void {
    this.#source.push(encoder.encode(text));
  }

  /** Gives the reader what it has not seen, where it waits for that. One that is too far behind is cut off. */
  deliver(): void {
    const { oldest, newest } = this.#feed;
    if (this.#next < oldest) return this.#cutOff(oldest - this.#next);
    if (!this.#source.isWaiting || this.#next > newest) return;
    let text = "";
    while (this.#next <= newest && text.length < MAX_BATCH_CHARACTERS) {
      text += this.#format.textOf(this.#feed.eventAt(this.#next++));
    }
    this.#source.push(encoder.encode(text));
  }

  /** One that does not wait has something to read already. */
  keepAlive(time: string): void {
    if (this.#source.isWaiting) this.#source.push(encoder.encode(this.#format.keepAlive(time)));
  }

  /** Ends the stream behind what was published, as far as the reader takes it now. */
  end(): void {
    this.#source.end();
    this.#feed.left(this);
  }

  /** For the source, as is `onCancel`. */
  onPull(): void {
    this.deliver();
  }

  onCancel(): void {
    this.#feed.left(this);
  }

  #cutOff(missed: number): void {
    this.#feed.left(this);
    this.#source.fail(new SlowSubscriberError(missed));
  }
}
