import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { PushStream } from "../../../src/agent/managed/push_stream.ts";
import { Backoff, type CancelSource } from "../../../src/base/mod.ts";
import { FakeClock } from "../../support/clock.ts";
import { eventually } from "../../support/net.ts";

/** A stream that the test feeds. */
class Fed {
  canceled = false;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  readonly body = new ReadableStream<Uint8Array>({
    start: (controller) => void (this.#controller = controller),
    cancel: () => void (this.canceled = true),
  }, { highWaterMark: 0 });

  push(text: string): void {
    this.#controller.enqueue(new TextEncoder().encode(text));
  }
  end(): void {
    this.#controller.close();
  }
  fail(): void {
    this.#controller.error(new Error("cut"));
  }
}

describe("PushStream", () => {
  let clock: FakeClock;
  let opened: { lastEventId: string; cancel: CancelSource; fed: Fed }[];
  let refusal: Error | null;
  let headMs: number;
  let told: string[];
  let stop: AbortController;
  let stream: PushStream;
  let run: Promise<void>;

  beforeEach(() => {
    clock = new FakeClock();
    opened = [];
    refusal = null;
    headMs = 0;
    told = [];
    stop = new AbortController();
    stream = new PushStream({
      open: async (lastEventId, cancel) => {
        if (headMs > 0) await new Promise<void>((resolve) => void clock.after(headMs, resolve));
        if (refusal !== null) return Promise.reject(refusal);
        const fed = new Fed();
        opened.push({ lastEventId, cancel, fed });
        return Promise.resolve(fed.body);
      },
      onEvent: (type, data) => void told.push(`${type} ${data}`),
      onOpen: (hasMissed) => void told.push(hasMissed ? "open, something missed" : "open"),
      onEnd: (reason) => void told.push(reason),
      backoff: new Backoff(1_000, 30_000, () => 0.999),
      clock,
    });
    run = stream.run(stop.signal);
  });
  afterEach(async () => {
    stop.abort();
    await run;
    assert.equal(clock.pending, 0);
  });

  const has = (count: number) => eventually(() => told.length === count, { message: `${count} of ${told.join(", ")}` });
  /** A pause is shorter than the silence that is waited for. */
  const pausing = () => eventually(() => clock.pending === 1 && clock.untilNext <= 30_000);

  it("tells of events however they are cut, and shows the last id when it opens the stream anew", async () => {
    await has(1);
    const { fed } = opened[0]!;
    for (const piece of [": connected\n\nevent: a\nid: b-", "1\ndata: {}\n", "\nevent: b\nid: b-2\ndata: x\n\n"]) {
      fed.push(piece);
    }
    await has(3);
    assert.deepEqual(told, ["open, something missed", "a {}", "b x"]);
    fed.end();
    await has(4);
    await pausing();
    clock.advance(1_000);
    await has(5);
    assert.deepEqual(told.slice(3), ["The edge ended the stream of events", "open"]);
    assert.equal(opened[1]!.lastEventId, "b-2");
  });

  it("counts 75 s without a byte as death, and a comment as life", async () => {
    await has(1);
    const { fed } = opened[0]!;
    clock.advance(74_999);
    fed.push(": keepalive\n\n");
    await eventually(() => clock.untilNext === 75_000);
    clock.advance(74_999);
    assert.equal(fed.canceled, false);
    clock.advance(1);
    await has(2);
    assert.equal(told[1], "The edge was silent for 75000 ms on the stream of events");
    assert.equal(fed.canceled, true);
  });

  it("waits longer each time, up to 30 s, and short again behind 5 s of health", async () => {
    await has(1);
    refusal = new Error("no");
    opened[0]!.fed.fail();
    const pauses: number[] = [];
    for (let count = 0; count < 7; count++) {
      await pausing();
      pauses.push(clock.untilNext);
      if (count === 6) refusal = null;
      const before = told.length;
      clock.advance(clock.untilNext);
      await eventually(() => told.length > before);
    }
    assert.deepEqual(pauses, [999, 1_998, 3_996, 7_992, 15_984, 29_970, 29_970]);
    await eventually(() => opened.length === 2 && clock.untilNext === 75_000);
    clock.advance(4_999);
    opened[1]!.fed.fail();
    await pausing();
    assert.equal(clock.untilNext, 29_970);
    clock.advance(clock.untilNext);
    await eventually(() => opened.length === 3 && clock.untilNext === 75_000);
    clock.advance(5_000);
    opened[2]!.fed.fail();
    await pausing();
    assert.equal(clock.untilNext, 999);
  });

  it("waits longer each time for an edge that has no answer within 15 s", async () => {
    await has(1);
    refusal = new Error("no answer");
    headMs = 15_000;
    opened[0]!.fed.fail();
    await has(2);
    for (const pauseMs of [999, 1_998, 3_996]) {
      await eventually(() => clock.untilNext === pauseMs, { message: `${clock.untilNext} is not ${pauseMs}` });
      clock.advance(pauseMs);
      await eventually(() => clock.untilNext === headMs);
      clock.advance(headMs);
    }
    await eventually(() => clock.untilNext === 7_992);
  });

  it("opens the stream anew at once when it is restarted, also in a pause", async () => {
    await has(1);
    stream.restart();
    await eventually(() => opened.length === 2);
    assert.equal(opened[0]!.cancel.aborted, true);
    opened[1]!.fed.end();
    await pausing();
    stream.restart();
    await eventually(() => opened.length === 3);
    assert.equal(told.filter((line) => line.includes("ended")).length, 1);
  });

  it("gives up a stream whose event has no end", async () => {
    await has(1);
    opened[0]!.fed.push(`data: ${"x".repeat(70_000)}`);
    opened[0]!.fed.push("x");
    await has(2);
    assert.match(told[1]!, /65,?536/);
    assert.equal(opened[0]!.fed.canceled, true);
  });

  it("keeps no id that a field cannot hold", async () => {
    await has(1);
    opened[0]!.fed.push(`id: ${"9".repeat(300)}\ndata: x\n\nid: \u00e9\ndata: y\n\n`);
    await has(3);
    opened[0]!.fed.end();
    await pausing();
    clock.advance(1_000);
    await eventually(() => opened.length === 2);
    assert.equal(opened[1]!.lastEventId, "");
  });
});
