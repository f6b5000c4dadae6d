import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { HttpParseError } from "../../../src/http1/codec/errors.ts";
import { defaultLimits } from "../../../src/http1/codec/limits.ts";
import { type ParsedResponse, ResponseParser } from "../../../src/http1/codec/response_parser.ts";
import { cutAt, cuts, nearTo, outcomeOf, readAnswer, toBytes, toText } from "./codec_support.ts";

/** An answer with the given lines. */
function answer(lines: string, line = "HTTP/1.1 200 OK"): string {
  return `${line}\r\n${lines}\r\n`;
}

const valid: [why: string, text: string, expected: Partial<ParsedResponse>, method?: string][] = [
  ["the least answer", answer(""), {
    status: 200,
    version: "1.1",
    fields: [],
    framing: { kind: "close" },
    keepAlive: false,
    upgrade: undefined,
  }],
  ["the usual reason phrase", answer("", "HTTP/1.1 404 Not Found"), { status: 404, reason: undefined }],
  ["the usual reason phrase on HTTP/1.0", answer("", "HTTP/1.0 404 Not Found"), { status: 404, reason: undefined }],
  ["no reason phrase", answer("", "HTTP/1.1 200 "), { status: 200, reason: "" }],
  ["no reason phrase and no space", answer("", "HTTP/1.1 200"), { status: 200, reason: "" }],
  ["no reason phrase where there is no usual one", answer("", "HTTP/1.1 299 "), { status: 299, reason: undefined }],
  ["another reason phrase", answer("", "HTTP/1.1 413 Payload Too Large"), { reason: "Payload Too Large" }],
  ["a reason phrase that begins as the usual one", answer("", "HTTP/1.1 200 OK!"), { reason: "OK!" }],
  ["a reason phrase with a space in front", answer("", "HTTP/1.1 200  OK "), { reason: " OK " }],
  ["a reason phrase of any bytes", answer("", "HTTP/1.1 404 Nicht gefund\xe9n\t  !"), {
    status: 404,
    reason: "Nicht gefund\xe9n\t  !",
  }],
  ["the status 600", answer("Content-Length: 0\r\n", "HTTP/1.1 600 x"), { status: 600, reason: "x" }],
  ["an unknown status", answer("Content-Length: 0\r\n", "HTTP/1.1 999 ?"), { status: 999, keepAlive: true }],
  ["a length", answer("Content-Length: 5\r\n"), {
    framing: { kind: "length", length: 5 },
    fields: ["Content-Length", "5"],
    keepAlive: true,
  }],
  ["the same length twice", answer("Content-Length: 5\r\nA: 1\r\ncontent-length: 05\r\n"), {
    framing: { kind: "length", length: 5 },
    fields: ["Content-Length", "5", "A", "1"],
  }],
  ["the same length as a list", answer("Content-Length: 5, 5\r\n"), {
    framing: { kind: "length", length: 5 },
    fields: ["Content-Length", "5"],
  }],
  ["chunks", answer("Transfer-Encoding: Chunked\r\n"), { framing: { kind: "chunked" }, fields: [], keepAlive: true }],
  ["Connection: close", answer("Content-Length: 0\r\nConnection: close\r\n"), { keepAlive: false }],
  ["Keep-Alive", answer("Content-Length: 0\r\nKeep-Alive: timeout=5, max=9\r\n"), {
    keepAliveSeconds: 5,
    fields: ["Content-Length", "0"],
  }],
  ["HTTP/1.0", answer("Content-Length: 0\r\n", "HTTP/1.0 200 OK"), { version: "1.0", keepAlive: false }],
  ["HTTP/1.0 with keep-alive", answer("Content-Length: 0\r\nConnection: keep-alive\r\n", "HTTP/1.0 200 OK"), {
    keepAlive: true,
  }],
  ["an answer to HEAD", answer("Content-Length: 5\r\n"), {
    framing: { kind: "none" },
    fields: ["Content-Length", "5"],
    keepAlive: true,
  }, "HEAD"],
  ["an answer to HEAD without a length", answer(""), { framing: { kind: "none" }, keepAlive: true }, "HEAD"],
  ["an answer to HEAD with chunks", answer("Transfer-Encoding: chunked\r\n"), { framing: { kind: "none" } }, "HEAD"],
  ["a 204 with a length", answer("Content-Length: 5\r\n", "HTTP/1.1 204 x"), {
    framing: { kind: "none" },
    fields: [],
    keepAlive: false,
  }],
  ["a 204 with the length 0", answer("Content-Length: 0\r\n", "HTTP/1.1 204 x"), {
    framing: { kind: "none" },
    keepAlive: true,
  }],
  ["a 204 with chunks", answer("Transfer-Encoding: chunked\r\n", "HTTP/1.1 204 x"), {
    framing: { kind: "none" },
    keepAlive: false,
  }],
  ["a 304 with a length", answer("Content-Length: 5\r\n", "HTTP/1.1 304 x"), { framing: { kind: "none" } }],
  ["a 304 with chunks", answer("Transfer-Encoding: chunked\r\n", "HTTP/1.1 304 x"), { framing: { kind: "none" } }],
  ["an interim answer", answer("Link: </a>\r\n", "HTTP/1.1 103 Early Hints"), {
    status: 103,
    framing: { kind: "none" },
    fields: ["Link", "</a>"],
    keepAlive: true,
  }],
  ["a 101", answer("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-A: 1\r\n", "HTTP/1.1 101 x"), {
    upgrade: "websocket",
    framing: { kind: "none" },
    fields: ["Sec-A", "1"],
    keepAlive: false,
  }],
  ["a 101 without Connection", answer("Upgrade: websocket\r\n", "HTTP/1.1 101 x"), { upgrade: undefined }],
  ["a 101 to two", answer("Connection: Upgrade\r\nUpgrade: a, b\r\n", "HTTP/1.1 101 x"), { upgrade: undefined }],
  ["a 101 to h2c", answer("Connection: Upgrade\r\nUpgrade: h2c\r\n", "HTTP/1.1 101 x"), { upgrade: undefined }],
  ["what a 426 asks for", answer("Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n", "HTTP/1.1 426 x"), {
    upgrade: "x",
    fields: ["Content-Length", "0"],
    keepAlive: true,
  }],
  ["several that a 426 asks for", answer("Upgrade: TLS/1.0 ,, HTTP/2.0\r\nUpgrade: x\r\n", "HTTP/1.1 426 x"), {
    upgrade: "TLS/1.0,HTTP/2.0,x",
  }],
  ["a 426 that asks for no protocol", answer("Upgrade: a b, /\r\n", "HTTP/1.1 426 x"), { upgrade: undefined }],
  ["an offer to upgrade", answer("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n"), {
    upgrade: undefined,
    fields: ["Content-Length", "0"],
  }],
  ["repeats, and a Host that means nothing", answer("Set-Cookie: a\r\nHost: x\r\nSet-Cookie: b\r\n"), {
    fields: ["Set-Cookie", "a", "Host", "x", "Set-Cookie", "b"],
  }],
  ["nominated fields", answer("Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\n"), { fields: ["X-B", "2"] }],
];

/** Answers whose framing deviates: their length is not passed on, and their connection not used again. */
const irregular: [why: string, text: string, framing: ParsedResponse["framing"], method?: string][] = [
  ["chunks named twice", answer("Transfer-Encoding: chunked, Chunked\r\n"), { kind: "chunked" }],
  ["chunks named in two fields", answer("Transfer-Encoding: chunked\r\n".repeat(2)), { kind: "chunked" }],
  ["chunks and an empty member", answer("Transfer-Encoding: chunked,\r\n"), { kind: "chunked" }],
  ["identity and chunks", answer("Transfer-Encoding: identity, chunked\r\n"), { kind: "chunked" }],
  ["chunks and identity", answer("Transfer-Encoding: chunked\r\nTransfer-Encoding: Identity\r\n"), {
    kind: "chunked",
  }],
  ["identity", answer("Transfer-Encoding: identity\r\n"), { kind: "close" }],
  ["identity and a length", answer("Transfer-Encoding: identity\r\nContent-Length: 4\r\n"), {
    kind: "length",
    length: 4,
  }],
  ["chunks on HTTP/1.0", answer("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", "HTTP/1.0 200 OK"), {
    kind: "chunked",
  }],
  ["a length and chunks", answer("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), { kind: "chunked" }],
  ["chunks and a length", answer("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), { kind: "chunked" }],
  ["both lengths to HEAD", answer("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), { kind: "none" }, "HEAD"],
  ["both lengths in a 304", answer("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "HTTP/1.1 304 x"), {
    kind: "none",
  }],
  ["bare LFs alone", "HTTP/1.1 200 OK\nContent-Length: 4\n\n", { kind: "length", length: 4 }],
  ["a bare LF behind the status line", "HTTP/1.1 200\nContent-Length: 4\r\n\r\n", { kind: "length", length: 4 }],
  ["a bare LF behind a field", "HTTP/1.1 200 OK\r\nContent-Length: 4 \t\n\r\n", { kind: "length", length: 4 }],
  ["a bare LF as the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\n", { kind: "length", length: 4 }],
  ["bare LFs and chunks", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", { kind: "chunked" }],
];

const broken: [why: string, text: string, reason: RegExp][] = [
  ["no HTTP", "SSH-2.0-OpenSSH_9.6\r\n", /status line is not "HTTP/],
  ["another version", answer("", "HTTP/2.0 200 OK"), /status line/],
  ["a version in lower case", answer("", "http/1.1 200 OK"), /status line/],
  ["a status of two digits", answer("", "HTTP/1.1 20 OK"), /status line/],
  ["a status of four digits", answer("", "HTTP/1.1 2000 OK"), /status line/],
  ["a status under 100", answer("", "HTTP/1.1 099 OK"), /status line/],
  ["a status of letters", answer("", "HTTP/1.1 2x0 OK"), /status line/],
  ["two spaces before the status", answer("", "HTTP/1.1  200 OK"), /status line/],
  ["no status", answer("", "HTTP/1.1"), /status line/],
  ["an empty line in front", `\r\n${answer("")}`, /status line is not "HTTP/],
  ["an empty line of a bare LF in front", `\n${answer("")}`, /status line is not "HTTP/],
  ["a bare CR behind the status line", "HTTP/1.1 200 OK\rA: 1\r\n\r\n", /CR is followed by "A"/],
  ["a CR before a line end", "HTTP/1.1 200 OK\r\nA: 1\r\r\n\r\n", /CR is followed by 0x0d/],
  ["a line without a colon", answer("Content-Length 5\r\n"), /White space follows/],
  ["a word without a colon", answer("Foo\r\n"), /0x0d stands in a field's name/],
  ["a word without a colon that a bare LF ends", "HTTP/1.1 200 OK\nFoo\n\n", /bare LF ends a field's name/],
  ["a folded line behind a bare LF", "HTTP/1.1 200 OK\nA: b\n c\n\n", /begins with white space/],
  ["a control character in the reason phrase", answer("", "HTTP/1.1 200 O\x07K"), /0x07/],
  ["a bare CR", "HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n\r\n", /CR is followed by "B"/],
  ["a folded line", answer("A: b\r\n c\r\n"), /begins with white space/],
  ["a space before the colon", answer("Content-Length : 5\r\n"), /White space follows/],
  ["NUL in a value", answer("A: \0\r\n"), /0x00/],
  ["two different lengths", answer("Content-Length: 5\r\nContent-Length: 6\r\n"), /not one number/],
  ["two different lengths in a list", answer("Content-Length: 5, 6\r\n"), /not one number/],
  ["an empty length", answer("Content-Length:\r\n"), /not one number/],
  ["a list of no lengths", answer("Content-Length: ,\r\n"), /not one number/],
  ["a length of letters", answer("Content-Length: x\r\n"), /not one number/],
  ["two different lengths and chunks", answer("Content-Length: 5, 6\r\nTransfer-Encoding: chunked\r\n"), /not one/],
  ...["gzip, chunked", "gzip", "", ",", "chunked;x=1", "xchunked", '"chunked"', "chunked chunked", "identity, deflate"]
    .map((value): [string, string, RegExp] => [
      `the Transfer-Encoding ${JSON.stringify(value)}`,
      answer(`Transfer-Encoding: ${value}\r\n`),
      /The Transfer-Encoding is/,
    ]),
  ["a coding beside a control character", answer("Transfer-Encoding: \x0bchunked\r\n"), /0x0b/],
  ["a line without end", `HTTP/1.1 200 ${"x".repeat(9_000)}`, /start line is longer than 8192/],
  ["a head without end", answer(`A: ${"x".repeat(66_000)}`), /header is longer than 65536/],
  ["too many fields", answer("A: 1\r\n".repeat(257)), /more than 256/],
];

describe("ResponseParser", () => {
  for (const [why, text, expected, method] of valid) {
    it(`ResponseParser reads ${why}`, () => {
      const { answer, rest } = readAnswer(`${text}rest`, method);
      assert.ok(answer);
      for (const key of Object.keys(expected) as (keyof ParsedResponse)[]) {
        assert.deepEqual(answer[key], expected[key], key);
      }
      assert.equal(rest, "rest");
    });
  }

  for (const [why, text, framing, method] of irregular) {
    it(`ResponseParser reads an answer with ${why}, drops its length and gives its connection up`, () => {
      const { answer, rest } = readAnswer(`${text}rest`, method);
      assert.ok(answer);
      assert.deepEqual([answer.framing, answer.fields, answer.keepAlive], [framing, [], false]);
      assert.equal(rest, "rest");
    });
  }

  it("ResponseParser gives a connection up when an interim answer deviated on it", () => {
    const parser = new ResponseParser();
    assert.equal(parser.push(toBytes("HTTP/1.1 103 Early Hints\n\n"), "GET")?.status, 103);
    const final = parser.push(toBytes(answer("Content-Length: 2\r\n")), "GET");
    assert.deepEqual([final?.keepAlive, final?.fields], [false, ["Content-Length", "2"]]);
  });

  it("ResponseParser reads 256 fields and 64 KiB when nothing else is said, and no more than it is told", () => {
    const many = answer("A: 1\r\n".repeat(256));
    assert.equal(readAnswer(many).answer?.fields.length, 512);
    const rest = 65_536 - answer("A: \r\n").length;
    assert.ok(readAnswer(answer(`A: ${"x".repeat(rest)}\r\n`)).answer);
    assert.throws(() => readAnswer(answer(`A: ${"x".repeat(rest + 1)}\r\n`)), { status: 502 });
    const parser = new ResponseParser({ ...defaultLimits, fieldCount: 1, headBytes: 128, requestLineBytes: 64 });
    assert.throws(() => parser.push(toBytes(answer("A: 1\r\nB: 2\r\n")), "GET"), { reason: /more than 1 / });
  });

  it("ResponseParser reads each status line anew when heads follow one another", () => {
    const parser = new ResponseParser();
    const lines = ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.0 200 Fine", "HTTP/1.1 200 OK", "HTTP/1.1 299"];
    const read = lines.map((line) => parser.push(toBytes(answer("Content-Length: 0\r\n", line)), "GET"));
    assert.deepEqual(read.map((head) => [head?.status, head?.version, head?.reason]), [
      [200, "1.1", undefined],
      [200, "1.1", undefined],
      [200, "1.0", "Fine"],
      [200, "1.1", undefined],
      [299, "1.1", undefined],
    ]);
  });

  for (const [why, text, reason] of broken) {
    it(`ResponseParser refuses with 502 when there is ${why}`, () => {
      assert.throws(() => readAnswer(text), (error) => {
        assert.ok(error instanceof HttpParseError, String(error));
        assert.deepEqual([error.status, error.code], [502, "upstream_invalid"]);
        assert.match(error.reason, reason);
        return true;
      });
    });
  }

  it("ResponseParser reads the final answer when interim ones came before it", () => {
    const parser = new ResponseParser();
    const stream = ["100 Continue", "103 Early Hints"].map((line) => answer("A: 1\r\n", `HTTP/1.1 ${line}`)).join("");
    const statuses: number[] = [];
    let rest = toBytes(`${stream}${answer("Content-Length: 2\r\n")}ok`);
    while (statuses.at(-1) !== 200) {
      const head = parser.push(rest, "GET");
      assert.ok(head);
      statuses.push(head.status);
      rest = parser.rest;
    }
    assert.deepEqual(statuses, [100, 103, 200]);
    assert.equal(toText(rest), "ok");
  });

  it("ResponseParser is started from a head's first byte to its last", () => {
    const parser = new ResponseParser();
    const states = ["", "H", "TTP/1.1 200 OK\r\n", "\r\n"].map((chunk) => {
      parser.push(toBytes(chunk), "GET");
      return parser.hasStarted;
    });
    assert.deepEqual(states, [false, true, true, false]);
  });

  it("ResponseParser gives the same when a head is split anywhere", () => {
    const text = fc.constantFrom(...[...valid, ...irregular, ...broken].map((row) => row[1]));
    fc.assert(
      fc.property(text, cuts, (text, offsets) => {
        const bytes = toBytes(`${text}rest`);
        const read = (chunks: Uint8Array[]) => {
          const parser = new ResponseParser();
          let head: ParsedResponse | null = null;
          let rest = "";
          for (const chunk of chunks) {
            if (head === null) {
              head = parser.push(chunk, "GET");
              rest = toText(parser.rest);
            } else rest += toText(chunk);
          }
          return { head, rest };
        };
        assert.deepEqual(outcomeOf(() => read(cutAt(bytes, offsets))), outcomeOf(() => read([bytes])));
      }),
      { numRuns: 500 },
    );
  });

  it("ResponseParser gives a head, wants more or throws HttpParseError when bytes are random", () => {
    const noise: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 100 });
    const input = fc.oneof(noise, nearTo([...valid, ...irregular].map((row) => row[1])));
    fc.assert(fc.property(input, (bytes) => void outcomeOf(() => new ResponseParser().push(bytes, "GET"))), {
      numRuns: 2_000,
    });
  });
});
