import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Memo } from "../../src/base/memo.ts";

describe("Memo", () => {
  it("makes once what is asked for again", () => {
    const made: string[] = [];
    const hosts = new Memo((text) => made.push(text));
    assert.equal(hosts.get("a.example:80"), 1);
    assert.equal(hosts.get("b.example:80"), 2);
    assert.equal(hosts.get("a.example:80"), 1);
    assert.deepEqual(made, ["a.example:80", "b.example:80"]);
  });

  it("gives what belongs to the text when others have the same place", () => {
    const lengths = new Memo((text) => `of ${text}`);
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 300 });
    fc.assert(fc.property(fc.array(text, { minLength: 20 }), (texts) => {
      for (const each of texts) assert.equal(lengths.get(each), `of ${each}`);
    }));
  });

  it("keeps nothing of a text that is longer than a host", () => {
    let made = 0;
    const hosts = new Memo(() => ++made);
    for (let time = 1; time <= 2; time++) assert.equal(hosts.get("a".repeat(260)), time);
  });

  it("keeps nothing of what cannot be made", () => {
    let tries = 0;
    const hosts = new Memo(() => {
      if (++tries === 1) throw new Error("no");
      return tries;
    });
    assert.throws(() => hosts.get("a"), /no/);
    assert.equal(hosts.get("a"), 2);
  });
});
