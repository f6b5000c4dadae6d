import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { parseEventId } from "../../src/events/event_id.ts";
import { EventFeed, type EventFeedOptions } from "../../src/events/feed.ts";
import { feedFormatFor } from "../../src/events/formats.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";

const lines = feedFormatFor("application/x-ndjson")!;
const eventStream = feedFormatFor("text/event-stream")!;

type Event = Readonly<Record<string, unknown>>;

/** Reads a stream of JSON lines, as far as the test asks for. */
class LineReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #waiting: Event[] = [];

  constructor(stream: ReadableStream<Uint8Array> | null) {
    assert.ok(stream !== null);
    this.#reader = stream.getReader();
  }

  /** Null at the end. */
  async next(): Promise<Event | null> {
    while (this.#waiting.length === 0) {
      const { done, value } = await this.#reader.read();
      if (done) return null;
      const text = new TextDecoder().decode(value);
      this.#waiting = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    }
    return this.#waiting.shift()!;
  }

  async take(count: number): Promise<Event[]> {
    const events: Event[] = [];
    for (let left = count; left > 0; left--) events.push((await this.next())!);
    return events;
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

describe("EventFeed", () => {
  let clock: FakeClock;
  let feed: EventFeed;
  /** Of the details: how often they were begun and ended. */
  let begun: number;
  let ended: number;

  const start = (options: EventFeedOptions = {}) => {
    clock = new FakeClock();
    begun = ended = 0;
    const startDetails = () => {
      begun++;
      return () => void ended++;
    };
    feed = new EventFeed({ clock, boot: "boot", startDetails, ...options });
  };
  const listen = (since: string | null = null) => {
    return new LineReader(feed.subscribe(lines, since === null ? null : parseEventId(since)));
  };
  const publish = (from: number, to: number) => {
    for (let count = from; count <= to; count++) feed.publish("counted", { count });
  };
  const counts = (events: readonly Event[]) => events.map(({ count }) => count);
  beforeEach(() => start());

  it("gives each event with name, id and time to everybody who listens", async () => {
    publish(1, 1);
    const readers = [listen(), listen()];
    publish(2, 3);
    for (const reader of readers) {
      const [connected, ...events] = await reader.take(3) as [Event, ...Event[]];
      assert.deepEqual([connected.event, connected.eventId], ["connected", "boot-1"]);
      assert.deepEqual(events.map(({ event, eventId }) => [event, eventId]), [["counted", "boot-2"], [
        "counted",
        "boot-3",
      ]]);
      assert.deepEqual(counts(events), [2, 3]);
      assert.ok(events.every(({ time }) => !Number.isNaN(Date.parse(String(time)))));
    }
  });

  it("writes Server-Sent Events with the same JSON", async () => {
    const reader = feed.subscribe(eventStream, null)!.getReader();
    const read = async () => new TextDecoder().decode((await reader.read()).value);
    const [greeting, connected] = (await read()).split("\n\n");
    assert.equal(greeting, ": connected");
    assert.match(connected!, /^event: connected\nid: boot-0\ndata: \{"event":"connected","eventId":"boot-0",[^\n]+\}$/);
    feed.publish("said", { text: "two\nlines, \x1b[2J and ü" });
    const match = /^event: said\nid: boot-1\ndata: ([\x20-\x7e]+)\n\n$/.exec(await read());
    assert.equal(JSON.parse(match![1]!).text, "two\nlines, \x1b[2J and ü");
  });

  it("goes on behind the event that a reader names, in order and without repeats, over a burst of 1,000", async () => {
    const first = listen();
    publish(1, 400);
    const seen = (await first.take(301)).slice(1);
    await first.cancel();
    publish(401, 700);
    const second = listen(String(seen.at(-1)!.eventId));
    publish(701, 1_000);
    const [connected, ...rest] = await second.take(701) as [Event, ...Event[]];
    assert.deepEqual([connected.event, connected.eventId], ["connected", "boot-300"]);
    assert.deepEqual(counts([...seen, ...rest]), Array.from({ length: 1_000 }, (_, index) => index + 1));
  });

  const gaps: readonly [why: string, since: string, from: number, reason: RegExp][] = [
    ["is of an earlier run", "earlier-8", 6, /started anew/],
    ["is older than what is kept", "boot-3", 6, /newest events/],
    ["has not been yet", "boot-99", 16, /no such event/],
  ];
  for (const [why, since, from, reason] of gaps) {
    it(`says that events are missing where the one that a reader names ${why}`, async () => {
      start({ maxEvents: 10 });
      publish(1, 15);
      const reader = listen(since);
      const [connected, gap] = await reader.take(2) as [Event, Event];
      assert.deepEqual([connected.event, gap.event, gap.since, gap.eventId], [
        "connected",
        "gap",
        since,
        `boot-${from - 1}`,
      ]);
      assert.match(String(gap.reason), reason);
      const kept = await reader.take(16 - from);
      publish(16, 16);
      const counted = counts([...kept, ...await reader.take(1)]);
      assert.deepEqual(counted, Array.from({ length: 16 - from + 1 }, (_, index) => from + index));
    });
  }

  it("says nothing of a gap where the event that a reader names is the last one before those that are kept", async () => {
    start({ maxEvents: 10 });
    publish(1, 15);
    const [, next] = await listen("boot-5").take(2);
    assert.deepEqual([next!.event, next!.count], ["counted", 6]);
  });

  it("keeps as many characters as it may, whatever the number of events", () => {
    start({ maxCharacters: 10_000 });
    for (let count = 0; count < 3_000; count++) feed.publish("long", { text: "x".repeat(900) });
    assert.equal(feed.newest - feed.oldest + 1, 10);
    feed.publish("longest", { text: "x".repeat(20_000) });
    assert.equal(feed.oldest, feed.newest);
  });

  it("cuts off a reader that is too slow, and holds nothing for it, while a quick one gets everything", async () => {
    start({ maxEvents: 100 });
    const slow = listen();
    const quick = listen();
    await quick.next();
    for (let count = 1; count <= 1_000; count++) {
      publish(count, count);
      assert.equal((await quick.next())!.count, count);
    }
    await eventually(() => feed.subscribers === 1);
    await assert.rejects(async () => {
      while (await slow.next() !== null);
    }, { code: "slow_subscriber" });
    assert.equal(feed.newest - feed.oldest + 1, 100);
  });

  it("makes details from the first reader on until nobody has listened for a minute, and says so", async () => {
    publish(1, 1);
    assert.deepEqual([begun, ended], [0, 0]);
    const readers = [listen(), listen()];
    assert.deepEqual([begun, ended], [1, 0]);
    for (const reader of readers) await reader.cancel();
    clock.advance(59_999);
    assert.deepEqual([begun, ended], [1, 0]);
    const again = listen("boot-1");
    clock.advance(60_000);
    assert.deepEqual([begun, ended], [1, 0]);
    await again.cancel();
    clock.advance(60_000);
    assert.deepEqual([begun, ended], [1, 1]);
    publish(2, 2);
    const late = listen("boot-1");
    assert.deepEqual([begun, ended], [2, 1]);
    const [, gap, next] = await late.take(3) as [Event, Event, Event];
    assert.deepEqual([gap.event, gap.eventId, next.count], ["gap", "boot-2", 2]);
    assert.match(String(gap.reason), /Nobody listened/);
  });

  it("gives a sign of life every 30 s to readers that wait, and sets no timer without readers", async () => {
    const waiting = listen();
    assert.equal((await waiting.next())!.event, "connected");
    let alive: Event | null = null;
    void waiting.next().then((event) => alive = event);
    await eventually(() => {
      clock.advance(30_000);
      return alive !== null;
    });
    const { event, eventId } = alive as unknown as Event;
    assert.deepEqual([event, eventId], ["keepalive", undefined]);
    await waiting.cancel();
    clock.advance(60_000);
    assert.equal(clock.pending, 0);
  });

  it("takes as many readers as may be, and one more when one has gone", async () => {
    start({ maxSubscribers: 2 });
    const readers = [listen(), listen()];
    assert.equal(feed.subscribe(lines, null), null);
    await readers[0]!.cancel();
    assert.notEqual(feed.subscribe(lines, null), null);
  });

  it("ends each stream behind its last event when it closes, and takes no more readers", async () => {
    const reader = listen();
    await reader.next();
    publish(1, 2);
    const next = reader.next();
    await Promise.resolve();
    feed.close();
    assert.equal((await next)!.count, 1);
    assert.deepEqual([(await reader.next())?.count, await reader.next()], [2, null]);
    publish(3, 3);
    assert.deepEqual([feed.newest, feed.subscribe(lines, null), ended], [2, null, 1]);
    assert.equal(clock.pending, 0);
  });
});

describe("feedFormatFor", () => {
  const cases: readonly [accept: string | undefined, type: string | null][] = [
    [undefined, "text/event-stream"],
    ["", "text/event-stream"],
    ["*/*", "text/event-stream"],
    ["text/event-stream", "text/event-stream"],
    ["TEXT/EVENT-STREAM", "text/event-stream"],
    ["application/x-ndjson", "application/x-ndjson"],
    ["application/ndjson", "application/ndjson"],
    ["application/jsonl", "application/jsonl"],
    ["application/*", "application/x-ndjson"],
    ["text/event-stream;q=0.5, application/x-ndjson", "application/x-ndjson"],
    ["application/x-ndjson;q=0.5, text/event-stream;q=0.6", "text/event-stream"],
    ["text/event-stream;q=0, */*;q=0.1", "application/x-ndjson"],
    ["text/html, */*;q=0.1", "text/event-stream"],
    ["text/*", "text/event-stream"],
    ["application/json", null],
    ["text/event-stream;q=0", null],
    ["text/html", null],
  ];
  for (const [accept, type] of cases) {
    it(`chooses ${type} where Accept is ${accept}`, () => {
      assert.equal(feedFormatFor(accept)?.contentType ?? null, type);
    });
  }
});

describe("parseEventId", () => {
  it("reads what ids are, and nothing else", () => {
    assert.deepEqual(parseEventId("k3m9-42"), { boot: "k3m9", number: 42 });
    for (const text of ["", "42", "k3m9", "k3m9-", "-42", "k3m9-4x", "K3-1", "a-b-1", "a-1 ", `a-${"9".repeat(16)}`]) {
      assert.equal(parseEventId(text), null, text);
    }
  });
});
