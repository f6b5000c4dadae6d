import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nameFault, randomName } from "../../src/config/names.ts";
import { nearest } from "../../src/config/nearest.ts";

describe("nameFault", () => {
  for (const name of ["a", "shop", "web-1", "0", "x".repeat(63)]) {
    it(`is null when the name is ${name}`, () => assert.equal(nameFault(name), null));
  }

  for (const name of ["", "Shop", "-a", "a-", "a.b", "a_b", "é", "x".repeat(64), "api", "admin", "www"]) {
    it(`says what is wrong when the name is ${JSON.stringify(name)}`, () => assert.notEqual(nameFault(name), null));
  }
});

describe("randomName", () => {
  it("gives a good name, another one each time, when it is called again", () => {
    const names = Array.from({ length: 100 }, randomName);
    assert.equal(new Set(names).size, 100);
    for (const name of names) assert.equal(nameFault(name), null);
  });
});

describe("nearest", () => {
  const words = ["token-file", "edge", "name", "token", "connect-timeout"];
  for (
    const [word, expected] of [
      ["edg", "edge"],
      ["tokne", "token"],
      ["conect-timeout", "connect-timeout"],
      ["connect", "connect-timeout"],
      ["token", "token"],
      ["nme", "name"],
      ["zzz", null],
      ["", null],
    ] as const
  ) {
    it(`gives ${expected} when the word is ${JSON.stringify(word)}`, () =>
      assert.equal(nearest(word, words), expected));
  }
});
