// @ts-check
/** Connections: many, slow, lost, and more than there are descriptors. */

const descriptors = 256;
/** At rest a hundred requests are measured: below this, one that was late by chance decides. */
const leastP99LimitMs = 25;
const vanishedFrom = "127.66.14.2";

/** @type {import("./mod.mjs").Scenario[]} */
export const connections = [
  {
    name: "idle-sockets",
    what: "5,000 connections that say nothing",
    flood: { kind: "idle", count: 5000, seconds: 5 },
    nginx: true,
  },
  {
    name: "slow-heads",
    what: "2,000 heads that come byte by byte",
    flood: { kind: "drip", count: 2000, everyMs: 500, seconds: 6 },
    nginx: true,
  },
  {
    name: "slow-bodies",
    what: "1,000 bodies that come byte by byte",
    flood: { kind: "drip", body: true, path: "/sink", count: 1000, everyMs: 500, seconds: 6 },
    nginx: true,
  },
  {
    name: "slow-everything",
    what: "500 visitors at once that are slow with heads, with bodies and as readers, a third each",
    flood: { kind: "slow", count: 500, everyMs: 500, seconds: 20 },
    short: { count: 60, seconds: 2 },
    check: ({ rest, flooded, counts }, short) => {
      const wanted = short ? 60 : 500;
      const faults = counts.connected === wanted ? [] : [`${counts.connected} of ${wanted} were let in`];
      const limitMs = Math.max(leastP99LimitMs, 2 * rest.p99Ms);
      if (!short && flooded.p99Ms > limitMs) {
        faults.push(`p99 is ${flooded.p99Ms.toFixed(0)} ms, of ${limitMs.toFixed(0)}`);
      }
      return faults;
    },
  },
  {
    name: "resets",
    what: "9,500 connections that are reset in every phase of an exchange",
    flood: { kind: "resets", count: 9500, seconds: 20 },
    short: { count: 350 },
    hasLatencyBound: false,
  },
  {
    name: "websockets",
    what: "2,000 upgrades, each ended behind its 101",
    flood: { kind: "webSockets", count: 2000, seconds: 15 },
    short: { count: 100 },
    hasLatencyBound: false,
    check: ({ counts }, short) => {
      const wanted = short ? 100 : 2000;
      return counts["upgraded 101"] === wanted ? [] : [`${counts["upgraded 101"]} of ${wanted} were upgraded`];
    },
  },
  {
    name: "requests",
    what: "40,000 requests on 32 connections",
    flood: { kind: "requests", count: 32, requests: 40_000, seconds: 20 },
    short: { requests: 1000 },
    hasLatencyBound: false,
    check: ({ counts }, short) => {
      const wanted = short ? 1000 : 40_000;
      return counts.answers >= wanted ? [] : [`${counts.answers} of ${wanted} were answered`];
    },
  },
  {
    name: "edge-descriptors",
    what: `600 connections to an edge that may have ${descriptors} descriptors`,
    flood: { kind: "idle", count: 600, seconds: 4 },
    // The others are more than it has descriptors for, and a busy machine takes a while to accept them.
    short: { seconds: 20, endsOnce: { ECONNRESET: 600 - descriptors } },
    descriptors,
    check: ({ counts }) =>
      counts.left <= descriptors ? [] : [`${counts.left} connections were neither refused nor closed`],
  },
  {
    name: "agent-descriptors",
    what: "200 streams through an agent that may have 96 descriptors",
    flood: { kind: "askers", path: "/events", count: 200, seconds: 4 },
    // The others are more than it has descriptors for.
    short: { seconds: 20, endsOnce: { "answered 503": 200 - 96 } },
    sharesAgent: true,
    descriptors: 96,
    neighborMayFail: true,
    check: ({ counts }) =>
      counts["answered 503"] > 0 && !counts["answered 502"] ? [] : ["what was too much was not answered with 503"],
  },
  {
    name: "vanished-visitors",
    what: "50 visitors of event streams whose network is lost",
    flood: { kind: "vanishing", path: "/events", count: 50, from: vanishedFrom, seconds: 3 },
    vanishes: vanishedFrom,
    watchSeconds: 130,
    check: ({ vanished }) => vanished === 0 ? [] : [`${vanished} of them were still held after 130 s`],
  },
  {
    name: "unregistered-links",
    what: "1,100 WebSockets without a token, then an honest agent of the JSON protocol from another address",
    flood: { kind: "unregistered", count: 1100, from: "127.66.14.3", seconds: 5 },
    check: ({ told }) => told === "registered" ? [] : [`the honest agent was refused: ${told}`],
  },
];
