// @ts-check
/**
 * The demo's public client: `node:http` to 127.0.0.1 with Host set, since names under .localhost do not resolve
 * everywhere. Each request has a connection of its own.
 */
import * as http from "node:http";
import * as https from "node:https";

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** @typedef {{ port: number, host: string, tls?: boolean, path: string, method?: string, body?: Uint8Array }} Ask */

const silenceLimitMs = 15_000;

/**
 * Sends a request and waits for the head of its answer. Rejects after 15 s in which nothing came.
 * @param {Ask} ask @returns {Promise<IncomingMessage>}
 */
export function send({ port, host, tls = false, path, method = "GET", body }) {
  return new Promise((resolve, reject) => {
    // No authority has signed the demo's certificate.
    const trust = { servername: host.replace(/:\d+$/, ""), rejectUnauthorized: false };
    const options = { host: "127.0.0.1", port, path, method, headers: { Host: host }, agent: false };
    const outgoing = tls ? https.request({ ...options, ...trust }) : http.request(options);
    const silence = () => outgoing.destroy(new Error(`${method} ${path}: nothing came for ${silenceLimitMs / 1000} s`));
    outgoing.setTimeout(silenceLimitMs, silence);
    outgoing.on("error", reject).on("response", resolve);
    outgoing.end(body);
  });
}

/** @param {Ask} ask */
export async function fetchWhole(ask) {
  const answer = await send(ask);
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) };
}

/**
 * An answer whose events are looked at one by one. Leaving the iteration closes its connection.
 * @param {Ask} ask
 */
export async function openStream(ask) {
  const answer = await send(ask);
  return {
    status: answer.statusCode,
    headers: answer.headers,
    /** The text as it comes, cut after `separator`, which is left out. */
    async *texts(separator = "\n\n") {
      let rest = "";
      for await (const chunk of answer.setEncoding("utf8")) {
        const texts = (rest + chunk).split(separator);
        rest = /** @type {string} */ (texts.pop());
        yield* texts;
      }
      if (rest !== "") throw new Error(`${ask.path} ended in the middle of a line: ${rest}`);
    },
  };
}
