import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { answerInTime, type EdgeDialOptions } from "../../src/agent/edge_dial.ts";
import { refusal } from "../../src/agent/edge_failure.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { AgentError } from "../../src/agent/errors.ts";
import { never } from "../support/client_requests.ts";
import { FakeClock } from "../support/clock.ts";

const edge = parseEdgeUrl("http://127.0.0.1:8080");

function optionsOn(clock: FakeClock): EdgeDialOptions {
  return { edge, token: "secret", upstream: () => Promise.reject(new Error("not asked")), timeoutMs: 1_000, clock };
}

/** Rejects with the reason of its signal, when that aborts. */
function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

describe("answerInTime", () => {
  it("gives the answer, and leaves no timer, when one comes", async () => {
    const clock = new FakeClock();
    assert.equal(await answerInTime(optionsOn(clock), never, () => Promise.resolve("yes")), "yes");
    assert.equal(clock.pending, 0);
  });

  it("aborts with edge_unreachable when the time is over", async () => {
    const clock = new FakeClock();
    const answer = answerInTime(optionsOn(clock), never, hang);
    clock.advance(1_000);
    const reason = `Cannot reach the edge ${edge.label}: Cannot open the tunnel: no answer within 1000 ms`;
    await assert.rejects(answer, { name: "AgentError", code: "edge_unreachable", reason });
    assert.equal(clock.pending, 0);
  });

  for (const when of ["before", "while"]) {
    it(`aborts with edge_unreachable when its signal aborts ${when} it waits`, async () => {
      const clock = new FakeClock();
      const stop = new AbortController();
      if (when === "before") stop.abort();
      const answer = answerInTime(optionsOn(clock), stop.signal, hang);
      stop.abort();
      const reason = `Cannot reach the edge ${edge.label}: Cannot open the tunnel: no answer`;
      await assert.rejects(answer, { name: "AgentError", code: "edge_unreachable", reason, isCutShort: true });
      assert.equal(clock.pending, 0);
    });
  }
});

describe("refusal", () => {
  for (const code of ["unauthorized", "too_many_attempts", "name_taken", "bad_name"]) {
    it(`has the code ${code} when the edge says so`, () => assert.equal(refusal(code, "why").code, code));
  }

  for (const code of ["too_many_tunnels", "edge_unreachable", "toString", undefined]) {
    it(`has the code refused when the edge says ${code}`, () => {
      const error = refusal(code, "why");
      assert.ok(error instanceof AgentError);
      assert.deepEqual([error.code, error.reason], ["refused", "why"]);
    });
  }
});
