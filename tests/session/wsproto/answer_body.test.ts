import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryAccount } from "../../../src/httpstream/mod.ts";
import { AnswerBody, type BufferTotal } from "../../../src/session/wsproto/answer_body.ts";
import { bytesOf, latin1 } from "../../support/net.ts";

/** Bytes that are counted for each waiting chunk. */
const overhead = 128;

function makeBody(): { body: AnswerBody; total: BufferTotal; told: string[] } {
  const total = new MemoryAccount(Infinity);
  const told: string[] = [];
  const body = new AnswerBody(total, {
    onTaken: () => void told.push("taken"),
    onEnded: () => void told.push("ended"),
    onCanceled: (reason) => void told.push(`canceled: ${reason}`),
  });
  return { body, total, told };
}

describe("AnswerBody", () => {
  it("counts each chunk with its overhead until the reader took it", async () => {
    const { body, total, told } = makeBody();
    const other = new AnswerBody(total, { onTaken() {}, onEnded() {}, onCanceled() {} });
    body.push(bytesOf("abc"));
    body.push(bytesOf(""));
    body.push(bytesOf("d"));
    other.push(bytesOf("xy"));
    assert.equal(body.bufferedBytes, 4 + 2 * overhead);
    assert.equal(total.heldBytes, 6 + 3 * overhead);
    const reader = body.stream.getReader();
    assert.equal(latin1((await reader.read()).value!), "abc");
    assert.deepEqual(told, ["taken"]);
    assert.equal(body.bufferedBytes, 1 + overhead);
    assert.equal(total.heldBytes, 3 + 2 * overhead);
  });

  it("reads nothing ahead of its reader", async () => {
    const { body, told } = makeBody();
    body.push(bytesOf("a"));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(told, []);
  });

  it("hands a chunk to the reader that waits for it, at once", async () => {
    const { body, total } = makeBody();
    const reader = body.stream.getReader();
    const read = reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    body.push(bytesOf("now"));
    assert.equal(total.heldBytes, 0);
    assert.equal(latin1((await read).value!), "now");
  });

  it("ends behind what waits", async () => {
    const { body, total, told } = makeBody();
    body.push(bytesOf("a"));
    body.end();
    body.push(bytesOf("late"));
    assert.equal(body.isComplete, true);
    const reader = body.stream.getReader();
    assert.equal(latin1((await reader.read()).value!), "a");
    assert.equal((await reader.read()).done, true);
    assert.deepEqual(told, ["taken", "ended"]);
    assert.equal(total.heldBytes, 0);
  });

  it("drops what waits when it breaks off, also behind its end", async () => {
    for (const ended of [false, true]) {
      const { body, total, told } = makeBody();
      body.push(bytesOf("a"));
      if (ended) body.end();
      body.abort(new Error("broken"));
      await assert.rejects(body.stream.getReader().read(), /broken/);
      body.end();
      body.push(bytesOf("late"));
      assert.deepEqual(told, []);
      assert.equal(total.heldBytes, 0);
      assert.equal(body.bufferedBytes, 0);
    }
  });

  it("fails the reader that waits when it breaks off", async () => {
    const { body } = makeBody();
    const read = body.stream.getReader().read();
    body.abort(new Error("broken"));
    await assert.rejects(read, /broken/);
  });

  it("drops what waits, and tells so once, when its reader cancels", async () => {
    const { body, total, told } = makeBody();
    body.push(bytesOf("a"));
    await body.stream.cancel("enough");
    body.push(bytesOf("late"));
    body.end();
    body.abort(new Error("late"));
    assert.deepEqual(told, ["canceled: enough"]);
    assert.equal(total.heldBytes, 0);
  });
});
