// @ts-check
/** What takes the processor. @type {import("./mod.mjs").Scenario[]} */
export const work = [
  {
    name: "one-byte-chunks-200",
    what: "200 visitors upload in chunks of one byte",
    flood: { kind: "chunks", chunk: "1\r\nx\r\n", count: 200, seconds: 6 },
    short: { count: 20, seconds: 2 },
  },
  {
    name: "one-byte-chunks-8",
    what: "8 visitors upload in chunks of one byte",
    flood: { kind: "chunks", chunk: "1\r\nx\r\n", count: 8, seconds: 5 },
    short: { count: 2, seconds: 2 },
  },
  {
    name: "chunk-extensions",
    what: "8 visitors upload one-byte chunks with extensions of 200 bytes",
    flood: { kind: "chunks", chunk: `1;${"e".repeat(200)}\r\nx\r\n`, count: 8, seconds: 5 },
    short: { count: 2, seconds: 2 },
  },
  {
    name: "leading-zeros",
    what: "8 visitors upload one-byte chunks with 15 leading zeros in each size",
    flood: { kind: "chunks", chunk: `${"0".repeat(15)}1\r\nx\r\n`, count: 8, seconds: 5 },
    short: { count: 2, seconds: 2 },
  },
];
