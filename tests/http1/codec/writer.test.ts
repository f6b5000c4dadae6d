import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { HttpWriteError } from "../../../src/http1/codec/errors.ts";
import type { Framing } from "../../../src/http1/codec/framing.ts";
import { ResponseParser } from "../../../src/http1/codec/response_parser.ts";
import { RequestParser } from "../../../src/http1/codec/request_parser.ts";
import {
  chunkHeader,
  encodeRequestHead,
  encodeResponseHead,
  lastChunk,
  type RequestHeadInit,
  type ResponseHeadInit,
} from "../../../src/http1/codec/writer.ts";
import { reasonPhrase } from "../../../src/http/reason_phrases.ts";
import { toBytes, toText } from "./codec_support.ts";

const none: Framing = { kind: "none" };
const chunked: Framing = { kind: "chunked" };
const close: Framing = { kind: "close" };
const length = (length: number): Framing => ({ kind: "length", length });

function request(init: Partial<RequestHeadInit>, body?: Uint8Array): string {
  const head = { method: "GET", target: "/", authority: "a", fields: [], framing: none, ...init };
  return toText(encodeRequestHead(head, body));
}

function answer(init: Partial<ResponseHeadInit>, body?: Uint8Array): string {
  return toText(encodeResponseHead({ status: 200, fields: [], framing: none, ...init }, body));
}

function refuses(write: () => unknown, reason: RegExp): void {
  assert.throws(write, (error) => {
    assert.ok(error instanceof HttpWriteError, String(error));
    assert.equal(error.code, "invalid_head");
    assert.match(error.reason, reason);
    return true;
  });
}

const start = "GET / HTTP/1.1\r\nHost: a\r\n";

describe("encodeRequestHead", () => {
  const rows: [why: string, init: Partial<RequestHeadInit>, text: string][] = [
    ["the least request", {}, `${start}\r\n`],
    ["an empty authority", { authority: "" }, "GET / HTTP/1.1\r\nHost: \r\n\r\n"],
    [
      "raw bytes",
      { target: "/\xff\xe9", fields: ["A", "\x80"] },
      "GET /\xff\xe9 HTTP/1.1\r\nHost: a\r\nA: \x80\r\n\r\n",
    ],
    ["fields in order, with repeats", { fields: ["B", "1", "a", "", "B", "2"] }, `${start}B: 1\r\na: \r\nB: 2\r\n\r\n`],
    [
      "fields of another hop",
      { fields: ["Host", "x", "Connection", "x", "TE", "x", "Transfer-Encoding", "chunked", "upgrade", "x", "A", "1"] },
      `${start}A: 1\r\n\r\n`,
    ],
    ["a length", { framing: length(3) }, `${start}Content-Length: 3\r\n\r\n`],
    ["a length of 0", { framing: length(0) }, `${start}Content-Length: 0\r\n\r\n`],
    [
      "a length that is there",
      { framing: length(3), fields: ["content-length", "3", "A", "1"] },
      `${start}content-length: 3\r\nA: 1\r\n\r\n`,
    ],
    [
      "the same length twice",
      { framing: length(3), fields: ["Content-Length", "3", "Content-Length", "3"] },
      `${start}Content-Length: 3\r\n\r\n`,
    ],
    [
      "chunks in place of a length",
      { framing: chunked, fields: ["Content-Length", "3"] },
      `${start}Transfer-Encoding: chunked\r\n\r\n`,
    ],
    ["an upgrade", { upgrade: "websocket" }, `${start}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`],
    ["an upgrade to several", { upgrade: "TLS/1.2,x" }, `${start}Upgrade: TLS/1.2, x\r\nConnection: Upgrade\r\n\r\n`],
    [
      "an upgrade with a body",
      { upgrade: "tcp", framing: length(3) },
      `${start}Content-Length: 3\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n`,
    ],
    ["a last request", { keepAlive: false }, `${start}Connection: close\r\n\r\n`],
    [
      "all that Connection lists",
      { keepAlive: false, upgrade: "TLS/1.0", acceptsTrailers: true },
      `${start}Upgrade: TLS/1.0\r\nTE: trailers\r\nConnection: close, Upgrade, TE\r\n\r\n`,
    ],
  ];
  for (const [why, init, text] of rows) {
    it(`encodeRequestHead writes ${why}`, () => assert.equal(request(init), text));
  }

  it("encodeRequestHead writes a small body behind the head when it is given one", () => {
    assert.equal(request({ framing: length(2) }, toBytes("ok")), `${start}Content-Length: 2\r\n\r\nok`);
  });

  const wrong: [why: string, init: Partial<RequestHeadInit>, reason: RegExp][] = [
    ["a method that is no token", { method: "G T" }, /method "G T"/],
    ["an empty method", { method: "" }, /method ""/],
    ["an empty target", { target: "" }, /request target ""/],
    ["a target with a space", { target: "/a b" }, /request target/],
    ["a target with a line break", { target: "/\r\nA: 1" }, /request target/],
    ["a target above 0xFF", { target: "/\u0141" }, /request target/],
    ["an authority with a line break", { authority: "a\r\nB: 1" }, /Host/],
    ["a name that is no token", { fields: ["A B", "1"] }, /field name "A B"/],
    ["a name with a colon", { fields: ["A:", "1"] }, /field name/],
    ["an empty name", { fields: ["", "1"] }, /field name ""/],
    ["a value with CR LF", { fields: ["A", "1\r\nB: 2"] }, /of the field A/],
    ["a value with NUL", { fields: ["A", "\0"] }, /of the field A/],
    ["a value above 0xFF", { fields: ["A", "\u20ac"] }, /of the field A/],
    ["a value above 0xFF whose low byte is LF", { fields: ["A", "\u010a"] }, /of the field A/],
    ["a name without a value", { fields: ["A"] }, /no value/],
    ["another length", { framing: length(3), fields: ["Content-Length", "4"] }, /is 4 where the body has 3/],
    ["two lengths", { framing: length(3), fields: ["Content-Length", "3", "content-length", "4"] }, /is 4 where/],
    ["a length without a body", { fields: ["Content-Length", "4"] }, /is 4 where the body has 0/],
    ["a length that is none", { framing: length(3), fields: ["Content-Length", "+3"] }, /no number/],
    ["a body until the close", { framing: close }, /cannot end with its connection/],
    ["an upgrade to a malformed one", { upgrade: "a,b c" }, /no list of protocols/],
    ["an upgrade with a line break", { upgrade: "a,b\r\nB: 1" }, /no list of protocols/],
    ["an upgrade to nothing", { upgrade: "" }, /no list of protocols/],
  ];
  for (const [why, init, reason] of wrong) {
    it(`encodeRequestHead refuses ${why}`, () => refuses(() => request(init), reason));
  }

  it("encodeRequestHead refuses a body when its length is not the framing's", () => {
    refuses(() => request({ framing: length(3) }, toBytes("ok")), /body of 2 bytes/);
    refuses(() => request({ framing: chunked }, toBytes("ok")), /body of 2 bytes/);
  });

  it("encodeRequestHead writes the next head whole when one was refused halfway", () => {
    const before = encodeRequestHead({ method: "GET", target: "/1", authority: "a", fields: [], framing: none });
    refuses(() => request({ target: "/2", fields: ["A", "1", "B", "\n"] }), /field B/);
    assert.equal(request({ target: "/3" }), "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.equal(toText(before), "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  });
});

describe("encodeResponseHead", () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const rows: [why: string, init: Partial<ResponseHeadInit>, text: string][] = [
    ["the least answer", {}, `${ok}\r\n`],
    ["a status without a phrase", { status: 299 }, "HTTP/1.1 299 \r\n\r\n"],
    ["a length", { framing: length(3) }, `${ok}Content-Length: 3\r\n\r\n`],
    [
      "a length in its place",
      { framing: length(3), fields: ["A", "1", "Content-Length", "3", "B", "2"] },
      `${ok}A: 1\r\nContent-Length: 3\r\nB: 2\r\n\r\n`,
    ],
    ["chunks", { framing: chunked, fields: ["Content-Length", "3"] }, `${ok}Transfer-Encoding: chunked\r\n\r\n`],
    ["the length of another answer (HEAD)", { fields: ["Content-Length", "3"] }, `${ok}Content-Length: 3\r\n\r\n`],
    [
      "a 304 with a length",
      { status: 304, fields: ["Content-Length", "3"] },
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
    ],
    ["a 204 without one", { status: 204, fields: ["Content-Length", "0"] }, "HTTP/1.1 204 No Content\r\n\r\n"],
    ["an interim answer", {
      status: 103,
      fields: ["Link", "x", "Content-Length", "0"],
      keepAlive: false,
      version: "1.0",
    }, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"],
    ["a last answer", { framing: length(0), keepAlive: false }, `${ok}Content-Length: 0\r\nConnection: close\r\n\r\n`],
    [
      "keep-alive for HTTP/1.0",
      { framing: length(0), version: "1.0" },
      `${ok}Content-Length: 0\r\nConnection: keep-alive\r\n\r\n`,
    ],
    [
      "a body until the close",
      { framing: close, version: "1.0", fields: ["Content-Length", "9"] },
      `${ok}Connection: close\r\n\r\n`,
    ],
    [
      "an upgrade",
      { status: 101, upgrade: "websocket", fields: ["Sec-A", "1"] },
      "HTTP/1.1 101 Switching Protocols\r\nSec-A: 1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
    ["another reason phrase", { status: 413, reason: "Payload Too Large" }, "HTTP/1.1 413 Payload Too Large\r\n\r\n"],
    ["a reason phrase of any bytes", { reason: " N\xe9\t! " }, "HTTP/1.1 200  N\xe9\t! \r\n\r\n"],
    ["an empty reason phrase", { reason: "" }, "HTTP/1.1 200 \r\n\r\n"],
    [
      "a reason phrase longer than what is kept free",
      { reason: "x".repeat(8_000) },
      `HTTP/1.1 200 ${"x".repeat(8_000)}\r\n\r\n`,
    ],
    [
      "a 101 with another reason phrase",
      { status: 101, upgrade: "a", reason: "Go" },
      "HTTP/1.1 101 Go\r\nUpgrade: a\r\nConnection: Upgrade\r\n\r\n",
    ],
    [
      "what a 426 asks for",
      { status: 426, upgrade: "TLS/1.0, HTTP/2.0", framing: length(0), keepAlive: false },
      "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: TLS/1.0, HTTP/2.0\r\n" +
      "Connection: close, Upgrade\r\n\r\n",
    ],
    ["a 426 that asks for nothing", { status: 426 }, "HTTP/1.1 426 Upgrade Required\r\n\r\n"],
    ["fields of another hop", { fields: ["Connection", "x", "Keep-Alive", "5", "Host", "h"] }, `${ok}Host: h\r\n\r\n`],
    ["no Date of its own, and that of the upstream", { fields: ["Date", "x"] }, `${ok}Date: x\r\n\r\n`],
  ];
  for (const [why, init, text] of rows) {
    it(`encodeResponseHead writes ${why}`, () => assert.equal(answer(init), text));
  }

  it("encodeResponseHead writes a small body behind the head when it is given one", () => {
    assert.equal(answer({ framing: length(2) }, toBytes("ok")), `${ok}Content-Length: 2\r\n\r\nok`);
  });

  const wrong: [why: string, init: Partial<ResponseHeadInit>, reason: RegExp][] = [
    ["a status under 100", { status: 99 }, /status 99/],
    ["a status of four digits", { status: 1000 }, /status 1000/],
    ["a status that is no integer", { status: 200.5 }, /status 200.5/],
    ["a 204 with a length", { status: 204, framing: length(0) }, /status 204 has no body/],
    ["a 304 with chunks", { status: 304, framing: chunked }, /status 304 has no body/],
    ["an interim answer with a body", { status: 103, framing: chunked }, /status 103 has no body/],
    ["chunks for HTTP/1.0", { framing: chunked, version: "1.0" }, /HTTP\/1.0 knows no chunks/],
    ["a 101 without an upgrade", { status: 101 }, /needs an upgrade/],
    ["an upgrade with another status", { upgrade: "x" }, /upgrades nothing/],
    ["a 101 to several", { status: 101, upgrade: "a,b" }, /no single protocol/],
    ["a 426 that asks for no protocol", { status: 426, upgrade: "a b" }, /no list of protocols/],
    ["a 426 with a line break", { status: 426, upgrade: "a\r\nB: 1" }, /no list of protocols/],
    ["a reason phrase with a line break", { reason: "OK\r\nA: 1" }, /reason phrase/],
    ["a reason phrase with NUL", { reason: "O\0K" }, /reason phrase/],
    ["a reason phrase above 0xFF", { reason: "\u20ac" }, /reason phrase/],
    ["a value with a line break", { fields: ["A", "x\ny"] }, /field A/],
    ["another length", { framing: length(1), fields: ["Content-Length", "2"] }, /is 2 where the body has 1/],
    ["a length that is none to HEAD", { fields: ["Content-Length", "x"] }, /no number/],
  ];
  for (const [why, init, reason] of wrong) {
    it(`encodeResponseHead refuses ${why}`, () => refuses(() => answer(init), reason));
  }

  it("encodeResponseHead keeps heads apart when many are cut from one block", () => {
    const heads = Array.from({ length: 300 }, (_, i) =>
      encodeResponseHead({
        status: 200,
        fields: ["X", String(i).repeat(i)],
        framing: none,
      }));
    heads.forEach((head, i) => assert.equal(toText(head), `${ok}X: ${String(i).repeat(i)}\r\n\r\n`));
  });
});

describe("chunk framing", () => {
  it("chunkHeader writes the size in hexadecimal", () => {
    assert.deepEqual([1, 15, 16, 65_536, 2 ** 53 - 1].map((size) => toText(chunkHeader(size))), [
      "1\r\n",
      "f\r\n",
      "10\r\n",
      "10000\r\n",
      "1fffffffffffff\r\n",
    ]);
  });

  it("chunkHeader refuses a size when it would end the body or is no size", () => {
    for (const size of [0, -1, 1.5, NaN, 2 ** 53]) refuses(() => chunkHeader(size), /A chunk cannot have/);
  });

  it("lastChunk writes the trailers that may stand there", () => {
    assert.equal(toText(lastChunk()), "0\r\n\r\n");
    assert.equal(toText(lastChunk(["A", "1", "Content-Length", "5", "B", ""])), "0\r\nA: 1\r\nB: \r\n\r\n");
    assert.equal(toText(lastChunk(["Host", "x"])), "0\r\n\r\n");
    refuses(() => lastChunk(["A", "\r"]), /field A/);
    refuses(() => lastChunk(["A"]), /no value/);
  });

  it("reasonPhrase knows the registered statuses and no others", () => {
    assert.deepEqual([200, 103, 431, 599].map(reasonPhrase), [
      "OK",
      "Early Hints",
      "Request Header Fields Too Large",
      "",
    ]);
  });
});

describe("heads written and read back", () => {
  const token = fc.string({ unit: fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~"), minLength: 1, maxLength: 12 });
  const visible = fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f).map((c) =>
    String.fromCharCode(c)
  );
  const word = fc.string({ unit: visible, maxLength: 20 });
  const value = fc.array(word, { maxLength: 3 }).map((words) => words.join(" \t").trim());
  const own = /^(connection|keep-alive|proxy-connection|te|upgrade|host|expect|transfer-encoding|content-length)$/i;
  const fields = fc.array(fc.tuple(token.filter((name) => !own.test(name)), value), { maxLength: 20 })
    .map((pairs) => pairs.flat());
  const framing = fc.constantFrom<Framing>(none, chunked, length(0), length(77));

  it("RequestParser reads the same request when encodeRequestHead wrote it", () => {
    const init = fc.record({ method: token, target: word.map((text) => `/${text}`), fields, framing });
    fc.assert(
      fc.property(init, fc.boolean(), fc.boolean(), (init, keepAlive, acceptsTrailers) => {
        const wire = encodeRequestHead({ ...init, authority: "a:1", keepAlive, acceptsTrailers });
        const parsed = new RequestParser().push(wire);
        const lengths = init.framing.kind === "length" ? ["Content-Length", String(init.framing.length)] : [];
        assert.deepEqual(parsed, {
          method: init.method,
          target: init.target,
          version: "1.1",
          authority: "a:1",
          fields: [...init.fields, ...lengths],
          framing: init.framing,
          keepAlive,
          upgrade: undefined,
          acceptsTrailers,
        });
      }),
      { numRuns: 500 },
    );
  });

  it("ResponseParser reads the same answer when encodeResponseHead wrote it", () => {
    const status = fc.integer({ min: 200, max: 999 }).filter((status) => status !== 204 && status !== 304);
    const responseFraming = fc.constantFrom<Framing>(chunked, close, length(0), length(77));
    fc.assert(
      fc.property(status, fields, responseFraming, (status, fields, framing) => {
        const parsed = new ResponseParser().push(encodeResponseHead({ status, fields, framing }), "GET");
        const lengths = framing.kind === "length" ? ["Content-Length", String(framing.length)] : [];
        assert.deepEqual(parsed, {
          status,
          version: "1.1",
          reason: undefined,
          fields: [...fields, ...lengths],
          framing,
          keepAlive: framing.kind !== "close",
          keepAliveSeconds: -1,
          upgrade: undefined,
          isConnectionAuth: false,
        });
      }),
      { numRuns: 500 },
    );
  });

  it("encodeRequestHead writes one head or throws HttpWriteError when its input is random", () => {
    const text = fc.string({ unit: "binary", maxLength: 8 });
    const loose = fc.array(fc.oneof(text, token, value), { maxLength: 6 });
    fc.assert(
      fc.property(loose, text, text, (fields, target, authority) => {
        let wire: Uint8Array;
        try {
          wire = encodeRequestHead({ method: "GET", target, authority, fields, framing: none });
        } catch (error) {
          assert.ok(error instanceof HttpWriteError, String(error));
          return;
        }
        const lines = toText(wire).split("\r\n");
        assert.ok(lines.length <= 4 + fields.length / 2, "no text became a line of its own");
        assert.deepEqual(lines.slice(-2), ["", ""]);
      }),
      { numRuns: 2_000 },
    );
  });
});
