import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAuthority, sameAuthority, splitAuthority } from "../../src/http/authority.ts";
import {
  endToEndFields,
  fieldValue,
  fieldValues,
  hasToken,
  isFieldValue,
  isHopByHop,
  isProtocol,
  isToken,
  listMembers,
  trailerFields,
  withoutFields,
} from "../../src/http/fields.ts";
import { clientAddressNames } from "../../src/http/visitor_fields.ts";

const fields = ["Accept", "a", "X-One", "1", "accept", "b", "Vary", "Origin, ACCEPT ,,x"];

describe("fields", () => {
  it("fieldValue gives the first value when names differ in case", () => {
    assert.equal(fieldValue(fields, "accept"), "a");
    assert.equal(fieldValue(fields, "x-one"), "1");
    assert.equal(fieldValue(fields, "x-two"), undefined);
  });

  it("fieldValue looks at names alone when a value has that text", () => {
    assert.equal(fieldValue(["A", "b", "B", "c"], "b"), "c");
  });

  it("fieldValues gives every value in order", () => {
    assert.deepEqual(fieldValues(fields, "accept"), ["a", "b"]);
    assert.deepEqual(fieldValues(fields, "none"), []);
  });

  it("hasToken finds a member when case and blanks differ, and no part of one", () => {
    assert.equal(hasToken(fields, "vary", "accept"), true);
    assert.equal(hasToken(fields, "vary", "origin"), true);
    assert.equal(hasToken(fields, "vary", "x"), true);
    assert.equal(hasToken(fields, "vary", "acc"), false);
    assert.equal(hasToken(["Connection", "Upgrade"], "connection", "upgrade"), true);
    assert.equal(hasToken(["Connection", "upgradex"], "connection", "upgrade"), false);
    assert.equal(hasToken(["Connection", "a", "Connection", "\tb "], "connection", "b"), true);
    assert.equal(hasToken([], "connection", "b"), false);
  });

  it("listMembers leaves out what is empty", () => {
    assert.deepEqual(listMembers(" a ,,\tb\t, "), ["a", "b"]);
    assert.deepEqual(listMembers(""), []);
  });

  it("withoutFields takes names away whatever their case, and gives the same array when none is there", () => {
    assert.deepEqual(withoutFields(fields, new Set(["accept", "vary"])), ["X-One", "1"]);
    assert.equal(withoutFields(fields, new Set(["x-two"])), fields);
  });

  it("endToEndFields takes away what concerns one connection", () => {
    const hop = ["Connection", "x-a, Cookie, HOST", "keep-alive", "1", "TE", "trailers", "Upgrade", "u"];
    const more = ["Transfer-Encoding", "chunked", "PROXY-CONNECTION", "close", "X-A", "1"];
    const rest = ["Host", "h", "Cookie", "c", "Content-Length", "1", "Authorization", "a", "Trailer", "T", "X-B", "2"];
    assert.deepEqual(endToEndFields([...hop, ...rest, ...more]), rest);
    assert.equal(endToEndFields(rest), rest);
  });

  it("endToEndFields ignores a nomination when the field tells who the visitor is", () => {
    const kept = [
      "X-Forwarded-For",
      "192.0.2.1",
      "X-Real-IP",
      "192.0.2.1",
      "X-Request-ID",
      "one",
      "Forwarded",
      "for=a",
    ];
    const nomination = ["Connection", "keep-alive, x-forwarded-for, X-Real-IP, x-request-id, forwarded"];
    assert.deepEqual(endToEndFields([...nomination, ...kept]), kept);
  });

  it("endToEndFields ignores a nomination when the field is Host, Content-Length, Authorization or Cookie", () => {
    const kept = ["Host", "h", "Content-Length", "1", "Authorization", "a", "Cookie", "c"];
    const nomination = ["Connection", "host,content-length,authorization,cookie,close,keep-alive"];
    assert.deepEqual(endToEndFields([...nomination, ...kept]), kept);
  });

  it("isHopByHop knows six names in any case and no others", () => {
    const names = ["connection", "Keep-Alive", "PROXY-CONNECTION", "te", "Transfer-Encoding", "Upgrade"];
    assert.ok(names.every(isHopByHop));
    assert.ok(!["trailer", "ta", "upgrades", "user-agent", "", "content-encoding!"].some(isHopByHop));
  });

  it("trailerFields keeps what may stand behind the content", () => {
    const kept = ["Grpc-Status", "0", "Digest", "x", "Server-Timing", "y"];
    const dropped = ["Content-Length", "1", "TRAILER", "a", "Host", "b", "te", "c", "Cookie", "d", "Range", "e"];
    assert.deepEqual(trailerFields([...dropped, ...kept]), kept);
    assert.equal(trailerFields(kept), kept);
  });

  it("trailerFields drops what tells who the visitor is, and his request's id, in every spelling", () => {
    const dropped = [
      "X-Forwarded-For",
      "1",
      "x_forwarded_proto",
      "2",
      "Forwarded",
      "3",
      "X-Real-IP",
      "4",
      "CF_Connecting-IP",
      "5",
      "X-Request-ID",
      "6",
      "x_request_id",
      "7",
      ...clientAddressNames.flatMap((name) => [name, "8"]),
    ];
    assert.deepEqual(trailerFields([...dropped, "X-Sum", "9"]), ["X-Sum", "9"]);
  });

  it("isToken is true when each character is a tchar", () => {
    for (const token of ["a", "!#$%&'*+-.^_`|~09azAZ"]) assert.equal(isToken(token), true, token);
    for (const text of ["", "a b", "a:", "(a)", "\xe9", "\u0141", "a\n", "a/b", '"']) {
      assert.equal(isToken(text), false, text);
    }
  });

  it("isFieldValue is true when no character is a control but HTAB or above 0xFF", () => {
    for (const value of ["", "a b\tc", "\x80\xff", "~"]) assert.equal(isFieldValue(value), true, value);
    for (const value of ["a\nb", "a\rb", "\0", "\x7f", "\x1f", "\u0100", "\u{1f600}"]) {
      assert.equal(isFieldValue(value), false, value);
    }
  });

  it("isProtocol is true when there is one name with at most one version", () => {
    for (const protocol of ["websocket", "TLS/1.0"]) assert.equal(isProtocol(protocol), true, protocol);
    for (const text of ["", "a b", "a, b", "a/", "/1", "a/b/c"]) assert.equal(isProtocol(text), false, text);
  });
});

describe("authority", () => {
  it("splitAuthority takes host and port apart when they are valid", () => {
    assert.deepEqual(splitAuthority("A.example"), { host: "A.example", port: "" });
    assert.deepEqual(splitAuthority("a.example:8080"), { host: "a.example", port: "8080" });
    assert.deepEqual(splitAuthority("127.0.0.1:0"), { host: "127.0.0.1", port: "0" });
    assert.deepEqual(splitAuthority("a:"), { host: "a", port: "" });
    assert.deepEqual(splitAuthority("[::1]:65535"), { host: "[::1]", port: "65535" });
    assert.deepEqual(splitAuthority("[2001:db8::7]"), { host: "[2001:db8::7]", port: "" });
    assert.deepEqual(splitAuthority("my_host!$&'()*+,;=~"), { host: "my_host!$&'()*+,;=~", port: "" });
    assert.deepEqual(splitAuthority("%e2%82%AC.example"), { host: "%e2%82%AC.example", port: "" });
  });

  it("splitAuthority gives null when there is anything else", () => {
    for (
      const text of ["", ":80", "a b", "u@a", "a:1:2", "a:65536", "a:1x", "[::1", "[]", "[x]", "[::1]1", "a%4", "%"]
    ) {
      assert.equal(splitAuthority(text), null, text);
      assert.equal(isAuthority(text), false, text);
    }
  });

  it("sameAuthority leaves case and the default port of the scheme aside", () => {
    assert.equal(sameAuthority("A.example:80", "a.EXAMPLE", "http"), true);
    assert.equal(sameAuthority("a:443", "a:", "https"), true);
    assert.equal(sameAuthority("a:0080", "a", "http"), true);
    assert.equal(sameAuthority("a:80", "a", "https"), false);
    assert.equal(sameAuthority("a", "b", "http"), false);
    assert.equal(sameAuthority("a:1", "a:2", "http"), false);
    assert.equal(sameAuthority("a", "a b", "http"), false);
  });
});
