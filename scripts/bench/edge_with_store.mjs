// @ts-check
/** An edge with a store in a folder of its own, and its admin API. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { root } from "../lib/toolchain.mjs";
import { freePort, untilAnswering } from "./ports.mjs";
import { start } from "./runnel.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */

/**
 * Starts it; resolves once its admin API answers. The folder goes with this process.
 * @param {Runtime} runtime
 */
export async function startEdgeWithStore(runtime) {
  const folder = mkdtempSync(join(tmpdir(), "runnel-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const [port, adminPort] = [await freePort(), await freePort()];
  const edge = start("edge with a store", runtime, join(root, "bin/edge.ts"), [
    ...["serve", "--listen", `127.0.0.1:${port}`, "--admin-listen", `127.0.0.1:${adminPort}`, "--data", folder],
  ]);
  await Promise.race([untilAnswering(adminPort, "localhost", "/readyz"), edge.lost]);
  const adminToken = readFileSync(join(folder, "admin-token"), "utf8").trim();
  return { edge, folder, port, adminPort, adminToken };
}
