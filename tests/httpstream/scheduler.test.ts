import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Inflight } from "../../src/httpstream/flow/inflight.ts";
import { OutgoingMessage, QUANTUM_BYTES } from "../../src/httpstream/outgoing_message.ts";
import { FillResult, NextFrame, Scheduler, SchedulerEntry, type Sender } from "../../src/httpstream/scheduler.ts";
import { recordFrames } from "../support/frame_recorder.ts";

const KIB = 1_024;
const BLOCK = new Uint8Array([0, 0]);

/** A stream with heads, then bytes, then perhaps trailers. */
class FakeSender implements Sender {
  readonly entry: SchedulerEntry = new SchedulerEntry(this);
  control = 0;

  constructor(readonly id: number, public heads: number, public bytes: number, public trailers = 0) {}

  get nextFrame(): NextFrame {
    if (this.heads > 0) return NextFrame.HEAD;
    if (this.bytes > 0) return NextFrame.DATA;
    return this.trailers > 0 ? NextFrame.HEAD : NextFrame.NONE;
  }

  get headBytes(): number {
    return BLOCK.length;
  }

  get dataBytes(): number {
    return Math.min(this.bytes, 64 * KIB);
  }

  get wholeBodyBytes(): number {
    return this.heads === 1 ? this.bytes : 0;
  }

  writeControl(message: OutgoingMessage): void {
    for (; this.control > 0; this.control--) message.windowUpdate(this.id, 1);
  }

  writeHead(message: OutgoingMessage): void {
    if (this.heads > 0) {
      this.heads--;
      return message.headers(this.id, BLOCK, 0);
    }
    this.trailers--;
    message.headers(this.id, BLOCK, 5);
  }

  writeData(message: OutgoingMessage, maxBytes: number): number {
    const bytes = Math.min(maxBytes, this.bytes);
    this.bytes -= bytes;
    message.data(this.id, new Uint8Array(bytes), false);
    return bytes;
  }
}

class Bench {
  readonly scheduler = new Scheduler();
  readonly inflight = new Inflight();
  readonly message = new OutgoingMessage(this.inflight);

  add(...senders: FakeSender[]): void {
    for (const sender of senders) {
      this.scheduler.update(sender);
      if (sender.control > 0) this.scheduler.queueControl(sender);
    }
  }

  /** One message: why it ended, and its frames as `DATA 2 16384`. */
  fill(isControlOnly = false): [FillResult, string[]] {
    this.message.begin(0, false);
    const result = this.scheduler.fill(this.message, isControlOnly);
    const bytes = Uint8Array.from(this.message.take().flatMap((part) => [...part]));
    const frames = bytes.length === 0 ? [] : recordFrames(bytes);
    return [
      result,
      frames.map((frame) => {
        const id = "streamId" in frame ? frame.streamId : 0;
        return frame.type === "DATA" ? `DATA ${id} ${frame.payload.length}` : `${frame.type} ${id}`;
      }),
    ];
  }

  acknowledge(now: number): void {
    this.inflight.acknowledge(this.inflight.sentCount, now);
  }
}

describe("Scheduler", () => {
  it("Scheduler sends control, then heads, then DATA when all of them wait", () => {
    const bench = new Bench();
    const bulk = new FakeSender(2, 0, 1_000);
    const opening = new FakeSender(4, 1, 0);
    bulk.control = 1;
    bench.add(bulk, opening);
    const [result, frames] = bench.fill();
    assert.equal(result, FillResult.DONE);
    assert.deepEqual(frames, ["WINDOW_UPDATE 2", "HEADERS 4", "DATA 2 1000"]);
    assert.equal(bench.scheduler.isEmpty, true);
  });

  it("Scheduler sends control alone when the link takes no bulk", () => {
    const bench = new Bench();
    const sender = new FakeSender(2, 1, 1_000);
    sender.control = 1;
    bench.add(sender);
    assert.deepEqual(bench.fill(true), [FillResult.BLOCKED, ["WINDOW_UPDATE 2"]]);
    assert.deepEqual(bench.fill(true), [FillResult.BLOCKED, []]);
  });

  it("Scheduler sends heads in the order in which they were queued", () => {
    const bench = new Bench();
    const senders = [6, 2, 8, 4].map((id) => new FakeSender(id, 1, 0));
    bench.add(...senders);
    assert.deepEqual(bench.fill()[1], ["HEADERS 6", "HEADERS 2", "HEADERS 8", "HEADERS 4"]);
  });

  it("Scheduler keeps heads, bytes and trailers of a stream in their order", () => {
    const bench = new Bench();
    bench.add(new FakeSender(2, 2, 20_000, 1));
    assert.deepEqual(bench.fill()[1], ["HEADERS 2", "HEADERS 2", "DATA 2 20000", "HEADERS 2"]);
  });

  it("Scheduler sends a small whole body right behind its head, past the bulk of others", () => {
    const bench = new Bench();
    bench.add(new FakeSender(2, 0, 40_000), new FakeSender(4, 1, 1_000), new FakeSender(6, 1, 40_000));
    assert.deepEqual(bench.fill()[1].slice(0, 3), ["HEADERS 4", "DATA 4 1000", "HEADERS 6"]);
  });

  it("Scheduler sends as many bytes of each sender when all of them have more than may leave", () => {
    const bench = new Bench();
    const senders = [2, 4, 6].map((id) => new FakeSender(id, 0, 1_000_000));
    bench.add(...senders);
    const sent = new Map<string, number>();
    for (let round = 0; round < 40; round++) {
      for (let result: FillResult = FillResult.FULL; result === FillResult.FULL;) {
        const [why, frames] = bench.fill();
        result = why;
        for (const frame of frames) {
          const [, id, bytes] = frame.split(" ");
          sent.set(id, (sent.get(id) ?? 0) + Number(bytes));
          assert.ok(Number(bytes) <= QUANTUM_BYTES);
        }
      }
      const sums = [...sent.values()];
      assert.ok(Math.max(...sums) - Math.min(...sums) <= QUANTUM_BYTES, sums.join(" "));
      bench.acknowledge(round + 1);
    }
  });

  it("Scheduler serves a new sender before one that has been sending", () => {
    const bench = new Bench();
    bench.add(new FakeSender(2, 0, 10_000_000));
    while (bench.fill()[0] === FillResult.FULL);
    bench.add(new FakeSender(4, 0, 1_000));
    bench.acknowledge(1);
    assert.equal(bench.fill()[1][0], "DATA 4 1000");
  });

  it("Scheduler serves an old sender however many new ones come", () => {
    const bench = new Bench();
    const waiting = new FakeSender(2, 0, 10_000_000);
    bench.add(waiting);
    while (bench.fill()[0] === FillResult.FULL);
    const before = waiting.bytes;
    bench.add(...Array.from({ length: 100 }, (_, index) => new FakeSender(4 + index * 2, 0, 10_000)));
    bench.acknowledge(1);
    while (bench.fill()[0] === FillResult.FULL);
    assert.ok(before - waiting.bytes >= QUANTUM_BYTES, `${before - waiting.bytes} bytes`);
  });

  it("Scheduler holds DATA back, and no heads, when the limit is in flight", () => {
    const bench = new Bench();
    bench.add(new FakeSender(2, 0, 10_000_000), new FakeSender(4, 0, 10_000_000));
    while (bench.fill()[0] === FillResult.FULL);
    bench.add(new FakeSender(6, 1, 30_000));
    assert.deepEqual(bench.fill(), [FillResult.BLOCKED, ["HEADERS 6"]]);
  });

  it("Scheduler begins another message when 80 KiB of DATA are full", () => {
    const bench = new Bench();
    // A fast path, so that only the message's own limit counts.
    bench.inflight.sent(0, 65_536, 0, true);
    bench.acknowledge(0.1);
    bench.add(...[2, 4, 6, 8, 10].map((id) => new FakeSender(id, 0, 65_536)));
    let left = 5 * 65_536;
    let result: FillResult;
    do {
      const [why, frames] = bench.fill();
      const bytes = frames.reduce((sum, frame) => sum + Number(frame.split(" ")[2]), 0);
      assert.ok(bytes + 9 * frames.length <= 81_920, `${bytes}`);
      if (why === FillResult.FULL) assert.ok(bytes > 60_000, `${bytes}`);
      left -= bytes;
      result = why;
    } while (result === FillResult.FULL);
    assert.equal(result, FillResult.DONE);
    assert.equal(left, 0);
  });

  it("Scheduler sends nothing but control frames of a sender that was removed", () => {
    const bench = new Bench();
    const sender = new FakeSender(2, 1, 1_000);
    sender.control = 1;
    bench.add(sender);
    bench.scheduler.remove(sender);
    assert.deepEqual(bench.fill(), [FillResult.DONE, ["WINDOW_UPDATE 2"]]);
  });
});
