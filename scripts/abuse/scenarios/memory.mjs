// @ts-check
/** What is held for others. @type {import("./mod.mjs").Scenario[]} */
export const memory = [
  {
    name: "one-byte-chunks-burst",
    what: "2,000 visitors hand over 400 KB of one-byte chunks each, at once",
    flood: { kind: "chunks", chunk: "1\r\nx\r\n", count: 2000, bytesEach: 400_000, seconds: 8 },
    short: { count: 200, seconds: 3 },
    latency: false,
    watchSeconds: 8,
  },
  {
    name: "stalled-uploads",
    what: "1,000 plain uploads for an upstream that does not read",
    flood: { kind: "uploads", path: "/stall", count: 1000, bytesEach: 10_000_000, seconds: 8 },
    short: { count: 100, seconds: 3 },
  },
  {
    name: "endless-heads",
    what: "2,000 heads of 31 KB that never end",
    flood: { kind: "heads", count: 2000, bytesEach: 31_000, seconds: 5 },
    short: { count: 200, seconds: 2 },
  },
];
