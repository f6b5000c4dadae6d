import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { earlyEndReason, earlyEndSentences, untilStopped, waitingSentences } from "../../src/cli/shutdown.ts";
import { FakeClock } from "../support/clock.ts";

/** A subject whose draining ends when the test resolves `draining`. */
function open() {
  const handlers = new Set<() => void>();
  const draining = Promise.withResolvers<void>();
  const calls: string[] = [];
  const clock = new FakeClock();
  const host = {
    onSignal: (_name: string, handler: () => void) => {
      handlers.add(handler);
      return () => void handlers.delete(handler);
    },
  };
  const subject = {
    drain: () => {
      calls.push("drain");
      return draining.promise;
    },
    close: () => void calls.push("close"),
  };
  const signal = () => [...handlers][0]?.();
  const onDrain = () => void calls.push("told");
  const onEarlyEnd = (by: string) => void calls.push(by);
  return {
    subject,
    options: { host, drainMs: 30_000, clock, onDrain, onEarlyEnd },
    clock,
    draining,
    calls,
    signal,
    handlers,
  };
}

describe("untilStopped", () => {
  it("resolves when draining has ended after a signal", async () => {
    const { subject, options, clock, draining, calls, signal, handlers } = open();
    const stopped = untilStopped(subject, options);
    signal();
    draining.resolve();
    await stopped;
    assert.deepEqual(calls, ["told", "drain"]);
    assert.deepEqual([clock.pending, handlers.size], [0, 0]);
  });

  it("goes on behind drainMs when it is told that it may, and closes when that is over", async () => {
    const { subject, options, clock, calls, signal } = open();
    const given: number[] = [];
    const onEarlyEnd = (by: string, givenMs: number) => {
      calls.push(by);
      given.push(givenMs);
    };
    const longerMs = () => Promise.resolve(3_600_000);
    const stopped = untilStopped(subject, { ...options, longerMs, onEarlyEnd });
    signal();
    clock.advance(30_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(calls, ["told", "drain"]);
    clock.advance(3_569_999);
    assert.deepEqual(calls, ["told", "drain"]);
    clock.advance(1);
    await stopped;
    assert.deepEqual([calls, given], [["told", "drain", "timeout", "close"], [3_600_000]]);
    assert.equal(clock.pending, 0);
  });

  it("closes behind drainMs when there is no more time, and not when draining ends meanwhile", async () => {
    const { subject, options, clock, draining, calls, signal } = open();
    let answer!: (ms: number) => void;
    const longerMs = () => new Promise<number>((resolve) => answer = resolve);
    const stopped = untilStopped(subject, { ...options, longerMs });
    signal();
    clock.advance(30_000);
    draining.resolve();
    await stopped;
    answer(3_600_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([calls, clock.pending], [["told", "drain"], 0]);
    const second = open();
    const ended = untilStopped(second.subject, { ...second.options, longerMs: () => Promise.resolve(0) });
    second.signal();
    second.clock.advance(30_000);
    await ended;
    assert.deepEqual(second.calls, ["told", "drain", "timeout", "close"]);
  });

  it("closes when a second signal comes", async () => {
    const { subject, options, calls, signal } = open();
    const stopped = untilStopped(subject, options);
    signal();
    signal();
    await stopped;
    assert.deepEqual(calls, ["told", "drain", "signal", "close"]);
  });

  it("tells once what ended the drain when signals and the timeout come together", async () => {
    const { subject, options, clock, calls, signal } = open();
    const stopped = untilStopped(subject, options);
    signal();
    signal();
    signal();
    clock.advance(30_000);
    await stopped;
    assert.deepEqual(calls.filter((call) => call !== "close"), ["told", "drain", "signal"]);
  });

  it("closes when draining takes too long", async () => {
    const { subject, options, clock, calls, signal } = open();
    const stopped = untilStopped(subject, options);
    signal();
    clock.advance(29_999);
    assert.deepEqual(calls, ["told", "drain"]);
    clock.advance(1);
    await stopped;
    assert.deepEqual(calls, ["told", "drain", "timeout", "close"]);
  });

  it("rejects when draining fails", async () => {
    const { subject, options, draining, signal, handlers } = open();
    const stopped = untilStopped(subject, options);
    signal();
    draining.reject(new Error("no way"));
    await assert.rejects(stopped, /no way/);
    assert.equal(handlers.size, 0);
  });

  it("ends without a signal when the subject has finished or failed", async () => {
    const { subject, options, calls, handlers } = open();
    await untilStopped(subject, { ...options, finished: Promise.resolve() });
    await assert.rejects(untilStopped(subject, { ...options, finished: Promise.reject(new Error("lost")) }), /lost/);
    assert.deepEqual([calls, handlers.size], [[], 0]);
  });
});

describe("waitingSentences", () => {
  const sentences: readonly [number, number, string][] = [
    [0, 30_000, "Stopping: no request is under way"],
    [1, 30_000, "Waiting for 1 request, at most 30 s; Ctrl-C again ends it"],
    [3, 500, "Waiting for 3 requests, at most 500 ms; Ctrl-C again ends them"],
    [2, 300_000, "Waiting for 2 requests, at most 5m00s; Ctrl-C again ends them"],
  ];
  for (const [count, drainMs, sentence] of sentences) {
    it(`says how many and how long when it is ${count}, ${drainMs} ms`, () => {
      assert.equal(waitingSentences(count, drainMs)[0], sentence);
    });
  }

  it("names the count and Ctrl-C in each sentence, and ends with one for 20 columns", () => {
    const sentences = waitingSentences(12, 30_000);
    for (const sentence of sentences) assert.match(sentence, /\b12\b.*Ctrl-C/);
    assert.ok(String(sentences.at(-1)).length <= 20);
  });
});

describe("earlyEndSentences", () => {
  const sentences: readonly [number, "signal" | "timeout", string][] = [
    [0, "signal", "Ended at once: no request was under way"],
    [1, "signal", "Ended 1 request under way, at the second signal"],
    [3, "timeout", "Ended 3 requests under way, after 30 s of waiting"],
  ];
  for (const [count, by, sentence] of sentences) {
    it(`says how many and why when it is ${count}, by ${by}`, () => {
      assert.equal(earlyEndSentences(count, by, 30_000)[0], sentence);
      assert.ok(count === 0 || sentence.endsWith(earlyEndReason(by, 30_000)));
    });
  }
});
