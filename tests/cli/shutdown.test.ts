import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { untilStopped } from "../../src/cli/shutdown.ts";
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
  return { subject, options: { host, drainMs: 30_000, clock, onDrain }, clock, draining, calls, signal, handlers };
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

  it("closes when a second signal comes", async () => {
    const { subject, options, calls, signal } = open();
    const stopped = untilStopped(subject, options);
    signal();
    signal();
    await stopped;
    assert.deepEqual(calls, ["told", "drain", "close"]);
  });

  it("closes when draining takes too long", async () => {
    const { subject, options, clock, calls, signal } = open();
    const stopped = untilStopped(subject, options);
    signal();
    clock.advance(29_999);
    assert.deepEqual(calls, ["told", "drain"]);
    clock.advance(1);
    await stopped;
    assert.deepEqual(calls, ["told", "drain", "close"]);
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
