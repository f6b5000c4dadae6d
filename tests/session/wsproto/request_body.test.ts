import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MemoryAccount } from "../../../src/httpstream/mod.ts";
import { count } from "../../../src/memory/mod.ts";
import { BLOCK_BYTES, RequestBody } from "../../../src/session/wsproto/request_body.ts";
import { FedBody, never } from "../../support/client_requests.ts";
import { eventually, patternBytes } from "../../support/net.ts";

function makeBody(limitBytes = Infinity) {
  const account = new MemoryAccount(limitBytes);
  return { account, body: new RequestBody(account) };
}

/** All of it in base64, as it leaves. */
function encoded(body: RequestBody): string {
  let text = "";
  for (let part = body.encodeNext(); part !== null; part = body.encodeNext()) {
    text += Buffer.from(part).toString("latin1");
  }
  return text;
}

describe("RequestBody", () => {
  it("gives the base64 of what was appended, in whatever pieces it came", () => {
    const lengths = fc.array(fc.constantFrom(0, 1, 2, 3, 1_000, 1_024, BLOCK_BYTES - 1, BLOCK_BYTES, 70_000), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(lengths, (lengths) => {
        const { account, body } = makeBody();
        const pieces = lengths.map((length, index) => patternBytes(length, index));
        for (const piece of pieces) assert.equal(body.append(piece.slice()), true);
        const whole = Buffer.concat(pieces);
        assert.equal(body.length, whole.length);
        assert.equal(encoded(body), whole.toString("base64"));
        assert.deepEqual([body.heldBytes, account.heldBytes], [0, 0]);
      }),
      { numRuns: 50 },
    );
  });

  it("holds about what it is long, and not what it came in, when it comes byte by byte", () => {
    const { account, body } = makeBody();
    for (let index = 0; index < 100_000; index++) body.append(Uint8Array.of(index));
    assert.equal(account.heldBytes, 3 * BLOCK_BYTES);
    body.drop();
    assert.equal(account.heldBytes, 0);
  });

  it("frees the reads in which it came, and counts a block until the next one is asked for", () => {
    const { account, body } = makeBody();
    const read = count(patternBytes(2 * BLOCK_BYTES));
    body.append(read);
    assert.equal(read.length, 0);
    const held: number[] = [];
    do held.push(account.heldBytes); while (body.encodeNext() !== null);
    assert.deepEqual([...held, account.heldBytes], [2 * BLOCK_BYTES, 2 * BLOCK_BYTES, BLOCK_BYTES, 0]);
  });

  it("collects a stream up to its limit, and to that of the account, and cancels the rest", async () => {
    const chunk = patternBytes(4_000);
    const endless = () => new FedBody((fed) => fed.push(chunk));
    for (const [limit, accountLimit, result] of [[9_000, 1e9, "limit"], [1e9, 9_000, "account"]] as const) {
      const { account, body } = makeBody(accountLimit);
      const stream = endless();
      assert.equal(await body.collect(stream.stream, limit, never), result);
      assert.notEqual(stream.canceled, undefined);
      assert.ok(account.heldBytes <= 9_192);
      body.drop();
      assert.equal(account.heldBytes, 0);
    }
    const { body } = makeBody();
    const stream = new FedBody((fed) => fed.pulls > 3 ? fed.end() : fed.push(chunk));
    assert.equal(await body.collect(stream.stream, 12_000, never), "whole");
    assert.equal(body.length, 12_000);
  });

  it("stops collecting when it is told to, by its signal or its owner", async () => {
    for (const way of ["signal", "owner"]) {
      const { body } = makeBody();
      const stream = new FedBody((fed) => fed.pulls === 1 && fed.push("abc"));
      const gone = new AbortController();
      const collected = body.collect(stream.stream, 100, gone.signal);
      await eventually(() => stream.pulls === 2);
      if (way === "signal") gone.abort(new Error("enough"));
      else body.stop(new Error("enough"));
      await assert.rejects(collected, /enough/);
      assert.match(String(stream.canceled), /enough/);
    }
  });
});
