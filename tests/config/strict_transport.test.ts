import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseStrictTransport } from "../../src/config/strict_transport.ts";

describe("parseStrictTransport", () => {
  const good: [text: string, value: string][] = [
    ["180d", "max-age=15552000"],
    ["0s", "max-age=0"],
    ["1h,includeSubDomains", "max-age=3600; includeSubDomains"],
    ["1h includesubdomains", "max-age=3600; includeSubDomains"],
    ["365d,preload,includeSubDomains", "max-age=31536000; includeSubDomains; preload"],
  ];
  for (const [text, value] of good) {
    it(`is ${value} for ${text}`, () => assert.equal(parseStrictTransport(text), value));
  }

  const bad: [text: string, reason: RegExp][] = [
    ["", /does not begin with a duration/],
    ["31536000", /does not begin with a duration/],
    ["includeSubDomains", /does not begin with a duration/],
    ["180d,includeSubdomain", /has the word includeSubdomain, which is none of includeSubDomains, preload/],
    ["180d,includeSubDomains,preload", /not enough for preload/],
    ["365d,preload", /not enough for preload/],
  ];
  for (const [text, reason] of bad) {
    it(`throws for ${JSON.stringify(text)}`, () => assert.throws(() => parseStrictTransport(text), reason));
  }
});
