import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Fields } from "../../../src/http/message.ts";
import { headTextOf } from "../../../src/session/wsproto/head_text.ts";
import { fieldsToHeaders, headersToFields, lineFieldsFor, noLineFields } from "../../../src/session/wsproto/headers.ts";

const latin1Text = headTextOf(["latin1"]);
const utf8Text = headTextOf([]);
const allLines = lineFieldsFor(["challenge_lines"]);
const cookieLines = lineFieldsFor(["http_response_abort"]);

/** The fields, written to a frame and read again. */
function roundTrip(fields: Fields): Fields {
  return headersToFields(JSON.parse(JSON.stringify(fieldsToHeaders(fields, latin1Text, allLines))), latin1Text);
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
    joined.set(name, allLines.has(name) ? list : list.join(name === "cookie" ? "; " : ", "));
  }
  return joined;
}

const name = fc.oneof(
  fc.constantFrom(
    "Set-Cookie",
    "set-cookie",
    "WWW-Authenticate",
    "proxy-authenticate",
    "Cookie",
    "COOKIE",
    "__proto__",
    "constructor",
    "X-A",
    "x-a",
    "7",
  ),
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

  it("splits cookies and challenges at newlines in any case of their name, and nothing else", () => {
    const split = (headers: Record<string, string>) => headersToFields(headers, latin1Text);
    assert.deepEqual(split({ "SET-cookie": "a=1\nb=2" }), ["SET-cookie", "a=1", "SET-cookie", "b=2"]);
    assert.deepEqual(split({ "WWW-Authenticate": "A\nB" }), ["WWW-Authenticate", "A", "WWW-Authenticate", "B"]);
    assert.deepEqual(split({ "Proxy-Authenticate": "A\nB" }), ["Proxy-Authenticate", "A", "Proxy-Authenticate", "B"]);
    assert.deepEqual(split({ "X-Set-Cookie": "a\nb" }), ["X-Set-Cookie", "a\nb"]);
  });

  it("gives none for the empty list that some languages write", () => {
    assert.deepEqual(headersToFields([] as unknown as Record<string, string>, latin1Text), []);
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
      assert.deepEqual({ ...fieldsToHeaders(fields, latin1Text, cookieLines) }, headers);
    });
  }

  it("has no prototype that a field could change", () => {
    const headers = fieldsToHeaders(["__proto__", "x", "toString", "y"], latin1Text, noLineFields);
    assert.equal(Object.getPrototypeOf(headers), null);
    assert.equal(JSON.stringify(headers), '{"__proto__":"x","toString":"y"}');
  });

  it("joins challenges with newlines for an edge that splits them, and with commas for others", () => {
    const fields = ["WWW-Authenticate", "A", "Set-Cookie", "a", "www-authenticate", "B", "set-cookie", "b"];
    const joined = (lines: typeof allLines) => Object.values(fieldsToHeaders(fields, latin1Text, lines));
    assert.deepEqual(joined(allLines), ["A\nB", "a\nb"]);
    assert.deepEqual(joined(cookieLines), ["A, B", "a\nb"]);
    assert.deepEqual(joined(noLineFields), ["A, B", "a, b"]);
  });
});

const bytesOfText = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));

describe("headTextOf", () => {
  it("takes strings as bytes, and those with a code point above 0xFF as UTF-8, when a feature was announced", () => {
    assert.equal(latin1Text.read("caf\xe9"), "caf\xe9");
    assert.equal(latin1Text.read("5 €"), "5 \xe2\x82\xac");
    assert.equal(latin1Text.write("caf\xc3\xa9"), "caf\xc3\xa9");
  });

  it("takes strings as text in UTF-8 when no feature was announced", () => {
    for (const text of ["", "abc", "café", "5 €", "😀", "\ufeffa"]) {
      assert.equal(utf8Text.read(text), bytesOfText(text));
      assert.equal(utf8Text.write(bytesOfText(text)), text);
    }
    assert.equal(utf8Text.write("caf\xe9"), "caf\xe9", "bytes that are no UTF-8");
  });

  it("gives back any bytes when a feature was announced, and any UTF-8 when none was", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const form of [latin1Text, utf8Text]) {
        assert.ok([...form.read(text)].every((char) => char.charCodeAt(0) <= 0xff));
      }
      const wellFormed = text.toWellFormed();
      assert.equal(utf8Text.write(utf8Text.read(wellFormed)), wellFormed);
    }));
    fc.assert(fc.property(fc.stringMatching(/^[\x20-\x7e\x80-\xff]{0,20}$/), (bytes) => {
      assert.equal(latin1Text.read(latin1Text.write(bytes)), bytes);
    }));
  });
});
