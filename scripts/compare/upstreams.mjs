// @ts-check
/** The upstreams that are asked, each a process of its own. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Child } from "../bench/child.mjs";
import { freePort, untilAnswering } from "../bench/ports.mjs";

/** @typedef {{ port: number, stop(): Promise<void> }} Upstream */

const folder = join(dirname(fileURLToPath(import.meta.url)), "upstreams");

/**
 * Starts one that prints its port.
 * @param {string} program @param {string} file in upstreams/ @param {string[]} args
 * @returns {Promise<Upstream>}
 */
export async function startPrinting(program, file, ...args) {
  const child = new Child(file, program, [join(folder, file), ...args], { stdout: "pipe" });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), child.lost]);
  return { port: Number(line), stop: () => child.stop() };
}

/** `python3 -m http.server`, which has no POST. @returns {Promise<Upstream>} */
export async function startHttpServer() {
  const files = mkdtempSync(join(tmpdir(), "runnel-compare-"));
  process.on("exit", () => rmSync(files, { recursive: true, force: true }));
  writeFileSync(join(files, "small"), "ok");
  return await startListening("http.server", (port) => [
    ...["python3", "-m", "http.server", String(port), "--bind", "127.0.0.1", "--directory", files],
  ]);
}

/** @param {string} program where gunicorn is @returns {Promise<Upstream>} */
export function startGunicorn(program) {
  return startListening("gunicorn", (port) => [
    ...[program, "--bind", `127.0.0.1:${port}`, "--chdir", folder, "--log-level", "critical", "early_wsgi:application"],
  ]);
}

/** @param {string} name @param {(port: number) => string[]} commandOf program and arguments for a port */
async function startListening(name, commandOf) {
  const port = await freePort();
  const [program, ...args] = commandOf(port);
  const child = new Child(name, program, args);
  await Promise.race([untilAnswering(port, "127.0.0.1"), child.lost]);
  return { port, stop: () => child.stop() };
}
