import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnswerStream, type Held } from "../../../src/session/wsproto/answer_stream.ts";
import { bytesOf, latin1 } from "../../support/net.ts";

/** Counted for each waiting chunk. */
const overhead = 128;

function makeStream(): { stream: AnswerStream; held: Held; told: string[] } {
  const held = { bytes: 0 };
  const told: string[] = [];
  const stream = new AnswerStream(held, {
    onTaken: () => void told.push("taken"),
    onEnded: () => void told.push("ended"),
    onCanceled: (reason) => void told.push(`canceled: ${reason}`),
  });
  return { stream, held, told };
}

describe("AnswerStream", () => {
  it("counts each chunk with its overhead until the reader took it", async () => {
    const { stream, held, told } = makeStream();
    const other = new AnswerStream(held, { onTaken() {}, onEnded() {}, onCanceled() {} });
    stream.push(bytesOf("abc"));
    stream.push(bytesOf(""));
    stream.push(bytesOf("d"));
    other.push(bytesOf("xy"));
    assert.equal(stream.bufferedBytes, 4 + 2 * overhead);
    assert.equal(held.bytes, 6 + 3 * overhead);
    const reader = stream.body.getReader();
    assert.equal(latin1((await reader.read()).value!), "abc");
    assert.deepEqual(told, ["taken"]);
    assert.equal(stream.bufferedBytes, 1 + overhead);
    assert.equal(held.bytes, 3 + 2 * overhead);
  });

  it("reads nothing ahead of its reader", async () => {
    const { stream, told } = makeStream();
    stream.push(bytesOf("a"));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(told, []);
  });

  it("hands a chunk to the reader that waits for it, at once", async () => {
    const { stream, held } = makeStream();
    const reader = stream.body.getReader();
    const read = reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    stream.push(bytesOf("now"));
    assert.equal(held.bytes, 0);
    assert.equal(latin1((await read).value!), "now");
  });

  it("ends behind what waits", async () => {
    const { stream, held, told } = makeStream();
    stream.push(bytesOf("a"));
    stream.end();
    stream.push(bytesOf("late"));
    assert.equal(stream.ended, true);
    const reader = stream.body.getReader();
    assert.equal(latin1((await reader.read()).value!), "a");
    assert.equal((await reader.read()).done, true);
    assert.deepEqual(told, ["taken", "ended"]);
    assert.equal(held.bytes, 0);
  });

  it("drops what waits when it breaks off, also behind its end", async () => {
    for (const ended of [false, true]) {
      const { stream, held, told } = makeStream();
      stream.push(bytesOf("a"));
      if (ended) stream.end();
      stream.abort(new Error("broken"));
      await assert.rejects(stream.body.getReader().read(), /broken/);
      stream.end();
      stream.push(bytesOf("late"));
      assert.deepEqual(told, []);
      assert.equal(held.bytes, 0);
      assert.equal(stream.bufferedBytes, 0);
    }
  });

  it("fails the reader that waits when it breaks off", async () => {
    const { stream } = makeStream();
    const read = stream.body.getReader().read();
    stream.abort(new Error("broken"));
    await assert.rejects(read, /broken/);
  });

  it("drops what waits, and tells so once, when its reader cancels", async () => {
    const { stream, held, told } = makeStream();
    stream.push(bytesOf("a"));
    await stream.body.cancel("enough");
    stream.push(bytesOf("late"));
    stream.end();
    stream.abort(new Error("late"));
    assert.deepEqual(told, ["canceled: enough"]);
    assert.equal(held.bytes, 0);
  });
});
