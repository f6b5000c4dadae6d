import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectBody, CollectBudget } from "../../../src/http/body/collect.ts";
import { FedBody } from "../../support/client_requests.ts";
import { bytesOf, eventually, latin1 } from "../../support/net.ts";

/** A body of these chunks. */
function streamOf(...chunks: string[]): FedBody {
  return new FedBody((fed) => chunks.length > 0 ? fed.push(chunks.shift()!) : fed.end());
}

describe("collectBody", () => {
  const roomy = () => new CollectBudget(1000);
  const textOf = async (body: Parameters<typeof collectBody>[0], limit = 100, budget = roomy()) => {
    const collected = await collectBody(body, limit, budget);
    assert.equal(budget.usedBytes, 0);
    return "bytes" in collected ? latin1(collected.bytes) : collected.exceeded;
  };

  it("joins what comes, up to the limit", async () => {
    assert.equal(await textOf(null), "");
    assert.equal(await textOf(bytesOf("ab")), "ab");
    assert.equal(await textOf(streamOf().stream), "");
    assert.equal(await textOf(streamOf("ab").stream), "ab");
    assert.equal(await textOf(streamOf("ab", "", "c").stream, 3), "abc");
  });

  it("cancels the rest of a body over the limit, or over what all may hold", async () => {
    assert.equal(await textOf(bytesOf("abc"), 2), "limit");
    for (const [limit, budget, exceeded] of [[3, 100, "limit"], [100, 3, "budget"]] as const) {
      const body = streamOf("ab", "cd", "ef");
      assert.equal(await textOf(body.stream, limit, new CollectBudget(budget)), exceeded);
      assert.equal(body.pulls, 2);
    }
  });

  it("gives the budget back when the body breaks off", async () => {
    const budget = roomy();
    const body = new FedBody((fed) => fed.pulls === 1 && fed.push("abc"));
    const collected = collectBody(body.stream, 100, budget);
    await eventually(() => budget.usedBytes === 3);
    body.fail(new Error("cut"));
    await assert.rejects(collected, /cut/);
    assert.equal(budget.usedBytes, 0);
  });

  it("cancels the body and rejects when it is told to stop", async () => {
    const budget = roomy();
    const body = new FedBody();
    const stop = new AbortController();
    const collected = collectBody(body.stream, 100, budget, stop.signal);
    await eventually(() => body.pulls === 1);
    stop.abort(new Error("enough"));
    await assert.rejects(collected, /enough/);
    assert.match(String(body.canceled), /enough/);
  });
});
