import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BodyDecoder } from "../../../src/http1/codec/body_decoder.ts";
import type { Framing } from "../../../src/http1/codec/framing.ts";
import { HttpParseError } from "../../../src/http1/codec/errors.ts";
import { defaultLimits } from "../../../src/http1/codec/limits.ts";
import { chunkEnd, chunkHeader, lastChunk } from "../../../src/http1/codec/writer.ts";
import { cutAt, cuts, outcomeOf, readBody, toBytes, toText } from "./codec_support.ts";

const chunked: Framing = { kind: "chunked" };

describe("BodyDecoder", () => {
  it("BodyDecoder is done at once when there is no body", () => {
    for (const framing of [{ kind: "none" }, { kind: "length", length: 0 }] as Framing[]) {
      const decoder = new BodyDecoder(framing);
      assert.equal(decoder.isDone, true);
      const next = toBytes("next");
      assert.equal(decoder.push(next, () => assert.fail("There is no content")), next);
      decoder.finish();
    }
  });

  it("BodyDecoder gives content up to its length and the bytes behind it", () => {
    const decoder = new BodyDecoder({ kind: "length", length: 5 });
    const slices: string[] = [];
    const onData = (slice: Uint8Array) => void slices.push(toText(slice));
    assert.equal(decoder.push(toBytes("ab"), onData), null);
    assert.equal(decoder.push(new Uint8Array(0), onData), null);
    assert.equal(decoder.isDone, false);
    assert.equal(toText(decoder.push(toBytes("cdenext"), onData)!), "next");
    assert.deepEqual(slices, ["ab", "cde"]);
    assert.equal(decoder.isDone, true);
  });

  it("BodyDecoder hands on slices of the chunks themselves when it decodes", () => {
    for (const [framing, text] of [[chunked, "5\r\nhello\r\n"], [{ kind: "length", length: 9 }, "hello"]] as const) {
      const chunk = toBytes(text);
      new BodyDecoder(framing).push(chunk, (slice) => {
        assert.equal(toText(slice), "hello");
        assert.equal(slice.buffer, chunk.buffer);
      });
    }
  });

  it("BodyDecoder goes on until finish when the body is close-delimited", () => {
    const decoder = new BodyDecoder({ kind: "close" });
    let body = "";
    assert.equal(decoder.push(toBytes("0\r\n\r\n"), (slice) => body += toText(slice)), null);
    assert.equal(decoder.isDone, false);
    decoder.finish();
    assert.equal(decoder.isDone, true);
    assert.equal(body, "0\r\n\r\n");
  });

  it("BodyDecoder throws at finish when the body has not ended", () => {
    const decoder = new BodyDecoder({ kind: "length", length: 5 }, defaultLimits, "response");
    decoder.push(toBytes("ab"), () => {});
    assert.throws(() => decoder.finish(), {
      status: 502,
      code: "upstream_invalid",
      reason: "The connection ended 3 bytes before the body's end",
    });
    for (const text of ["", "5", "5\r\nhel", "5\r\nhello\r\n", "0\r\n", "0\r\nA: 1\r\n", "0\r\n\r"]) {
      const decoder = new BodyDecoder(chunked);
      decoder.push(toBytes(text), () => {});
      assert.throws(() => decoder.finish(), { status: 400, code: "bad_request" }, text);
    }
  });

  it("BodyDecoder has the status 502 when the broken body is an answer's", () => {
    assert.throws(() => readBody(chunked, [toBytes("x")], defaultLimits, "response"), {
      status: 502,
      code: "upstream_invalid",
    });
    assert.throws(() => readBody(chunked, [toBytes("0\r\n x")], defaultLimits, "response"), { status: 502 });
  });
});

const wellFormed: [text: string, body: string, trailers?: string[]][] = [
  ["0\r\n\r\n", ""],
  ["5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"],
  ["a\r\n0123456789\r\nB\r\n01234567890\r\n0\r\n\r\n", "012345678901234567890"],
  ["0005\r\nhello\r\n0000\r\n\r\n", "hello"],
  ['5;a=b;c="d;e"\r\nhello\r\n0;last\r\n\r\n', "hello"],
  ["5 \t;a\r\nhello\r\n0 ; b = c\r\n\r\n", "hello"],
  ["2\r\n\r\n\r\n0\r\n\r\n", "\r\n"],
  ["1\r\nx\r\n".repeat(40) + "0\r\n\r\n", "x".repeat(40)],
  ["1\r\n\x00\r\n1\r\n\xff\r\n0\r\n\r\n", "\x00\xff"],
  ["0\r\nA: 1\r\nb:2\r\nA: 3\r\n\r\n", "", ["A", "1", "b", "2", "A", "3"]],
  [
    "0\r\nHost: x\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nAuthorization: a\r\nX-Forwarded-For: 1\r\n" +
    "Connection: X\r\nSet-Cookie: c\r\nGrpc-Status: 0\r\n\r\n",
    "",
    ["Grpc-Status", "0"],
  ],
];

const malformed: [why: string, text: string, reason: RegExp][] = [
  ["no size", "\r\nhello\r\n", /begins with 0x0d/],
  ["an extension without a size", ";a\r\n", /begins with ";"/],
  ["a sign", "+5\r\nhello\r\n", /begins with "\+"/],
  ["a minus", "-1\r\n", /begins with "-"/],
  ["a blank in front", " 5\r\nhello\r\n", /begins with 0x20/],
  ["a prefix of hexadecimals", "0x5\r\nhello\r\n", /followed by "x"/],
  ["a letter that is no digit", "5g\r\n", /followed by "g"/],
  ["a size that ends in a bare LF", "5\nhello\r\n", /followed by 0x0a/],
  ["a bare CR behind the size", "5\rhello\r\n", /"h" where LF belongs/],
  ["a blank behind the size alone", "5 \r\nhello\r\n", /followed by 0x0d/],
  ["a blank in the size", "5 5\r\n", /followed by "5"/],
  ["a size past 2^53", "20000000000000\r\n", /above 2\^53/],
  ["a size of 17 digits", "00000000000000001\r\n", /above 2\^53/],
  ["a bare LF in an extension", "5;a\nhello\r\n", /0x0a stands in a chunk extension/],
  ["NUL in an extension", "5;\0\r\n", /0x00 stands/],
  ["content longer than its size", "5\r\nhello!\r\n", /"!" where CR belongs/],
  ["a bare LF behind the content", "5\r\nhello\n", /0x0a where CR belongs/],
  ["a bare CR behind the content", "5\r\nhello\r5", /"5" where LF belongs/],
  ["no empty line at the end", "0\r\nGET / HTTP/1.1\r\n", /0x20|White space/],
  ["a bare LF at the end", "0\r\n\n", /bare LF/],
  ["a folded trailer", "0\r\nA: 1\r\n b\r\n\r\n", /begins with white space/],
  ["a trailer with a space before the colon", "0\r\nA : 1\r\n\r\n", /White space follows/],
];

/** What is read of an answer's body, and refused of a request's. */
const irregular: [why: string, text: string, body: string, trailers?: string[]][] = [
  ["blanks behind a size", "5   \r\nhello\r\n0\r\n\r\n", "hello"],
  ["blanks and tabs behind the last size", "5\r\nhello\r\n0 \t\r\n\r\n", "hello"],
  ["a bare LF as the last line", "5\r\nhello\r\n0\r\n\n", "hello"],
  ["a bare LF behind a trailer", "0\r\nA: 1\nB: 2\n\r\n", "", ["A", "1", "B", "2"]],
];

describe("BodyDecoder on chunks that deviate", () => {
  for (const [why, text, body, trailers = []] of irregular) {
    it(`BodyDecoder decodes an answer with ${why}, and says that it deviates`, () => {
      const decoder = new BodyDecoder(chunked, defaultLimits, "response");
      let content = "";
      const rest: Uint8Array | null = decoder.push(toBytes(`${text}next`), (slice) => content += toText(slice));
      assert.deepEqual([content, decoder.trailers, toText(rest!)], [body, trailers, "next"]);
      assert.equal(decoder.isIrregular, true);
    });

    it(`BodyDecoder refuses a request with ${why}`, () => {
      assert.throws(() => readBody(chunked, [toBytes(text)]), { status: 400, code: "bad_request" });
    });
  }

  it("BodyDecoder says of no body within the grammar that it deviates", () => {
    for (const [text] of wellFormed) {
      const decoder: BodyDecoder = new BodyDecoder(chunked, defaultLimits, "response");
      decoder.push(toBytes(text), () => {});
      assert.deepEqual([decoder.isDone, decoder.isIrregular], [true, false], text);
    }
  });

  it("BodyDecoder gives the same of an answer when its chunks are split anywhere", () => {
    const texts = [...irregular, ...malformed].map((row) => `${row[1]}next`);
    fc.assert(
      fc.property(fc.constantFrom(...texts), cuts, (text, offsets) => {
        const read = (chunks: Uint8Array[]) => outcomeOf(() => readBody(chunked, chunks, defaultLimits, "response"));
        assert.deepEqual(read(cutAt(toBytes(text), offsets)), read([toBytes(text)]));
      }),
      { numRuns: 500 },
    );
  });

  it("BodyDecoder refuses an answer with a bare LF where a chunk is framed", () => {
    for (const text of ["5\nhello\r\n", "5 \nhello", "5;a\nhello", "5\r\nhello\n0\r\n\r\n", "0\n\r\n", "5 5\r\n"]) {
      assert.throws(() => readBody(chunked, [toBytes(text)], defaultLimits, "response"), { status: 502 }, text);
    }
  });

  it("BodyDecoder refuses an answer with more blanks behind a size than an extension may have bytes", () => {
    const spaced = (count: number) => [toBytes(`1${" ".repeat(count)}\r\na\r\n0\r\n\r\n`)];
    assert.equal(readBody(chunked, spaced(256), defaultLimits, "response").body, "a");
    assert.throws(() => readBody(chunked, spaced(257), defaultLimits, "response"), { status: 502 });
  });
});

describe("BodyDecoder on chunks", () => {
  for (const [text, body, trailers = []] of wellFormed) {
    it(`BodyDecoder decodes ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.deepEqual(readBody(chunked, [toBytes(`${text}next`)]), { body, trailers, rest: "next" });
    });
  }

  for (const [why, text, reason] of malformed) {
    it(`BodyDecoder refuses when there is ${why}`, () => {
      assert.throws(() => readBody(chunked, [toBytes(text)]), (error) => {
        assert.ok(error instanceof HttpParseError, String(error));
        assert.equal(error.status, 400);
        assert.match(error.reason, reason);
        return true;
      });
    });
  }

  it("BodyDecoder takes the greatest size when it fits 2^53 - 1", () => {
    const decoder = new BodyDecoder(chunked);
    assert.equal(decoder.push(toBytes("1fffffffffffff\r\nx"), () => {}), null);
    assert.throws(() => decoder.finish());
  });

  it("BodyDecoder refuses when a chunk extension is longer than the limit", () => {
    const body = (length: number) => [toBytes(`1;${"x".repeat(length - 1)}\r\na\r\n0\r\n\r\n`)];
    assert.equal(readBody(chunked, body(256)).body, "a");
    assert.throws(() => readBody(chunked, body(257)), { status: 400, reason: /longer than 256/ });
    assert.throws(() => readBody(chunked, [toBytes(`1${" ".repeat(257)}`)]), { reason: /longer than 256/ });
    const twice = toBytes(`1;${"x".repeat(200)}\r\na\r\n`.repeat(3) + "0\r\n\r\n");
    assert.equal(readBody(chunked, [twice]).body, "aaa");
  });

  it("BodyDecoder refuses a body when its framing is far longer than its content", () => {
    const padded: [why: string, chunk: string, content: string][] = [
      ["extensions", `1;${"e".repeat(200)}\r\nx\r\n`, "x"],
      ["zeros", `${"1".padStart(16, "0")}\r\nx\r\n`, "x"],
      ["extensions beside tiny chunks", `1;${"e".repeat(200)}\r\nx\r\n1\r\ny\r\n`, "xy"],
    ];
    for (const [why, chunk, content] of padded) {
      for (const read of [chunk, chunk.repeat(50)]) {
        const decoder = new BodyDecoder(chunked);
        let framingBytes = 0;
        assert.throws(
          () => {
            for (; framingBytes < 4 * 1024 * 1024; framingBytes += read.length) {
              decoder.push(toBytes(read), () => {});
            }
          },
          { status: 400, reason: /framing of the body's chunks/ },
          why,
        );
        assert.ok(framingBytes + read.length > 16 * 1024, `${why}: refused after ${framingBytes} bytes`);
      }
      assert.equal(readBody(chunked, [toBytes(`${chunk}0\r\n\r\n`)]).body, content);
    }
  });

  it("BodyDecoder takes an answer when its sizes are followed by many blanks, as long as it comes", () => {
    const decoder = new BodyDecoder(chunked, defaultLimits, "response");
    const read = toBytes(`1${" ".repeat(250)}\r\nx\r\n`.repeat(100));
    let bytes = 0;
    for (let round = 0; round < 10; round++) decoder.push(read, (slice) => void (bytes += slice.length));
    assert.equal(bytes, 1_000);
  });

  it("BodyDecoder takes a body in chunks when they are tiny, padded, or signed in extensions, as long as it comes", () => {
    const usual: [chunk: string, content: string][] = [
      ["1\r\nx\r\n", "x"],
      ["f\r\n0123456789abcde\r\n", "0123456789abcde"],
      // Eight digits are what some clients write for each size.
      ["00000001\r\nx\r\n", "x"],
      [`400;chunk-signature=${"a".repeat(64)}\r\n${"y".repeat(1024)}\r\n`, "y".repeat(1024)],
    ];
    for (const [chunk, content] of usual) {
      const read = toBytes(chunk.repeat(100));
      const decoder = new BodyDecoder(chunked);
      let bytes = 0;
      for (let round = 0; round < 200; round++) decoder.push(read, (slice) => void (bytes += slice.length));
      assert.equal(bytes, 20_000 * content.length);
    }
  });

  it("BodyDecoder refuses with 431 when trailers are longer or more than the limits", () => {
    const limits = { ...defaultLimits, trailerBytes: 16, fieldCount: 2 };
    const trailers = (text: string) => readBody(chunked, [toBytes(`0\r\n${text}\r\n`)], limits).trailers;
    assert.deepEqual(trailers("A: 23456789a\r\n"), ["A", "23456789a"]);
    assert.throws(() => trailers("A: 23456789ab\r\n"), { status: 431, reason: /longer than 16/ });
    assert.throws(() => trailers("A:\r\nB:\r\nC:\r\n"), { status: 431, reason: /more than 2/ });
    assert.throws(() => readBody(chunked, [toBytes(`0\r\nA: ${"x".repeat(9_000)}`)]), { status: 431 });
  });

  it("BodyDecoder gives the same when chunks are split anywhere", () => {
    const text = fc.constantFrom(...wellFormed.map(([text]) => `${text}next`), ...malformed.map((row) => row[1]));
    fc.assert(
      fc.property(text, cuts, (text, offsets) => {
        const bytes = toBytes(text);
        assert.deepEqual(
          outcomeOf(() => readBody(chunked, cutAt(bytes, offsets))),
          outcomeOf(() => readBody(chunked, [bytes])),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it("BodyDecoder gives back what chunkHeader, chunkEnd and lastChunk framed", () => {
    const content = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 40 });
    fc.assert(fc.property(content, cuts, (pieces, offsets) => {
      const wire = [...pieces.flatMap((piece) => [chunkHeader(piece.length), piece, chunkEnd]), lastChunk(["T", "1"])];
      const bytes = toBytes(wire.map(toText).join("") + "next");
      assert.deepEqual(readBody(chunked, cutAt(bytes, offsets)), {
        body: pieces.map(toText).join(""),
        trailers: ["T", "1"],
        rest: "next",
      });
    }));
  });

  it("BodyDecoder decodes, wants more or throws HttpParseError when bytes are random", () => {
    const likely = fc.array(fc.constantFrom("0", "1", "a", "\r", "\n", "\r\n", ";", " ", ":", "x"), { maxLength: 30 });
    fc.assert(
      fc.property(likely, (parts) => {
        outcomeOf(() => readBody(chunked, [toBytes(parts.join(""))]));
      }),
      { numRuns: 2_000 },
    );
  });
});
