import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Fields } from "../../../src/http/message.ts";
import { fieldsToHeaders, headersToFields, toBytes } from "../../../src/session/wsproto/headers.ts";

/** The fields, written to a frame and read again. */
function roundTrip(fields: Fields): Fields {
  return headersToFields(JSON.parse(JSON.stringify(fieldsToHeaders(fields))));
}

/** What joining must not change: the values of each name, joined as RFC 9110 §5.3 allows. */
function meaning(fields: Fields): Map<string, string | string[]> {
  const values = new Map<string, string[]>();
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index].toLowerCase();
    const known = values.get(name);
    if (known === undefined) values.set(name, [fields[index + 1]]);
    else known.push(fields[index + 1]);
  }
  const joined = new Map<string, string | string[]>();
  for (const [name, list] of values) {
    joined.set(name, name === "set-cookie" ? list : list.join(name === "cookie" ? "; " : ", "));
  }
  return joined;
}

const name = fc.oneof(
  fc.constantFrom("Set-Cookie", "set-cookie", "Cookie", "COOKIE", "__proto__", "constructor", "X-A", "x-a", "7"),
  fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/),
);
/** A field's value: bytes without CTL, as the parser hands them over. */
const value = fc.stringMatching(/^[\x21-\x7e\x80-\xff]?[\x20-\x7e\x80-\xff]{0,20}$/).map((text) => text.trim());
const anyFields = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat());

describe("headersToFields", () => {
  it("gives back what fieldsToHeaders took, for any fields", () => {
    fc.assert(fc.property(anyFields, (fields) => {
      assert.deepEqual(meaning(roundTrip(fields)), meaning(fields));
    }));
  });

  it("keeps names as they were spelled when they stand once", () => {
    const fields = ["X-One", "1", "x-TWO", "2", "__proto__", "3"];
    assert.deepEqual(roundTrip(fields), fields);
  });

  it("takes a value as UTF-8 when it has a code point above 0xFF", () => {
    assert.deepEqual(headersToFields({ "X-Price": "5 €" }), ["X-Price", "5 \xe2\x82\xac"]);
    assert.deepEqual(headersToFields({ "X-Name": "caf\xe9" }), ["X-Name", "caf\xe9"]);
  });

  it("splits Set-Cookie at newlines in any case of its name, and nothing else", () => {
    assert.deepEqual(headersToFields({ "SET-cookie": "a=1\nb=2" }), ["SET-cookie", "a=1", "SET-cookie", "b=2"]);
    assert.deepEqual(headersToFields({ "X-Set-Cookie": "a\nb" }), ["X-Set-Cookie", "a\nb"]);
  });
});

describe("fieldsToHeaders", () => {
  const table: [Fields, Record<string, string>][] = [
    [[], {}],
    [["Vary", "A", "vary", "B"], { Vary: "A, B" }],
    [["Cookie", "a=1", "Cookie", "b=2"], { Cookie: "a=1; b=2" }],
    [["Set-Cookie", "a=1, x", "Set-Cookie", "b=2"], { "Set-Cookie": "a=1, x\nb=2" }],
    [["X-Empty", ""], { "X-Empty": "" }],
  ];
  for (const [fields, headers] of table) {
    it(`makes ${JSON.stringify(headers)} of ${JSON.stringify(fields)}`, () => {
      assert.deepEqual({ ...fieldsToHeaders(fields) }, headers);
    });
  }

  it("has no prototype that a field could change", () => {
    const headers = fieldsToHeaders(["__proto__", "x", "toString", "y"]);
    assert.equal(Object.getPrototypeOf(headers), null);
    assert.equal(JSON.stringify(headers), '{"__proto__":"x","toString":"y"}');
  });
});

describe("toBytes", () => {
  it("never gives a code point above 0xFF, whatever it gets", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
      const bytes = toBytes(text);
      assert.ok([...bytes].every((char) => char.charCodeAt(0) <= 0xff));
      if ([...text].every((char) => char.charCodeAt(0) <= 0xff && char.length === 1)) assert.equal(bytes, text);
    }));
  });
});
