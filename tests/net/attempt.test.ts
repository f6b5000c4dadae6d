import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { attempt, type AttemptOptions } from "../../src/net/attempt.ts";
import { FakeClock } from "../support/clock.ts";

function stage(more: Partial<AttemptOptions> = {}) {
  const clock = new FakeClock();
  let cleanUps = 0;
  const options: AttemptOptions = {
    action: "Cannot open it",
    timeoutMs: 100,
    clock,
    cleanUp: () => void cleanUps++,
    ...more,
  };
  return { clock, options, cleanUps: () => cleanUps };
}

describe("attempt", () => {
  it("gives the first result, and leaves no timer", async () => {
    const { clock, options, cleanUps } = stage();
    const value = await attempt<string>(options, (resolve, reject) => {
      resolve("first");
      resolve("second");
      reject(new Error("third"));
    });
    assert.equal(value, "first");
    assert.deepEqual([cleanUps(), clock.pending], [0, 0]);
  });

  it("cleans up before it rejects, once, when start rejects or throws", async () => {
    for (
      const start of [
        (_resolve: unknown, reject: (error: unknown) => void) => {
          reject(new Error("no"));
          reject(new Error("again"));
        },
        () => {
          throw new Error("no");
        },
      ]
    ) {
      const { clock, options, cleanUps } = stage();
      await assert.rejects(attempt(options, start), { message: "no" });
      assert.deepEqual([cleanUps(), clock.pending], [1, 0]);
    }
  });

  it("rejects when the time since the beginning of the dial is over", async () => {
    const { clock, options, cleanUps } = stage({ startedAt: -40 });
    const result = attempt(options, () => {});
    clock.advance(59);
    assert.equal(cleanUps(), 0);
    clock.advance(1);
    await assert.rejects(result, { code: "connect_timeout", message: "Cannot open it: no answer within 100 ms" });
    assert.equal(cleanUps(), 1);
  });

  it("rejects with the given error when the time is over", async () => {
    const { clock, options } = stage({ timeoutError: () => new Error("too late") });
    const result = attempt(options, () => {});
    clock.advance(100);
    await assert.rejects(result, { message: "too late" });
  });

  it("rejects with aborted when its signal aborts, and does not start when it has aborted", async () => {
    const abort = new AbortController();
    const { clock, options, cleanUps } = stage({ signal: abort.signal });
    const result = attempt(options, () => {});
    abort.abort(new Error("why"));
    await assert.rejects(result, { code: "aborted", message: "Cannot open it: aborted", initiator: "user" });
    assert.deepEqual([cleanUps(), clock.pending], [1, 0]);
    const second = attempt(options, () => assert.fail("started"));
    await assert.rejects(second, { code: "aborted" });
    assert.equal(cleanUps(), 2);
  });
});
