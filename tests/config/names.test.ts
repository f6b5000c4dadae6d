import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  defaultReservedNames,
  nameFault,
  parseReservedName,
  randomName,
  reservedNamesWith,
} from "../../src/config/names.ts";
import { nearest } from "../../src/config/nearest.ts";

describe("nameFault", () => {
  for (const name of ["a", "shop", "web-1", "0", "x".repeat(63)]) {
    it(`is null when the name is ${name}`, () => assert.equal(nameFault(name), null));
  }

  for (const name of ["", "Shop", "-a", "a-", "a.b", "a_b", "é", "x".repeat(64), "_dmarc", "__proto__"]) {
    it(`says what is wrong when the name is ${JSON.stringify(name)}`, () => assert.notEqual(nameFault(name), null));
  }
});

describe("the reserved names", () => {
  it("are names, and among them what a visitor or a program would trust", () => {
    for (const name of defaultReservedNames) assert.equal(nameFault(name), null, name);
    for (
      const name of ["api", "admin", "www", "agent", "localhost", "healthz", "readyz", "mail", "autoconfig", "wpad"]
    ) {
      assert.ok(defaultReservedNames.has(name), name);
    }
    for (const name of ["shop", "test", "dev", "demo", "app", "auth", "status"]) {
      assert.ok(!defaultReservedNames.has(name), name);
    }
  });

  it("are more or fewer as one says, and the last word on a name counts", () => {
    const names = reservedNamesWith(["intranet", "-mail", "-www", "www"].map(parseReservedName));
    assert.deepEqual(["intranet", "mail", "www", "wpad"].map((name) => names.has(name)), [true, false, true, true]);
    assert.equal(defaultReservedNames.has("mail"), true);
  });

  for (
    const [text, fault] of [["", /1 to 63/], ["A", /lower-case/], ["-", /1 to 63/], ["-shop", /not reserved/]] as const
  ) {
    it(`are not changed by ${JSON.stringify(text)}`, () => assert.throws(() => parseReservedName(text), fault));
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
