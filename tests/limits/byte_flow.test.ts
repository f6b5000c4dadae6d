/** Bodies at a rate, on a clock that stands still. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { streamOf } from "../../src/http/mod.ts";
import { ByteFlow } from "../../src/limits/byte_flow.ts";
import { TurnBucket } from "../../src/limits/turn_bucket.ts";
import { MemoryAccount } from "../../src/memory/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { FedBody } from "../support/client_requests.ts";
import { eventually, patternBytes } from "../support/net.ts";

/** Bytes a second, 64 a millisecond. */
const rate = 64_000;

/** Reads a body to its end, and notes what has come. */
class Reading {
  bytes: number[] = [];
  isOver = false;
  error: unknown = null;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
    void this.#run();
  }

  cancel(): Promise<void> {
    return this.#reader.cancel(new Error("enough"));
  }

  async #run(): Promise<void> {
    try {
      for (let read = await this.#reader.read(); !read.done; read = await this.#reader.read()) {
        this.bytes.push(...read.value);
      }
    } catch (error) {
      this.error = error;
    }
    this.isOver = true;
  }
}

function stage() {
  const clock = new FakeClock();
  const memory = new MemoryAccount(1 << 30);
  const bucket = new TurnBucket(rate, rate, clock);
  return { clock, memory, bucket, flow: new ByteFlow([bucket], rate, "192.0.2.1", memory) };
}

function shaped(flow: ByteFlow, body: Uint8Array | ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const result = flow.shape(body);
  assert.ok(result instanceof ReadableStream);
  return result;
}

describe("ByteFlow", () => {
  it("ByteFlow gives back what it counted of bytes that never passed when their reader cancels", async () => {
    const clock = new FakeClock();
    const [ofVisitor, ofTunnel] = [new TurnBucket(rate, rate, clock), new TurnBucket(rate, rate, clock)];
    const flow = new ByteFlow([ofVisitor, ofTunnel], rate, "192.0.2.1");
    ofTunnel.count(rate);
    const reading = new Reading(shaped(flow, streamOf(patternBytes(rate))));
    await eventually(() => clock.pending === 1);
    await reading.cancel();
    assert.equal(clock.pending, 0);
    // All of both is there again a second later.
    clock.advance(1_000);
    for (const bucket of [ofVisitor, ofTunnel]) assert.equal(bucket.take("", rate, assert.fail), null);
  });

  it("ByteFlow lets a second's bytes pass at once, then so many a second, and all of them in the end", async () => {
    const { clock, memory, flow } = stage();
    const sent = patternBytes(3 * rate + 100);
    const reading = new Reading(shaped(flow, streamOf(sent)));
    for (let seconds = 0; seconds < 3; seconds++) {
      const allowed = (seconds + 1) * rate;
      await eventually(() => reading.bytes.length === allowed && clock.pending === 1);
      assert.ok(memory.heldBytes > 0);
      // Piece by piece, so that something moves all the time.
      for (let step = 0; step < 8; step++) {
        clock.advance(125);
        const least = seconds === 2 ? sent.length : allowed + (step + 1) * flow.pieceBytes;
        await eventually(() => reading.bytes.length >= least && (reading.isOver || clock.pending === 1));
      }
    }
    assert.deepEqual(new Uint8Array(reading.bytes), sent);
    assert.equal(memory.heldBytes, 0);
    assert.equal(clock.pending, 0);
  });

  it("ByteFlow shares a rate among bodies that come at one time", async () => {
    const { clock, flow } = stage();
    const readings = [1, 2, 3, 4].map((seed) => new Reading(shaped(flow, streamOf(patternBytes(rate, seed)))));
    const total = () => readings.reduce((sum, { bytes }) => sum + bytes.length, 0);
    await eventually(() => total() === rate && clock.pending === 1);
    clock.advance(1_000);
    await eventually(() => total() >= 2 * rate - 4 * flow.pieceBytes && clock.pending === 1);
    assert.ok(total() <= 2 * rate);
    for (const { bytes } of readings) assert.ok(bytes.length >= rate / 4, `${bytes.length} bytes`);
    for (let step = 0; step < 100; step++) {
      clock.advance(125);
      await Promise.resolve();
    }
    await eventually(() => {
      clock.advance(125);
      return readings.every(({ isOver }) => isOver);
    });
    assert.equal(total(), 4 * rate);
  });

  it("ByteFlow lets a small body pass as it is, and counts it", () => {
    const { clock, bucket, flow } = stage();
    const small = new Uint8Array(1_000);
    assert.equal(flow.shape(small), small);
    assert.equal(flow.shape(null), null);
    bucket.take("", rate, () => {});
    assert.equal(clock.untilNext, Math.ceil(1_000 / rate * 1_000));
  });

  it("ByteFlow has a small body wait when there is a debt", async () => {
    const { clock, bucket, flow } = stage();
    bucket.count(2 * rate);
    const reading = new Reading(shaped(flow, new Uint8Array(64)));
    await eventually(() => clock.pending === 1);
    clock.advance(1_000);
    assert.equal(reading.bytes.length, 0);
    clock.advance(10);
    await eventually(() => reading.isOver);
    assert.equal(reading.bytes.length, 64);
  });

  it("ByteFlow waits for whichever of two rates is slower", () => {
    const clock = new FakeClock();
    const flow = new ByteFlow([new TurnBucket(100, 100, clock), new TurnBucket(1_000, 50, clock)], 50, "192.0.2.1");
    const passedAt: number[] = [];
    const pass = (bytes: number) => flow.pass(bytes, () => passedAt.push(clock.now()));
    assert.equal(pass(100), null);
    assert.notEqual(pass(100), null);
    clock.advance(1_000);
    assert.deepEqual(passedAt, [1_000]);
    assert.notEqual(pass(900), null);
    clock.advance(20_000);
    // 9 s for the one, while 10 bytes a second more come at the other than it has.
    assert.deepEqual(passedAt, [1_000, 10_000]);
    assert.notEqual(pass(1_000), null);
    clock.advance(60_000);
    assert.equal(clock.pending, 0);
  });

  it("ByteFlow passes on at once that a body broke off, and gives back what waited", async () => {
    const { clock, memory, flow } = stage();
    const body = new FedBody((body) => body.push("x".repeat(2 * rate)));
    const reading = new Reading(shaped(flow, body.stream));
    await eventually(() => clock.pending === 1);
    body.fail(new Error("broken"));
    await eventually(() => reading.isOver);
    assert.match(String(reading.error), /broken/);
    assert.deepEqual([clock.pending, memory.heldBytes], [0, 0]);
  });

  it("ByteFlow cancels its source, and gives back what waited, when its reader cancels", async () => {
    const { clock, memory, flow } = stage();
    let reason: unknown = null;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(2 * rate)),
      cancel: (why) => void (reason = why),
    }, { highWaterMark: 0 });
    const reading = new Reading(shaped(flow, body));
    await eventually(() => clock.pending === 1);
    await reading.cancel();
    assert.match(String(reason), /enough/);
    assert.deepEqual([clock.pending, memory.heldBytes], [0, 0]);
  });
});
