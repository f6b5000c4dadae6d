// @ts-check
/**
 * The health check of the container image. The container's first process tells what runs in it: an edge must answer at
 * /healthz, where it listens. An agent listens nowhere, and is healthy while it runs.
 *
 *     health_check.mjs [FILE]     FILE is that process's command line (default /proc/1/cmdline)
 *
 * Exits 0 or 1.
 */
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { isIP } from "node:net";
import { basename } from "node:path";
import process from "node:process";

const usualPort = 8080;
const limitMs = 4_000;

/** Where the edge of this command line listens; null where it calls no edge. @param {readonly string[]} words */
function listenOf(words) {
  const at = words.findIndex((word, i) => /^edge(?:\.[jt]s)?$/.test(basename(word)) && words[i + 1] === "serve");
  if (at < 0) return null;
  const flag = words.findIndex((word, i) => i > at && /^--listen(?:=|$)/.test(word));
  if (flag < 0) return process.env.RUNNEL_LISTEN || String(usualPort);
  return words[flag] === "--listen" ? words[flag + 1] : words[flag].slice("--listen=".length);
}

/** What `node:http` connects to. @param {string} listen as `--listen` takes it */
export function target(listen) {
  if (listen.startsWith("unix:")) return { socketPath: listen.slice("unix:".length) };
  const address = listen.replace(/^http:\/\//i, "").replace(/\/$/, "");
  const [, host, port] = /^\d+$/.test(address)
    ? [address, "", address]
    : isIP(address) === 6
    ? [address, address]
    : /^([^:[\]]*|\[[^[\]]*\])(?::(\d+))?$/.exec(address) ?? [];
  if (host === undefined || listen.startsWith("fd:")) throw new Error(`cannot connect to ${listen}`);
  const isAny = ["", "*", "0.0.0.0", "[::]", "::"].includes(host);
  return { host: isAny ? "127.0.0.1" : host.replace(/^\[|\]$/g, ""), port: Number(port ?? usualPort) };
}

/** @param {string} listen @returns {Promise<void>} */
function check(listen) {
  return new Promise((resolve, reject) => {
    // The edge takes `localhost` for itself, whatever its domain is.
    const asking = request({ ...target(listen), path: "/healthz", headers: { Host: "localhost" }, timeout: limitMs });
    asking.on("response", ({ statusCode }) => {
      if (statusCode === 200) resolve();
      else reject(new Error(`/healthz answered ${statusCode}`));
    });
    asking.on("timeout", () => asking.destroy(new Error(`/healthz did not answer within ${limitMs} ms`)));
    asking.on("error", reject);
    asking.end();
  });
}

/** @param {string} file holds the command line of the container's first process */
async function main(file) {
  try {
    // A shell's command is one argument of several words.
    const words = readFileSync(file, "latin1").split(/[\0\s]+/);
    const listen = listenOf(words);
    if (listen !== null) await check(listen);
    process.exit(0);
  } catch (error) {
    console.error(`unhealthy: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
}

// False in a test that imports this file alone.
if (import.meta.main !== false) await main(process.argv[2] ?? "/proc/1/cmdline");
