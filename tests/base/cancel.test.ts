import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { abortSignalOf, CancelSource } from "../../src/base/cancel.ts";

describe("CancelSource", () => {
  it("abort tells every listener in order, once, and keeps the first reason", () => {
    const source = new CancelSource();
    const heard: string[] = [];
    source.addEventListener("abort", () => heard.push(`first ${source.aborted} ${source.reason}`));
    source.addEventListener("abort", { handleEvent: () => heard.push("second") });
    source.addEventListener("abort", () => heard.push("third"));
    assert.equal(source.aborted, false);
    source.throwIfAborted();
    source.abort("gone");
    source.abort("again");
    assert.deepEqual(heard, ["first true gone", "second", "third"]);
    assert.equal(source.reason, "gone");
    assert.throws(() => source.throwIfAborted(), (error) => error === "gone");
  });

  it("removeEventListener ends a listener whichever stands where", () => {
    for (const removed of [0, 1, 2]) {
      const source = new CancelSource();
      const heard: number[] = [];
      const listeners = [0, 1, 2].map((number) => () => void heard.push(number));
      for (const listener of listeners) source.addEventListener("abort", listener);
      source.removeEventListener("abort", () => {});
      source.removeEventListener("abort", listeners[removed]);
      source.abort("gone");
      assert.deepEqual(heard, [0, 1, 2].filter((number) => number !== removed));
    }
  });

  it("addEventListener says nothing when the source has aborted, as with an AbortSignal", () => {
    const source = new CancelSource();
    source.abort("gone");
    source.addEventListener("abort", () => assert.fail("called"));
    source.abort("again");
  });
});

describe("abortSignalOf", () => {
  it("gives an AbortSignal back as it is", () => {
    const { signal } = new AbortController();
    assert.equal(abortSignalOf(signal), signal);
  });

  it("aborts with the source, before and after it was made", () => {
    const source = new CancelSource();
    const early = abortSignalOf(source);
    assert.equal(early.aborted, false);
    source.abort("gone");
    for (const signal of [early, abortSignalOf(source)]) {
      assert.equal(signal.aborted, true);
      assert.equal(signal.reason, "gone");
    }
  });
});
