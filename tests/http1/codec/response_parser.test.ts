import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { HttpParseError } from "../../../src/http1/codec/errors.ts";
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
  ["no reason phrase", answer("", "HTTP/1.1 200 "), { status: 200 }],
  ["no reason phrase and no space", answer("", "HTTP/1.1 200"), { status: 200 }],
  ["a reason phrase of any bytes", answer("", "HTTP/1.1 404 Nicht gefund\xe9n\t  !"), { status: 404 }],
  ["an unknown status", answer("Content-Length: 0\r\n", "HTTP/1.1 999 ?"), { status: 999 }],
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
    fields: ["Content-Length", "5"],
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
  ["an offer to upgrade", answer("Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n", "HTTP/1.1 426 x"), {
    upgrade: undefined,
    fields: ["Content-Length", "0"],
  }],
  ["repeats, and a Host that means nothing", answer("Set-Cookie: a\r\nHost: x\r\nSet-Cookie: b\r\n"), {
    fields: ["Set-Cookie", "a", "Host", "x", "Set-Cookie", "b"],
  }],
  ["nominated fields", answer("Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\n"), { fields: ["X-B", "2"] }],
];

const broken: [why: string, text: string, reason: RegExp][] = [
  ["no HTTP", "SSH-2.0-OpenSSH_9.6\r\n", /status line "SSH-2.0/],
  ["another version", answer("", "HTTP/2.0 200 OK"), /status line/],
  ["a version in lower case", answer("", "http/1.1 200 OK"), /status line/],
  ["a status of two digits", answer("", "HTTP/1.1 20 OK"), /status line/],
  ["a status of four digits", answer("", "HTTP/1.1 2000 OK"), /status line/],
  ["a status under 100", answer("", "HTTP/1.1 099 OK"), /status line/],
  ["a status of letters", answer("", "HTTP/1.1 2x0 OK"), /status line/],
  ["two spaces before the status", answer("", "HTTP/1.1  200 OK"), /status line/],
  ["no status", answer("", "HTTP/1.1"), /status line/],
  ["an empty line in front", `\r\n${answer("")}`, /status line ""/],
  ["a bare LF behind the status line", "HTTP/1.1 200 OK\nA: 1\r\n\r\n", /bare LF/],
  ["a bare LF behind a field", "HTTP/1.1 200 OK\r\nA: 1\n\r\n", /bare LF/],
  ["a bare CR", "HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n\r\n", /CR is followed by "B"/],
  ["a folded line", answer("A: b\r\n c\r\n"), /begins with white space/],
  ["a space before the colon", answer("Content-Length : 5\r\n"), /White space follows/],
  ["NUL in a value", answer("A: \0\r\n"), /0x00/],
  ["both lengths", answer("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), /Both/],
  ["both lengths to HEAD", answer("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "HTTP/1.1 304 x"), /Both/],
  ["two different lengths", answer("Content-Length: 5\r\nContent-Length: 6\r\n"), /not one number/],
  ["two different lengths in a list", answer("Content-Length: 5, 6\r\n"), /not one number/],
  ["an empty length", answer("Content-Length:\r\n"), /not one number/],
  ["a list of no lengths", answer("Content-Length: ,\r\n"), /not one number/],
  ["a length of letters", answer("Content-Length: x\r\n"), /not one number/],
  ["an unknown coding", answer("Transfer-Encoding: gzip, chunked\r\n"), /not "chunked"/],
  ["chunks on HTTP/1.0", answer("Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK"), /HTTP\/1.0/],
  ["a line without end", `HTTP/1.1 200 ${"x".repeat(9_000)}`, /start line is longer than 8192/],
  ["a head without end", answer(`A: ${"x".repeat(33_000)}`), /header is longer than 32768/],
  ["too many fields", answer("A: 1\r\n".repeat(101)), /more than 100/],
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
    const text = fc.constantFrom(...valid.map((row) => row[1]), ...broken.map((row) => row[1]));
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
    const input = fc.oneof(noise, nearTo(valid.map((row) => row[1])));
    fc.assert(fc.property(input, (bytes) => void outcomeOf(() => new ResponseParser().push(bytes, "GET"))), {
      numRuns: 2_000,
    });
  });
});
