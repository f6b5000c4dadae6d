// @ts-check
/** What takes the processor. */

/** @type {import("./mod.mjs").Scenario[]} */
export const work = [
  {
    name: "one-byte-chunks-200",
    what: "200 visitors upload in chunks of one byte",
    flood: { kind: "chunks", chunk: "1\r\nx\r\n", count: 200, seconds: 6 },
    short: { count: 20, seconds: 1 },
    nginx: true,
  },
  {
    name: "one-byte-chunks-8",
    what: "8 visitors upload in chunks of one byte",
    flood: { kind: "chunks", chunk: "1\r\nx\r\n", count: 8, seconds: 5 },
    nginx: true,
  },
  {
    name: "chunk-extensions",
    what: "8 visitors upload one-byte chunks with extensions of 200 bytes",
    flood: { kind: "chunks", chunk: `1;${"e".repeat(200)}\r\nx\r\n`, count: 8, seconds: 5 },
    nginx: true,
  },
  {
    name: "leading-zeros",
    what: "8 visitors upload one-byte chunks with 15 leading zeros in each size",
    flood: { kind: "chunks", chunk: `${"0".repeat(15)}1\r\nx\r\n`, count: 8, seconds: 5 },
    nginx: true,
  },
  {
    name: "pipelined",
    what: "10 visitors send 1,000 requests each at once",
    flood: { kind: "pipelined", count: 10, requests: 1000, seconds: 10 },
    nginx: true,
    check: ({ counts }) => counts.answers === 10_000 ? [] : [`${counts.answers} of 10,000 were answered`],
  },
  {
    name: "upstream-interims",
    what: "4 answers of an upstream that are 103s without end",
    flood: { kind: "askers", path: "/interims", count: 4, seconds: 5 },
    short: { seconds: 20, endsOnce: { "answered 502": 4 } },
    sharesAgent: true,
    check: ({ counts }) => counts["answered 502"] === 4 ? [] : ["not each of them was answered with 502"],
  },
];
