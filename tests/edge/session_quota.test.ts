import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SessionQuota } from "../../src/edge/session_quota.ts";
import type { SessionEnd } from "../../src/session/session.ts";

function session() {
  const { promise: closed, resolve } = Promise.withResolvers<SessionEnd>();
  return { closed, end: () => resolve({ code: "closed", reason: "" }) };
}

describe("SessionQuota", () => {
  it("refuses an owner's next session while as many are open as it may have, and tells so", async () => {
    const told: string[] = [];
    const quota = new SessionQuota(2, (reason) => void told.push(reason));
    const [first, second] = [session(), session()];
    assert.equal(quota.refusal("me"), null);
    quota.add("me", first);
    quota.add("me", second);
    const reason = quota.refusal("me");
    assert.match(reason ?? "", /2 sessions.*--sessions-per-token/);
    assert.deepEqual(told, [reason]);
    assert.equal(quota.refusal("somebody"), null);
    first.end();
    await first.closed;
    assert.equal(quota.refusal("me"), null);
    second.end();
    await second.closed;
    assert.equal(quota.refusal("me"), null);
    assert.equal(told.length, 1);
  });

  it("lets an owner have 200 where nothing else is said", () => {
    const quota = new SessionQuota();
    for (let count = 0; count < 200; count++) {
      assert.equal(quota.refusal("me"), null);
      quota.add("me", session());
    }
    assert.notEqual(quota.refusal("me"), null);
  });
});
