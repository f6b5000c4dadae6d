import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LinkQueue, WaitingFrame } from "../../../src/session/wsproto/link_queue.ts";

/** A link that takes as many frames as it is told to, and the queue before it. */
function stage() {
  const queue = new LinkQueue();
  const sent: string[] = [];
  let room = 0;

  class Frame extends WaitingFrame {
    heldBytes: number;

    constructor(readonly name: string, bytes: number, readonly partBytes = bytes) {
      super();
      this.heldBytes = bytes;
    }

    get byteLength(): number {
      return Math.min(this.heldBytes, this.partBytes);
    }

    send(): boolean {
      sent.push(this.name);
      this.heldBytes -= this.byteLength;
      return --room > 0;
    }
  }

  return {
    queue,
    sent,
    add(name: string, bytes: number, partBytes?: number): Frame {
      const frame = new Frame(name, bytes, partBytes);
      queue.send(frame);
      return frame;
    },
    /** The link takes the next frames. */
    take(frames: number): void {
      room = frames;
      queue.drained();
    },
  };
}

describe("LinkQueue", () => {
  it("sends at once until the link is full, and the rest in the order in which it came when all are alike", () => {
    const { queue, sent, add, take } = stage();
    for (const name of ["a", "b", "c", "d"]) add(name, 10);
    assert.deepEqual([sent, queue.isFull], [["a"], true]);
    take(2);
    assert.deepEqual(sent, ["a", "b", "c"]);
    take(5);
    assert.deepEqual([sent, queue.isFull], [["a", "b", "c", "d"], false]);
  });

  it("lets a short frame pass all long ones but the one that is being sent", () => {
    const { sent, add, take } = stage();
    for (let index = 0; index < 10; index++) add(`long ${index}`, 10_000_000);
    add("short", 500);
    take(2);
    assert.deepEqual(sent, ["long 0", "short", "long 1"]);
    add("late", 500);
    take(1);
    assert.deepEqual(sent.slice(3), ["late"]);
  });

  it("sends a long frame in the end, however many short ones come", () => {
    const { sent, add, take } = stage();
    add("first", 1);
    add("long", 100_000);
    let shorts = 0;
    for (; !sent.includes("long") && shorts < 10_000; shorts++) {
      add("short", 1_000);
      take(1);
    }
    // With one short frame at a time beside it, it gets half of the turns.
    assert.ok(shorts >= 100 && shorts <= 250, `${shorts} short frames were sent`);
  });

  it("sends the parts of frames in turns", () => {
    const { sent, add, take } = stage();
    add("first", 1);
    add("a", 30, 10);
    add("b", 30, 10);
    for (let turn = 0; turn < 6; turn++) take(1);
    assert.equal(sent.join(), "first,a,b,a,b,a,b");
  });

  it("forgets a frame that is removed", () => {
    const { queue, sent, add, take } = stage();
    add("first", 1);
    const frames = ["a", "b", "c"].map((name) => add(name, 10));
    frames[1].unlink();
    take(9);
    assert.deepEqual(sent, ["first", "a", "c"]);
    assert.deepEqual([...queue], []);
  });
});
