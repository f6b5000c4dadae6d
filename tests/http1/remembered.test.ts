import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Remembered } from "../../src/http1/remembered.ts";

describe("Remembered", () => {
  it("makes once what is asked for again", () => {
    const made: string[] = [];
    const hosts = new Remembered((text) => made.push(text));
    assert.equal(hosts.of("a.example:80"), 1);
    assert.equal(hosts.of("b.example:80"), 2);
    assert.equal(hosts.of("a.example:80"), 1);
    assert.deepEqual(made, ["a.example:80", "b.example:80"]);
  });

  it("gives what belongs to the text when others have the same place", () => {
    const lengths = new Remembered((text) => `of ${text}`);
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 300 });
    fc.assert(fc.property(fc.array(text, { minLength: 20 }), (texts) => {
      for (const each of texts) assert.equal(lengths.of(each), `of ${each}`);
    }));
  });

  it("keeps nothing of a text that is longer than a host", () => {
    let made = 0;
    const hosts = new Remembered(() => ++made);
    for (let time = 1; time <= 2; time++) assert.equal(hosts.of("a".repeat(260)), time);
  });

  it("keeps nothing of what cannot be made", () => {
    let tries = 0;
    const hosts = new Remembered(() => {
      if (++tries === 1) throw new Error("no");
      return tries;
    });
    assert.throws(() => hosts.of("a"), /no/);
    assert.equal(hosts.of("a"), 2);
  });
});
