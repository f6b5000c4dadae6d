/**
 * Lost links, and whoever is outside: every byte and event arrives once and in order, and no visitor sees an error. A plan
 * of faults follows from a seed, which is printed where a run fails; RUNNEL_SEED replays it.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { type ChaosOptions, runChaos } from "./chaos/run.ts";
import type { Sizes } from "./chaos/load.ts";

const MIB = 1024 * 1024;
const isSoak = process.env.RUNNEL_SOAK === "1";
const seed = Number(process.env.RUNNEL_SEED ?? Math.floor(Math.random() * 2 ** 31));

const full: Sizes = isSoak
  ? { download: 256 * MIB, upload: 256 * MIB, events: 10_000, echo: 10_000, raw: 64 * MIB, requests: 2_000, leave: 50 }
  : { download: 16 * MIB, upload: 16 * MIB, events: 10_000, echo: 1_000, raw: 8 * MIB, requests: 200, leave: 10 };
const small: Sizes = {
  download: 4 * MIB,
  upload: 4 * MIB,
  events: 1_000,
  echo: 300,
  raw: 2 * MIB,
  requests: 50,
  leave: 3,
};

/** How many of the events must fall while three or more streams are under way. */
const BUSY_SHARE = 0.75;

async function endure(options: Omit<ChaosOptions, "seed">): Promise<void> {
  const report = await runChaos({ seed, ...options });
  console.log(`measured: ${report.text}`);
  assert.ok(report.busyEvents >= BUSY_SHARE * options.events, report.text);
}

describe("a session whose link is cut, stalled, swallowed and half-closed at random bytes", () => {
  it("loses no byte and no event of seven kinds of streams", () =>
    endure({ events: isSoak ? 200 : 20, sizes: full, endDeadlineMs: isSoak ? 600_000 : 60_000 }));

  it("loses nothing on links with TLS inside", () => endure({ events: 6, sizes: small, via: "tls" }));

  it("loses nothing on links through an HTTP proxy", () => endure({ events: 6, sizes: small, via: "proxy" }));

  it("loses nothing of several tunnels of a managed agent", () =>
    endure({ events: 6, sizes: small, tunnels: ["a", "b", "c"] }));
});
