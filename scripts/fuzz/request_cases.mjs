// @ts-check
/** Arbitrary conversations of a visitor: requests in all the forms that parsers have disagreed about. */
import fc from "fast-check";

/**
 * `text` is Latin-1: a byte a character. `cuts` are places in it, as shares of its length.
 * @typedef {{ text: string, cuts: number[] }} Conversation
 */

export const host = "fuzz.localhost";

/** Stands for a request's own number until the conversation is sent. */
export const mark = "@ID@";

const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH") },
  fc.constantFrom("get", "QUERY", "M-SEARCH", "TRACE", "connect", "GE T", "G\0T", "", "POST\t"),
);
const target = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(`/r/${mark}`, `/r/${mark}?a=b&c`, `/r/${mark}/%2e%2e/%00`, `/r/${mark}//x/../y`),
  },
  fc.constantFrom(
    ...[`http://${host}/r/${mark}`, `http://other.example/r/${mark}`, `//${host}/r/${mark}`, `/r/${mark} x`],
    ...[`/r/${mark}#f`, `r/${mark}`, `*`, `/r/${mark}\\x`, `/r/${mark}\xe4`, `/r/${mark}\t`],
  ),
);
const version = fc.oneof(
  { weight: 8, arbitrary: fc.constant("HTTP/1.1") },
  fc.constantFrom("HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "HTTP/1.10", "HTTP/11", ""),
);
const hostField = fc.oneof(
  { weight: 8, arbitrary: fc.constant(`Host: ${host}`) },
  fc.constantFrom(
    ...[`host: ${host}`, `Host:${host}`, `Host: ${host}:80`, `HOST:\t${host} `, `Host : ${host}`, "", "Host:"],
    ...[`Host: ${host}\r\nHost: ${host}`, `Host: ${host}, x`, `Host: x@${host}`, ` Host: ${host}`, `Host: ${host}.`],
  ),
);
const otherField = fc.constantFrom(
  ...["X-Fuzz-A: 1", "X-Fuzz-B:  two  ", "X-Fuzz-C:", "X-Fuzz-D: a\tb", "X-Fuzz-E: \xe4\xff", "x-fuzz-f: 1, 2"],
  ...["X-Fuzz-G: a\r\n b", "X-Fuzz-H: a\0b", "X-Fuzz-I : 1", "X-Fuzz J: 1", ": 1", "X-Fuzz-K", "X-Fuzz-L: a\nb: c"],
  ...["X-Fuzz-M: a\rb", "X-Fuzz-N\xe4: 1", "\tX-Fuzz-O: 1", "X-Fuzz-P: \x7f", "X-Fuzz-Q: a\x0bb"],
  ...["Connection: close", "Connection: keep-alive", "Connection: X-Fuzz-A", "Connection: content-length"],
  ...["Connection: transfer-encoding", "Connection: upgrade\r\nUpgrade: websocket", "Upgrade: h2c", "TE: trailers"],
  ...["Expect: 100-continue", "Expect: 200-ok", "Keep-Alive: timeout=1", "Proxy-Connection: keep-alive"],
  ...["Content_Length: 5", "Transfer_Encoding: chunked", "Trailer: X-Fuzz-T", "Max-Forwards: 0"],
);

const bodyText = fc.constantFrom(
  ...["", "a", "hello", `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "0\r\n\r\n", "\r\n", "x".repeat(300)],
);

/** A line with a size, for a chunk of `bytes`. @param {number} bytes */
const sizeLine = (bytes) => {
  const hex = bytes.toString(16);
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc.constantFrom(`${hex}\r\n`, `${hex.toUpperCase()}\r\n`, `0${hex}\r\n`, `${hex};a=b\r\n`),
    },
    fc.constantFrom(
      ...[`${hex}\n`, `${hex} \r\n`, ` ${hex}\r\n`, `0x${hex}\r\n`, `+${hex}\r\n`, `${hex};a="b\r\n"\r\n`, `${hex}\r`],
      ...[`${hex};\r\n`, `${hex} ;a\r\n`, `${hex};a\nb\r\n`, `\r\n${hex}\r\n`, `${hex}g\r\n`, `-${hex}\r\n`, "\r\n"],
      ...[
        `${"0".repeat(40)}${hex}\r\n`,
        `ffffffffffffffff${hex}\r\n`,
        `100000000${hex}\r\n`,
        `${hex}\t\r\n`,
        `${hex},\r\n`,
      ],
    ),
  );
};
const chunkEnd = fc.oneof(
  { weight: 10, arbitrary: fc.constant("\r\n") },
  fc.constantFrom("\n", "", "\r", "x\r\n", "\r\n\r\n"),
);
const chunk = bodyText.filter((text) => text !== "").chain((text) =>
  fc.tuple(sizeLine(text.length), chunkEnd).map(([line, end]) => line + text + end)
);
const lastChunk = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("0\r\n\r\n", "000\r\n\r\n", "0;a\r\n\r\n", "0\r\nX-Fuzz-T: 1\r\n\r\n") },
  fc.constantFrom(
    ...["0\r\n", "0\n\n", "0\r\n\n", "", "0\r\nContent-Length: 5\r\n\r\n", "0\r\nX-Fuzz-T : 1\r\n\r\n", "-0\r\n\r\n"],
    ...[`0\r\nHost: ${host}\r\n\r\n`, "0\r\n X: 1\r\n\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n", "0 \r\n\r\n"],
  ),
);
const codingField = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("Transfer-Encoding: chunked", "transfer-encoding: Chunked") },
  fc.constantFrom(
    ...["Transfer-Encoding : chunked", "Transfer-Encoding:chunked", "Transfer-Encoding: xchunked", "TE: chunked"],
    ...["Transfer-Encoding: chunked, chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, gzip"],
    ...["Transfer-Encoding: identity", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding:\r\n chunked"],
    ...["Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 'Transfer-Encoding: "chunked"'],
    ...[
      "Transfer-Encoding: chunked;a=b",
      "Transfer-Encoding: chunked,",
      "Transfer-Encoding:",
      "Transfer-Encoding: chun ked",
    ],
    ...["Transfer-Encoding: chunked\r\nContent-Length: 3", "Content-Length: 3\r\nTransfer-Encoding: chunked"],
  ),
);
const chunked = fc.tuple(codingField, fc.array(chunk, { maxLength: 3 }), lastChunk)
  .map(([field, chunks, last]) => ({ field, body: chunks.join("") + last }));

/** @param {string} text */
const lengthField = (text) => {
  const { length } = text;
  return fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(`Content-Length: ${length}`, `content-length:${length}`) },
    fc.constantFrom(
      ...[`Content-Length: +${length}`, `Content-Length: 0${length}`, `Content-Length: ${length}, ${length}`],
      ...[`Content-Length: ${length}\r\nContent-Length: ${length}`, `Content-Length: ${length}\r\nContent-Length: 1`],
      ...[`Content-Length: ${length + 1}`, `Content-Length: ${Math.max(0, length - 1)}`, `Content-Length : ${length}`],
      ...[`Content-Length: 0x${length}`, `Content-Length: ${length}.0`, `Content-Length: -1`, `Content-Length:`],
      ...[`Content-Length: 1e1`, `Content-Length: 99999999999999999999`, `Content-Length: ${length} 1`],
      ...[`Content-Length:\r\n ${length}`, `Content-Length: ${length}\0`, ""],
    ),
  );
};
const sized = bodyText.chain((text) => lengthField(text).map((field) => ({ field, body: text })));
const framing = fc.oneof(fc.constant({ field: "", body: "" }), sized, chunked);

const lineEnd = fc.oneof(
  { weight: 30, arbitrary: fc.constant("\r\n") },
  fc.constantFrom("\n", "\r", "\r\r\n", " \r\n"),
);

const request = fc.record({
  ...{ method, target, version, hostField, framing, lineEnd },
  others: fc.array(otherField, { maxLength: 3 }),
  isFramingFirst: fc.boolean(),
}).map(({ method, target, version, hostField, framing, lineEnd, others, isFramingFirst }) => {
  const own = [hostField, ...others];
  const fields = (isFramingFirst ? [framing.field, ...own] : [...own, framing.field]).filter((field) => field !== "");
  const line = [method, target, version].filter((word) => word !== "").join(" ");
  return `${line}${lineEnd}${fields.map((field) => field + lineEnd).join("")}${lineEnd}${framing.body}`;
});

/** Without any fault, so that pipelines have something that must arrive. */
const goodRequest = fc.tuple(fc.constantFrom("GET", "POST"), bodyText).map(([name, body]) => {
  const head = `${name} /r/${mark} HTTP/1.1\r\nHost: ${host}\r\nX-Fuzz-A: 1\r\n`;
  return name === "GET" ? `${head}\r\n` : `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
});

const strangeBytes = ["\r", "\n", "\0", " ", "\t", ":", ";", ",", "0", "\x80", "\x0b", "\r\n", "\r\n\r\n", '"'];
const mutation = fc.record({
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  remove: fc.nat(3),
  insert: fc.oneof(
    fc.constant(""),
    fc.constantFrom(...strangeBytes),
    fc.nat(255).map((byte) => String.fromCharCode(byte)),
  ),
});

/** @param {string} text @param {readonly { at: number, remove: number, insert: string }[]} mutations */
function mutate(text, mutations) {
  for (const { at, remove, insert } of mutations) {
    const place = Math.floor(at * text.length);
    text = text.slice(0, place) + insert + text.slice(place + remove);
  }
  return text;
}

/** @type {import("fast-check").Arbitrary<Conversation>} */
export const conversations = fc.record({
  requests: fc.array(fc.oneof(goodRequest, { weight: 2, arbitrary: request }), { minLength: 1, maxLength: 4 }),
  mutations: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(mutation, { maxLength: 3 })),
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
}).map(({ requests, mutations, cuts }) => {
  const text = requests.map((text, index) => text.replaceAll(mark, `${mark}-${index}`)).join("");
  return { text: mutate(text, mutations), cuts };
});
