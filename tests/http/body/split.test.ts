import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { splitBody } from "../../../src/http/body/split.ts";
import { count, isCounted, release } from "../../../src/memory/mod.ts";
import { bodyText, FedBody } from "../../support/client_requests.ts";
import { bytesOf } from "../../support/net.ts";

/** A body of these chunks, which then ends. */
function bodyOf(chunks: readonly string[]): FedBody {
  const left = [...chunks];
  return new FedBody((body) => left.length > 0 ? body.push(left.shift()!) : body.end());
}

describe("splitBody", () => {
  it("gives content and rest whatever the chunks are", async () => {
    const chunk = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 8 }), fc.nat(), async (chunks, at) => {
        const text = `${chunks.join("")}x`;
        const length = 1 + at % text.length;
        const { content, rest } = splitBody(bodyOf([...chunks, "x"]).stream, length);
        assert.equal(await bodyText(content), text.slice(0, length));
        assert.equal(await bodyText(rest), text.slice(length));
      }),
    );
  });

  it("gives the rest once the content was read when both are read at the same time", async () => {
    const { content, rest } = splitBody(bodyOf(["ab", "cd", "ef"]).stream, 3);
    assert.deepEqual(await Promise.all([bodyText(rest), bodyText(content)]), ["def", "abc"]);
  });

  it("reads nothing, and locks nothing, before it is read", async () => {
    const body = bodyOf(["abc", "d"]);
    const { content } = splitBody(body.stream, 3);
    assert.deepEqual([body.pulls, body.stream.locked], [0, false]);
    assert.equal(await bodyText(content), "abc");
    assert.equal(body.pulls, 1, "nothing is read behind the content");
  });

  it("breaks both off when the body ends short of the content", async () => {
    const { content, rest } = splitBody(bodyOf(["ab"]).stream, 3);
    await assert.rejects(bodyText(content), { name: "BodyLengthError", length: 3, sentBytes: 2 });
    await assert.rejects(bodyText(rest), { name: "BodyLengthError" });
  });

  it("breaks off what is read when the body does", async () => {
    for (const length of [3, 2]) {
      const body = new FedBody((body) => body.pulls === 1 ? body.push("ab") : body.fail(new Error("gone")));
      const { content, rest } = splitBody(body.stream, length);
      if (length === 3) await assert.rejects(bodyText(content), /gone/);
      else assert.equal(await bodyText(content), "ab");
      await assert.rejects(bodyText(rest), /gone/);
    }
  });

  it("goes on with the content when the rest is canceled, and cancels the body behind it", async () => {
    const body = bodyOf(["ab", "cd", "ef"]);
    const { content, rest } = splitBody(body.stream, 3);
    await rest.cancel("not wanted");
    assert.equal(body.canceled, undefined);
    assert.equal(await bodyText(content), "abc");
    assert.equal(body.canceled, "not wanted");
  });

  it("cancels the body at once when its content was read, or is canceled", async () => {
    const read = bodyOf(["abc", "d"]);
    const first = splitBody(read.stream, 3);
    await bodyText(first.content);
    await first.rest.cancel("over");
    assert.equal(read.canceled, "over");

    const unread = bodyOf(["abc"]);
    const second = splitBody(unread.stream, 2);
    await second.content.cancel("early");
    assert.equal(unread.canceled, "early");
    await assert.rejects(bodyText(second.rest), (reason) => reason === "early");
  });

  it("passes the reference of a chunk on to its parts, and gives it back where a part is canceled", async () => {
    for (const isCanceled of [false, true]) {
      const chunk = count(new Uint8Array(32 * 1024));
      const { buffer } = chunk;
      const { content, rest } = splitBody(new FedBody((body) => body.push(chunk)).stream, 1_000);
      const { value } = await content.getReader().read();
      assert.ok(isCounted(value!) && !isCounted(chunk));
      release(value!);
      assert.equal(buffer.byteLength, 32 * 1024, "the rest has a reference, too");
      if (isCanceled) await rest.cancel();
      else release((await rest.getReader().read()).value!);
      assert.equal(buffer.byteLength, 0, "the memory is free");
    }
  });

  it("releases what comes when the content was canceled meanwhile", async () => {
    const chunk = count(bytesOf("x".repeat(32 * 1024)).slice());
    const { buffer } = chunk;
    let push = () => {};
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => new Promise<void>((resolve) => push = () => (controller.enqueue(chunk), resolve())),
    }, { highWaterMark: 0 });
    const { content } = splitBody(body, 10);
    const reader = content.getReader();
    const pending = reader.read();
    await Promise.resolve();
    push();
    await reader.cancel();
    await pending;
    assert.ok(buffer.byteLength === 0 || !isCounted(chunk));
  });
});
