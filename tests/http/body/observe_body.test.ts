import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { observeBody } from "../../../src/http/body/observe_body.ts";
import { bodyText, FedBody } from "../../support/client_requests.ts";
import { bytesOf } from "../../support/net.ts";

function watcher() {
  const seen: unknown[] = [];
  return {
    seen,
    onChunk: (chunk: Uint8Array) => void seen.push(chunk.length),
    onOver: (error?: unknown) => void seen.push(error === undefined ? "over" : String(error)),
  };
}

describe("observeBody", () => {
  it("tells of a body that is here already at once", () => {
    for (const [body, told] of [[null, ["over"]], [bytesOf(""), ["over"]], [bytesOf("abc"), [3, "over"]]] as const) {
      const watch = watcher();
      assert.equal(observeBody(body, watch), body);
      assert.deepEqual(watch.seen, told);
    }
  });

  it("tells of each chunk, and of the end once", async () => {
    const watch = watcher();
    const texts = ["ab", "c"];
    const fed = new FedBody((body) => texts.length > 0 ? body.push(texts.shift()!) : body.end());
    assert.equal(await bodyText(observeBody(fed.stream, watch)), "abc");
    assert.deepEqual(watch.seen, [2, 1, "over"]);
  });

  it("tells why a body broke off, and passes that on", async () => {
    const watch = watcher();
    const fed = new FedBody((body) => body.fail(new Error("cut")));
    await assert.rejects(bodyText(observeBody(fed.stream, watch)), /cut/);
    assert.deepEqual(watch.seen, ["Error: cut"]);
  });

  it("tells why a body broke off at once, although nobody is reading", async () => {
    const watch = watcher();
    const fed = new FedBody((body) => body.push("ab"));
    const reader = observeBody(fed.stream, watch).getReader();
    await reader.read();
    fed.fail(new Error("cut"));
    await assert.rejects(reader.closed, /cut/);
    assert.deepEqual(watch.seen, [2, "Error: cut"]);
  });

  it("passes a cancellation on to the source", async () => {
    const watch = watcher();
    const fed = new FedBody();
    await observeBody(fed.stream, watch).cancel("enough");
    assert.equal(fed.canceled, "enough");
    assert.deepEqual(watch.seen, ["enough"]);
  });

  it("tells of the end once when the reader cancels while it waits", async () => {
    const watch = watcher();
    const fed = new FedBody();
    const reader = observeBody(fed.stream, watch).getReader();
    const read = reader.read();
    await reader.cancel("enough");
    assert.equal((await read).done, true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(watch.seen, ["enough"]);
  });

  it("reads nothing ahead", async () => {
    const fed = new FedBody((body) => body.push("x"));
    observeBody(fed.stream, watcher());
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(fed.pulls, 0);
  });
});
