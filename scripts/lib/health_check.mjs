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
import * as http from "node:http";
import * as https from "node:https";
import { isIP } from "node:net";
import { basename } from "node:path";
import process from "node:process";

const usualPort = 8080;
const limitMs = 4_000;

/** Flags that give an edge a certificate: without `--listen`, it then has a port of its own. */
const certificateFlag = /^--(?:acme|tls-cert|tls-self-signed)(?:=|$)/;
const certificateVariables = ["RUNNEL_ACME", "RUNNEL_TLS_CERT", "RUNNEL_TLS_SELF_SIGNED"];

/** @param {readonly string[]} flags @param {string} name @returns {string[]} */
function valuesOf(flags, name) {
  return flags.flatMap((word, i) => {
    if (word === `--${name}`) return [flags[i + 1] ?? ""];
    return word.startsWith(`--${name}=`) ? [word.slice(name.length + 3)] : [];
  });
}

/** @param {readonly string[]} flags @param {string} name of a switch */
function isOn(flags, name) {
  const variable = process.env[`RUNNEL_${name.toUpperCase().replaceAll("-", "_")}`] ?? "";
  return flags.includes(`--${name}`) || ["1", "true"].includes(variable);
}

/**
 * Where the edge of this command line listens; null where it calls no edge. Of several addresses, one without TLS: there,
 * too, it answers probes.
 * @param {readonly string[]} words
 */
function listenOf(words) {
  const at = words.findIndex((word, i) => /^edge(?:\.[jt]s)?$/.test(basename(word)) && words[i + 1] === "serve");
  if (at < 0) return null;
  const flags = words.slice(at + 2);
  // It takes connections of its proxies alone: the admin API is asked.
  if (isOn(flags, "proxy-protocol")) {
    const admin = valuesOf(flags, "admin-listen")[0] ?? process.env.RUNNEL_ADMIN_LISTEN;
    return admin === "off" ? null : admin || "127.0.0.1:4480";
  }
  const given = valuesOf(flags, "listen");
  const listens = given.length > 0 ? given : (process.env.RUNNEL_LISTEN ?? "").split(",").map((item) => item.trim());
  const plain = listens.find((listen) => listen !== "" && !/^https:/i.test(listen));
  const hasCertificate = flags.some((word) => certificateFlag.test(word)) ||
    certificateVariables.some((name) => !["", "0", "false"].includes(process.env[name] ?? ""));
  return plain ?? (listens[0] || (hasCertificate ? "http://*:80" : String(usualPort)));
}

/** What `node:http` connects to. @param {string} listen as `--listen` takes it */
export function target(listen) {
  const address = listen.replace(/^https?:\/\//i, "").replace(/\/$/, "");
  if (address.startsWith("unix:")) return { socketPath: address.slice("unix:".length) };
  const [, host, port] = /^\d+$/.test(address)
    ? [address, "", address]
    : isIP(address) === 6
    ? [address, address]
    : /^([^:[\]]*|\[[^[\]]*\])(?::(\d+))?$/.exec(address) ?? [];
  if (host === undefined || address.startsWith("fd:")) throw new Error(`cannot connect to ${listen}`);
  const isAny = ["", "*", "0.0.0.0", "[::]", "::"].includes(host);
  return { host: isAny ? "127.0.0.1" : host.replace(/^\[|\]$/g, ""), port: Number(port ?? usualPort) };
}

/** @param {string} listen @returns {Promise<void>} */
function check(listen) {
  return new Promise((resolve, reject) => {
    const { request } = /^https:/i.test(listen) ? https : http;
    // The edge takes `localhost` for itself, whatever its domain is. It is asked for no name in the handshake, since it may
    // refuse those that its certificates do not have.
    const to = { ...target(listen), servername: "", rejectUnauthorized: false };
    const asking = request({ ...to, path: "/healthz", headers: { Host: "localhost" }, timeout: limitMs });
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
