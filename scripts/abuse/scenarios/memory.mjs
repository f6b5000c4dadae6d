// @ts-check
/** What is held for others: in buffers of the edge, and in those of the kernel. */

/** What an agent of the JSON protocol takes by default is no more than 7 MiB. */
const sixMiB = 6 * 1024 * 1024;
const oneMB = 1e6;
/** A request whose frame was begun is sent to its end. */
const frameBytes = 8 * 1024 * 1024;
const tenMiB = 10 * 1024 * 1024;
/** What the kernel may hold for one reader that takes nothing. */
const kernelBytesEach = 512 * 1024;

/** @type {import("./mod.mjs").Scenario[]} */
export const memory = [
  {
    name: "one-byte-chunks-burst",
    what: "2,000 visitors hand over 400 KB of one-byte chunks each, at once",
    flood: { kind: "chunks", chunk: "1\r\nx\r\n", count: 2000, bytesEach: 400_000, seconds: 8 },
    short: { count: 100, seconds: 1 },
    hasLatencyBound: false,
    watchSeconds: 8,
  },
  {
    name: "stalled-uploads",
    what: "1,000 plain uploads for an upstream that does not read",
    comesAtOnce: true,
    flood: { kind: "uploads", path: "/stall", count: 1000, bytesEach: tenMiB, seconds: 8 },
    short: { count: 100, seconds: 1 },
  },
  {
    name: "endless-heads",
    what: "2,000 heads of 31 KB that never end",
    comesAtOnce: true,
    flood: { kind: "heads", count: 2000, bytesEach: 31_000, seconds: 5 },
    short: { count: 100, seconds: 1 },
    nginx: true,
  },
  {
    name: "json-slow-agent",
    what: "200 uploads of 6 MiB for an agent of the JSON protocol that reads 1 MB/s",
    comesAtOnce: true,
    flood: { kind: "slowAgent", protocol: "json", count: 200, bytesEach: sixMiB, bytesPerSecond: 1e6, seconds: 8 },
    short: { count: 20, seconds: 1 },
    leftBytes: frameBytes + oneMB,
  },
  {
    name: "json-stalled-agent",
    what: "200 uploads of 6 MiB for an agent of the JSON protocol that reads nothing",
    comesAtOnce: true,
    flood: { kind: "slowAgent", protocol: "json", count: 200, bytesEach: sixMiB, bytesPerSecond: 0, seconds: 8 },
    leftBytes: frameBytes + oneMB,
  },
  {
    name: "v2-stalled-agent",
    what: "1,500 uploads for an agent of runnel.v2 that takes them and reads nothing",
    comesAtOnce: true,
    flood: { kind: "slowAgent", protocol: "v2", count: 1500, bytesEach: tenMiB, bytesPerSecond: 0, seconds: 8 },
    short: { count: 100, seconds: 1 },
    leftBytes: oneMB,
  },
  {
    name: "slow-readers",
    what: "500 visitors that read nothing of an endless answer",
    flood: { kind: "readers", path: "/endless", count: 500, seconds: 8 },
    nginx: true,
    check: ({ kernelBytes, counts }) =>
      kernelBytes === null || kernelBytes <= counts.connected * kernelBytesEach ? [] : [
        `the kernel held ${Math.round(kernelBytes / 1e6)} MB for them, of ${
          Math.round(counts.connected * kernelBytesEach / 1e6)
        }`,
      ],
  },
];
