import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { HttpParseError } from "../../../src/http1/codec/errors.ts";
import { defaultLimits } from "../../../src/http1/codec/limits.ts";
import { type ParsedRequest, RequestParser } from "../../../src/http1/codec/request_parser.ts";
import { cutAt, cuts, nearTo, outcomeOf, readRequest, readRequests, toBytes, toText } from "./codec_support.ts";

const host = "Host: a.example\r\n";

/** A request with Host and the given lines. */
function get(lines: string, line = "GET / HTTP/1.1"): string {
  return `${line}\r\n${host}${lines}\r\n`;
}

/** What is expected of a head that is read; what a row leaves out is not looked at. */
type Expected = Partial<ParsedRequest>;

const valid: [why: string, text: string, expected: Expected][] = [
  ["the least request", get(""), {
    method: "GET",
    target: "/",
    version: "1.1",
    authority: "a.example",
    fields: [],
    framing: { kind: "none" },
    keepAlive: true,
    upgrade: undefined,
    acceptsTrailers: false,
  }],
  ["one empty line before it", `\r\n${get("")}`, { method: "GET" }],
  ["a method of any token", get("", "M-SEARCH! / HTTP/1.1"), { method: "M-SEARCH!" }],
  ["a method in lower case", get("", "get / HTTP/1.1"), { method: "get" }],
  ["a target that looks like another", get("", "GET /a/../b/./%2e%41//?x=1?y#z HTTP/1.1"), {
    target: "/a/../b/./%2e%41//?x=1?y#z",
  }],
  ["a target with a backslash and quotes", get("", 'GET /x\\y"<>{}|^` HTTP/1.1'), { target: '/x\\y"<>{}|^`' }],
  ["raw bytes in the target", get("", "GET /\xc3\xa9\xff HTTP/1.1"), { target: "/\xc3\xa9\xff" }],
  ["two slashes in front", get("", "GET //other.example/ HTTP/1.1"), { target: "//other.example/" }],
  ["OPTIONS *", get("", "OPTIONS * HTTP/1.1"), { target: "*" }],
  ["absolute-form", get("", "GET http://a.example/p?q HTTP/1.1"), { target: "/p?q", authority: "a.example" }],
  ["absolute-form in other letters", get("", "GET HTTP://A.Example:80/P HTTP/1.1"), { target: "/P" }],
  ["absolute-form with https and its port", get("", "GET https://a.example:443/ HTTP/1.1"), { target: "/" }],
  ["absolute-form with an empty port", get("", "GET http://a.example:/ HTTP/1.1"), { target: "/" }],
  ["absolute-form without a path", get("", "GET http://a.example HTTP/1.1"), { target: "/" }],
  ["absolute-form with a query alone", get("", "GET http://a.example?q HTTP/1.1"), { target: "/?q" }],
  ["absolute-form without a path for OPTIONS", get("", "OPTIONS http://a.example HTTP/1.1"), { target: "*" }],
  ["Host with its default port", "GET http://a.example/ HTTP/1.1\r\nHost: a.example:80\r\n\r\n", {
    authority: "a.example:80",
  }],
  ["Host as an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", { authority: "[::1]:8080" }],
  ["Host with a percent escape", "GET / HTTP/1.1\r\nHost: %61.example\r\n\r\n", { authority: "%61.example" }],
  ["Host in odd letters", "GET / HTTP/1.1\r\nhOST:A.Example \t\r\n\r\n", { authority: "A.Example", fields: [] }],
  ["HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", { version: "1.0", authority: "", keepAlive: false }],
  ["HTTP/1.0, absolute-form", "GET http://b.example/x HTTP/1.0\r\n\r\n", { target: "/x", authority: "b.example" }],
  ["HTTP/1.0 with keep-alive", get("Connection: Keep-Alive\r\n", "GET / HTTP/1.0"), { keepAlive: true }],
  ["HTTP/1.0 with an upgrade", get("Connection: upgrade\r\nUpgrade: x\r\n", "GET / HTTP/1.0"), { upgrade: undefined }],
  ["HTTP/1.0 with Expect", get("Expect: 100-continue\r\nContent-Length: 1\r\n", "PUT / HTTP/1.0"), {}],
  ["HTTP/1.0 with TE", get("TE: trailers\r\n", "GET / HTTP/1.0"), { acceptsTrailers: false }],
  ["fields in order, with case and repeats", get("B: 1\r\na: 2\r\nB: 3\r\n"), {
    fields: ["B", "1", "a", "2", "B", "3"],
  }],
  ["values with blanks around and inside", get("A:1\r\nB: \t 2 \t 3 \t\r\nC:\r\nD:   \r\n"), {
    fields: ["A", "1", "B", "2 \t 3", "C", "", "D", ""],
  }],
  ["a value with raw bytes", get("A: \x80\xe9\xff\r\n"), { fields: ["A", "\x80\xe9\xff"] }],
  ["a name of odd token characters", get("!#$%&'*+-.^_`|~9: x\r\n"), { fields: ["!#$%&'*+-.^_`|~9", "x"] }],
  ["Connection: close", get("Connection: close\r\n"), { keepAlive: false, fields: [] }],
  ["close among others", get("Connection: x , Close\r\nConnection: keep-alive\r\n"), { keepAlive: false }],
  ["hop-by-hop fields", get("Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nUpgrade: y\r\nA: 1\r\n"), {
    fields: ["A", "1"],
  }],
  ["nominated fields", get("X-One: 1\r\nA: 1\r\nConnection: x-one,,X-TWO\r\nX-Two: 2\r\n"), { fields: ["A", "1"] }],
  [
    "nominations that are ignored",
    get(
      "Connection: host, content-length, authorization, cookie\r\nContent-Length: 0\r\nAuthorization: a\r\nCookie: c\r\n",
    ),
    { authority: "a.example", fields: ["Content-Length", "0", "Authorization", "a", "Cookie", "c"] },
  ],
  ["a length", get("Content-Length: 12\r\n", "POST / HTTP/1.1"), {
    framing: { kind: "length", length: 12 },
    fields: ["Content-Length", "12"],
  }],
  ["the greatest length", get("Content-Length: 9007199254740991\r\n"), {
    framing: { kind: "length", length: 9007199254740991 },
  }],
  ["a length with zeros in front", get("content-length: 0010\r\n"), { framing: { kind: "length", length: 10 } }],
  ["chunks", get("Transfer-Encoding: chunked\r\n"), { framing: { kind: "chunked" }, fields: [] }],
  ["chunks in other letters", get("transfer-encoding:\tChunkeD \r\n"), { framing: { kind: "chunked" } }],
  ["Expect with a body", get("Expect: 100-Continue\r\nContent-Length: 1\r\n"), {
    fields: ["Expect", "100-Continue", "Content-Length", "1"],
  }],
  ["Expect without a body", get("Expect: 100-continue\r\n"), { fields: ["Expect", "100-continue"] }],
  ["an unknown expectation, which goes on", get("Expect: tea\r\nContent-Length: 1\r\n"), {
    fields: ["Expect", "tea", "Content-Length", "1"],
  }],
  ["an upgrade", get("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n"), {
    upgrade: "WebSocket",
    fields: ["Sec-WebSocket-Key", "k"],
  }],
  ["an upgrade with a version", get("Connection: upgrade\r\nUpgrade: TLS/1.0\r\n"), { upgrade: "TLS/1.0" }],
  ["an upgrade and a length of 0", get("Connection: upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n"), {
    upgrade: "tcp",
  }],
  ["an upgrade that Connection does not list", get("Upgrade: websocket\r\n"), { upgrade: undefined }],
  ["an upgrade to h2c", get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: A\r\n"), {
    upgrade: undefined,
    fields: [],
  }],
  ["an upgrade to one of several", get("Connection: upgrade\r\nUpgrade: TLS/1.2 , x\r\n"), { upgrade: "TLS/1.2,x" }],
  ["two Upgrade fields", get("Connection: upgrade\r\nUpgrade: x\r\nUpgrade: y\r\n"), { upgrade: "x,y" }],
  ["h2c among others", get("Upgrade: h2c, x\r\nHTTP2-Settings: A\r\nConnection: Upgrade, HTTP2-Settings\r\n"), {
    upgrade: "x",
    fields: [],
  }],
  ["HTTP2-Settings that Connection does not list", get("HTTP2-Settings: A\r\nA: 1\r\n"), { fields: ["A", "1"] }],
  ["a malformed protocol among others", get("Connection: upgrade\r\nUpgrade: x, y z\r\n"), { upgrade: undefined }],
  ["an upgrade with a body", get("Connection: upgrade\r\nUpgrade: tcp\r\nContent-Length: 3\r\n"), {
    upgrade: "tcp",
    framing: { kind: "length", length: 3 },
    fields: ["Content-Length", "3"],
  }],
  ["an upgrade with chunks", get("Connection: upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n"), {
    upgrade: undefined,
    framing: { kind: "chunked" },
  }],
  ["TE: trailers", get("TE: deflate;q=0.5, Trailers\r\nConnection: TE\r\n"), { acceptsTrailers: true, fields: [] }],
  ["a field name like a prototype's", get("__proto__: 1\r\nconstructor: 2\r\nConnection: __proto__\r\n"), {
    fields: ["constructor", "2"],
  }],
];

const hostile: [why: string, text: string, status: number, reason: RegExp][] = [
  ["a bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, /bare LF ends the start line/],
  ["a bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400, /bare LF ends a field's value/],
  ["a bare LF as the last line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, /bare LF ends a field's name/],
  ["a bare CR in the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400, /CR is followed by "H"/],
  ["a bare CR in a value", get("A: b\rc\r\n"), 400, /CR is followed by "c"/],
  ["two CRs", get("A: b\r\r\n"), 400, /CR is followed by 0x0d/],
  ["a bare CR at the end", `GET / HTTP/1.1\r\n${host}\rX`, 400, /CR is followed by "X"/],
  ["two empty lines before", `\r\n\r\n${get("")}`, 400, /request line ""/],
  ["a bare LF before", `\n${get("")}`, 400, /bare LF/],
  ["a bare CR before", `\r${get("")}`, 400, /bare CR stands before/],
  ["a folded line", get("A: b\r\n c\r\n"), 400, /begins with white space/],
  ["a folded line with a tab", get("A: b\r\n\tc\r\n"), 400, /begins with white space/],
  ["white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, /begins with white space/],
  ["a space before the colon", get("Foo : b\r\n"), 400, /White space follows the field name "Foo"/],
  ["a tab before the colon", get("Content-Length\t: 3\r\n"), 400, /White space follows/],
  ["an empty field name", get(": b\r\n"), 400, /":" stands in a field's name/],
  ["a field without a colon", get("Foo\r\n"), 400, /0x0d stands in a field's name/],
  ["a field name with a separator", get("Foo(bar): b\r\n"), 400, /"\(" stands in a field's name/],
  ["a field name with a raw byte", get("F\xe9: b\r\n"), 400, /0xe9 stands in a field's name/],
  ["NUL in a value", get("A: b\0c\r\n"), 400, /0x00 stands in a field's value/],
  ["a control character in a value", get("A: b\x1bc\r\n"), 400, /0x1b stands/],
  ["DEL in a value", get("A: \x7f\r\n"), 400, /0x7f stands/],
  ["NUL in a field name", get("A\0: b\r\n"), 400, /0x00 stands/],
  ["NUL in the target", get("", "GET /\0 HTTP/1.1"), 400, /0x00 stands in the start line/],
  ["DEL in the target", get("", "GET /\x7f HTTP/1.1"), 400, /0x7f stands/],
  ["a tab in the target", get("", "GET /\tx HTTP/1.1"), 400, /tab stands in the request target/],
  ["a space in the target", get("", "GET /a b HTTP/1.1"), 400, /request line/],
  ["two spaces before the target", get("", "GET  / HTTP/1.1"), 400, /request line/],
  ["two spaces behind the target", get("", "GET /  HTTP/1.1"), 400, /request line/],
  ["a space in front", get("", " GET / HTTP/1.1"), 400, /request line/],
  ["a space behind the version", get("", "GET / HTTP/1.1 "), 400, /request line/],
  ["no target", get("", "GET HTTP/1.1"), 400, /request line/],
  ["no version (HTTP/0.9)", "GET /\r\n", 400, /request line/],
  ["a method that is no token", get("", "G@T / HTTP/1.1"), 400, /request line/],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00", 400, /0x16 stands in the start line/],
  ["a version in lower case", get("", "GET / http/1.1"), 400, /request line/],
  ["a version of two digits", get("", "GET / HTTP/1.10"), 400, /request line/],
  ["HTTP/2 in clear text", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, /HTTP\/2.0/],
  ["HTTP/1.2", get("", "GET / HTTP/1.2"), 505, /HTTP\/1.2/],
  ["HTTP/0.9 by name", get("", "GET / HTTP/0.9"), 505, /HTTP\/0.9/],
  ["CONNECT", get("", "CONNECT a.example:443 HTTP/1.1"), 405, /CONNECT/],
  ["TRACE", get("", "TRACE / HTTP/1.1"), 501, /TRACE/],
  ["connect in lower case", get("", "connect a.example:443 HTTP/1.1"), 405, /connect/],
  ["Connect in letters of both cases", get("", "Connect / HTTP/1.1"), 405, /Connect/],
  ["trace in lower case", get("", "trace / HTTP/1.1"), 501, /trace/],
  ["tRACE in letters of both cases", get("", "tRACE / HTTP/1.1"), 501, /tRACE/],
  ["a target without a slash", get("", "GET index.html HTTP/1.1"), 400, /in no form/],
  ["* with GET", get("", "GET * HTTP/1.1"), 400, /in no form/],
  ["a target in authority-form", get("", "GET a.example:80 HTTP/1.1"), 400, /in no form/],
  ["another scheme", get("", "GET ftp://a.example/ HTTP/1.1"), 400, /in no form/],
  ["absolute-form without a host", get("", "GET http:///x HTTP/1.1"), 400, /in no form/],
  ["absolute-form with userinfo", get("", "GET http://u@a.example/ HTTP/1.1"), 400, /in no form/],
  ["absolute-form with a fragment alone", get("", "GET http://a.example#x HTTP/1.1"), 400, /in no form/],
  ["absolute-form for another host", get("", "GET http://b.example/ HTTP/1.1"), 400, /names "b.example"/],
  ["absolute-form for another port", get("", "GET http://a.example:8080/ HTTP/1.1"), 400, /names "a.example:8080"/],
  ["absolute-form with the other default port", get("", "GET https://a.example:80/ HTTP/1.1"), 400, /names/],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400, /no Host/],
  ["no Host with absolute-form", "GET http://a.example/ HTTP/1.1\r\n\r\n", 400, /no Host/],
  ["two Hosts", get(host), 400, /more than one Host/],
  ["two Hosts on HTTP/1.0", get(host, "GET / HTTP/1.0"), 400, /more than one Host/],
  ...[
    ...["", "a b", "a,b c", "u@a.example", "a/b", "a?b", "a#b", "a:b", "a:65536", "a:080808", "a:-1", ":80"],
    ...["[::1", "[]", "[g::1]", "[::1]x", "[fe80::1%25eth0]", "::1", "a%2", "a%zz", "\xe9.example", "a\\b"],
    "a".repeat(260),
  ].map((value): [string, string, number, RegExp] => [
    `the Host ${JSON.stringify(value.slice(0, 20))}`,
    `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`,
    400,
    /The Host .* is not valid/,
  ]),
  ["both lengths", get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400, /Both/],
  ["both lengths the other way", get("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400, /Both/],
  ["chunks on HTTP/1.0", get("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0"), 400, /HTTP\/1.0/],
  ...["gzip, chunked", "gzip", "identity", "", "chunked, chunked", "chunked;x=1", "xchunked", "chunked,", "\x0bchunked"]
    .map((value): [string, string, number, RegExp] => [
      `the Transfer-Encoding ${JSON.stringify(value)}`,
      get(`Transfer-Encoding: ${value}\r\n`),
      400,
      /Transfer-Encoding is|0x0b/,
    ]),
  [
    "two Transfer-Encodings",
    get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    400,
    /"chunked, chunked"/,
  ],
  ["an empty and a chunked one", get("Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n"), 400, /", chunked"/],
  ...["+3", "-3", "3 3", "0x3", "3,3", "3, 3", "3.0", "", "three", "9007199254740992", "99999999999999999999", "\xb2"]
    .map((value): [string, string, number, RegExp] => [
      `the Content-Length ${JSON.stringify(value)}`,
      get(`Content-Length: ${value}\r\n`),
      400,
      /The Content-Length .* is not one number/,
    ]),
  ["two Content-Lengths", get("Content-Length: 3\r\nContent-Length: 4\r\n"), 400, /more than one Content-Length/],
  [
    "the same Content-Length twice",
    get("Content-Length: 3\r\ncontent-length: 3\r\n"),
    400,
    /more than one Content-Length/,
  ],
];

describe("RequestParser", () => {
  for (const [why, text, expected] of valid) {
    it(`RequestParser reads ${why}`, () => {
      const { request, rest } = readRequest(`${text}rest`);
      assert.ok(request);
      for (const key of Object.keys(expected) as (keyof ParsedRequest)[]) {
        assert.deepEqual(request[key], expected[key], key);
      }
      assert.equal(rest, "rest");
    });
  }

  for (const [why, text, status, reason] of hostile) {
    it(`RequestParser refuses with ${status} when there is ${why}`, () => {
      assert.throws(() => readRequest(text), (error) => {
        assert.ok(error instanceof HttpParseError, String(error));
        assert.equal(error.status, status, error.reason);
        assert.match(error.reason, reason);
        assert.equal(error.initiator, "remote");
        return true;
      });
    });
  }

  it("RequestParser refuses what is tolerated of answers", () => {
    const lines = [
      ..."chunked, chunked|identity|identity, chunked|chunked,|chunked, identity".split("|")
        .map((coding) => `Transfer-Encoding: ${coding}\r\n`),
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
      "Transfer-Encoding: identity\r\nContent-Length: 0\r\n",
      "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
      "Content-Length: 3, 3\r\n",
      "Content-Length: 3\r\nContent-Length: 3\r\n",
      "A: 1\n",
      "A: 1\r\n\n",
    ];
    for (const text of lines) assert.throws(() => readRequest(get(text)), { status: 400 }, text);
    const chunks = "Transfer-Encoding: chunked\r\n";
    assert.throws(() => readRequest(get(chunks, "POST / HTTP/1.0")), { status: 400 });
    assert.throws(() => readRequest(`GET / HTTP/1.1\n${host}\r\n`), { status: 400 });
    assert.throws(() => readRequest(get("").replaceAll("\r\n", "\n")), { status: 400 });
  });

  it("RequestParser names each status with a stable code when it refuses", () => {
    const codes = [400, 405, 414, 431, 501, 502, 505].map((status) => new HttpParseError(status as 400, "").code);
    assert.deepEqual(codes, [
      "bad_request",
      "method_not_allowed",
      "uri_too_long",
      "head_too_large",
      "not_implemented",
      "upstream_invalid",
      "version_not_supported",
    ]);
  });

  it("RequestParser shows no more than a line of what it refuses when that is long", () => {
    const outcome = outcomeOf(() => readRequest(get("", `GET ${"x".repeat(5000)} HTTP/1.1`)));
    assert.ok("reason" in outcome && outcome.reason.length < 160);
  });
});

describe("RequestParser limits", () => {
  const limits = { ...defaultLimits, requestLineBytes: 64, headBytes: 256, fieldCount: 3 };

  it("RequestParser reads a request line when it has just the limit's length", () => {
    const line = `GET /${"x".repeat(64 - 16)} HTTP/1.1`;
    assert.equal(`${line}\r\n`.length, 64);
    assert.ok(readRequest(get("", line), limits).request);
  });

  it("RequestParser refuses with 414 when the request line is one byte longer", () => {
    const outcome = outcomeOf(() => readRequest(get("", `GET /${"x".repeat(64 - 15)} HTTP/1.1`), limits));
    assert.deepEqual(outcome, { status: 414, code: "uri_too_long", reason: "The start line is longer than 64 bytes" });
  });

  it("RequestParser refuses with 414 when the line is too long and has not ended", () => {
    const parser = new RequestParser(limits);
    assert.equal(parser.push(toBytes("GET /")), null);
    assert.throws(() => parser.push(toBytes("x".repeat(64))), { status: 414 });
  });

  it("RequestParser reads a head when it has just the limit's length", () => {
    const without = get("A: \r\n").length;
    assert.ok(readRequest(get(`A: ${"x".repeat(256 - without)}\r\n`), limits).request);
    const outcome = outcomeOf(() => readRequest(get(`A: ${"x".repeat(257 - without)}\r\n`), limits));
    assert.deepEqual(outcome, { status: 431, code: "head_too_large", reason: "The header is longer than 256 bytes" });
  });

  it("RequestParser refuses with 431 when the head is too long and has not ended", () => {
    const parser = new RequestParser(limits);
    assert.equal(parser.push(toBytes(`GET / HTTP/1.1\r\n${host}A: `)), null);
    assert.throws(() => {
      for (let i = 0; i < 256; i++) assert.equal(parser.push(toBytes("x")), null);
    }, { status: 431 });
  });

  it("RequestParser refuses with 431 when there is one field too many", () => {
    assert.ok(readRequest(get("A: 1\r\nB: 2\r\n"), limits).request);
    const outcome = outcomeOf(() => readRequest(get("A: 1\r\nB: 2\r\nC"), limits));
    assert.deepEqual(outcome, {
      status: 431,
      code: "head_too_large",
      reason: "There are more than 3 header fields",
    });
  });

  it("RequestParser applies the default limits when none are given", () => {
    const many = (count: number) => get("A: 1\r\n".repeat(count - 1));
    assert.ok(readRequest(many(256)).request);
    assert.throws(() => readRequest(many(257)), { status: 431 });
    assert.ok(readRequest(get("", `GET /${"x".repeat(8_192 - 16)} HTTP/1.1`)).request);
    assert.throws(() => readRequest(get("", `GET /${"x".repeat(8_192)}`)), { status: 414 });
    const blank = get("A: \r\n").length;
    assert.ok(readRequest(get(`A: ${"x".repeat(65_536 - blank)}\r\n`)).request);
    assert.throws(() => readRequest(get(`A: ${"x".repeat(65_537 - blank)}\r\n`)), { status: 431 });
  });
});

describe("RequestParser over time", () => {
  it("RequestParser is started from a head's first byte to its last", () => {
    const parser = new RequestParser();
    const states: boolean[] = [];
    for (const chunk of ["", "\r", "\n", "G", "ET / HTTP/1.1\r\n", host, "\r\n", "G"]) {
      parser.push(toBytes(chunk));
      states.push(parser.hasStarted);
    }
    assert.deepEqual(states, [false, false, false, true, true, true, false, true]);
  });

  it("RequestParser gives the bytes behind a head without copying them", () => {
    const chunk = toBytes(`${get("Content-Length: 4\r\n")}body`);
    const parser = new RequestParser();
    parser.push(chunk);
    const rest = parser.takeRest();
    assert.equal(toText(rest), "body");
    assert.equal(rest.buffer, chunk.buffer);
    assert.equal(parser.takeRest().length, 0, "they are given once");
  });

  it("RequestParser forgets the rest when the next push comes", () => {
    const parser = new RequestParser();
    parser.push(toBytes(`${get("")}rest`));
    parser.push(new Uint8Array(0));
    assert.equal(parser.takeRest().length, 0);
  });

  it("RequestParser reads pipelined requests in order, an empty line between them skipped", () => {
    const stream = [
      "\r\n" + get("", "GET /1 HTTP/1.1"),
      get("Content-Length: 3\r\n", "POST /2 HTTP/1.1") + "abc\r\n",
      get("Transfer-Encoding: chunked\r\n", "POST /3 HTTP/1.1") + "2\r\nde\r\n0\r\nT: 1\r\n\r\n",
      get("", "GET /4 HTTP/1.1") + "GET",
    ].join("");
    const { messages, open } = readRequests([toBytes(stream)]);
    assert.deepEqual(messages.map(({ head, body, trailers }) => [head.target, body, ...trailers]), [
      ["/1", ""],
      ["/2", "abc"],
      ["/3", "de", "T", "1"],
      ["/4", ""],
    ]);
    assert.equal(open, "head");
  });
});

describe("RequestParser on any input", () => {
  const table = [...valid.map((row) => row[1]), ...hostile.map((row) => row[1])];

  it("RequestParser gives the same when a head comes byte by byte", () => {
    for (const text of table) {
      const bytes = toBytes(`${text}rest`);
      const whole = outcomeOf(() => readRequests([bytes]));
      const single = outcomeOf(() => readRequests(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))));
      assert.deepEqual(single, whole, text);
    }
  });

  it("RequestParser gives the same when pipelined input is split anywhere", () => {
    const message = fc.constantFrom(
      ...table,
      get("Content-Length: 5\r\n") + "hello",
      get("Transfer-Encoding: chunked\r\n") + "5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), cuts, (messages, offsets) => {
        const bytes = toBytes(messages.join(""));
        assert.deepEqual(
          outcomeOf(() => readRequests(cutAt(bytes, offsets))),
          outcomeOf(() => readRequests([bytes])),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("RequestParser gives the same when limits are met in pieces", () => {
    const limits = { ...defaultLimits, requestLineBytes: 64, headBytes: 128, fieldCount: 3 };
    const lengths = fc.tuple(fc.nat(64), fc.nat(64), fc.nat(4));
    fc.assert(
      fc.property(lengths, cuts, ([target, value, fields], offsets) => {
        const lines = `A: ${"v".repeat(value)}\r\n` + "B:\r\n".repeat(fields);
        const bytes = toBytes(get(lines, `GET /${"x".repeat(target)} HTTP/1.1`));
        assert.deepEqual(
          outcomeOf(() => readRequests(cutAt(bytes, offsets), limits)),
          outcomeOf(() => readRequests([bytes], limits)),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("RequestParser gives a head, wants more or throws HttpParseError when bytes are random", () => {
    const noise: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 200 });
    const input = fc.oneof(noise, nearTo(table));
    fc.assert(fc.property(input, (bytes) => void outcomeOf(() => readRequests([bytes]))), { numRuns: 2_000 });
  });
});
