// @ts-check
/** What `demo.sh --once` tries, seen from the public side. */
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { fetchWhole, openStream, send } from "./demo_client.mjs";
import { sequence } from "./sequence.mjs";

/** @typedef {import("./demo.mjs").Demo} Demo */
/** @typedef {import("./program.mjs").Program} Program */
/** @typedef {{ port: number, host: string, tls?: boolean }} Place */

const megabyte = 1024 * 1024;
const usualBulkBytes = 200 * megabyte;
const growthLimitBytes = 64 * megabyte;
const ticks = 20;

/** @param {Iterable<Uint8Array>} blocks */
function hashOf(blocks) {
  const hash = createHash("sha256");
  for (const block of blocks) hash.update(block);
  return hash.digest("hex");
}

/** @param {Place} place */
async function checkPage(place) {
  const { status, headers, body } = await fetchWhole({ ...place, path: "/" });
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "text/html; charset=utf-8");
  assert.match(body.toString(), /Served through Runnel/);
  return `${body.length} bytes`;
}

/**
 * The upstream makes a tick only once the one before was confirmed, here on another connection: anything between that
 * holds one back stops the stream for good.
 * @param {Place} place @param {string} path @param {string} contentType @param {string} separator
 */
async function checkTicker(place, path, contentType, separator) {
  const id = randomUUID();
  const stream = await openStream({ ...place, path: `${path}?id=${id}&count=${ticks}` });
  assert.equal(stream.status, 200);
  assert.equal(stream.headers["content-type"], contentType);
  let seen = 0;
  for await (const text of stream.texts(separator)) {
    const { n } = JSON.parse(text.replace(/^id: \d+\ndata: /, ""));
    assert.equal(n, ++seen);
    const confirmation = await fetchWhole({ ...place, method: "POST", path: `/confirm/${id}?n=${n}` });
    assert.equal(confirmation.status, 204);
  }
  assert.equal(seen, ticks);
  return `${ticks} events, each confirmed before the next was made`;
}

/** @param {Place} place @param {Program[]} programs @param {number} bulkBytes */
async function checkBulk(place, programs, bulkBytes) {
  const before = programs.map((program) => program.memory);
  const answer = await send({ ...place, path: `/bytes?size=${bulkBytes}` });
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers["transfer-encoding"], "chunked");
  const hash = createHash("sha256");
  const startedAt = performance.now();
  let received = 0;
  for await (const chunk of answer) {
    received += chunk.length;
    hash.update(chunk);
  }
  const rate = Math.round(received / 1000 / (performance.now() - startedAt));
  const after = programs.map((program) => program.memory);
  assert.equal(received, bulkBytes);
  assert.equal(hash.digest("hex"), hashOf(sequence(bulkBytes)), "the bytes differ from what the upstream sent");
  if (before.includes(null)) return `byte-exact, ${rate} MB/s; memory not measured, there is no /proc here`;
  const growth = programs.map((_, i) => (after[i]?.peak ?? NaN) - (before[i]?.resident ?? NaN));
  const told = programs.map(({ name }, i) => `${name} +${Math.round(growth[i] / megabyte)} MB`).join(", ");
  assert.ok(Math.max(...growth) <= growthLimitBytes, `${told}: more than ${growthLimitBytes / megabyte} MB`);
  return `byte-exact, ${rate} MB/s, ${told}`;
}

/** @param {Place} place */
async function checkPost(place) {
  const body = Buffer.concat([...sequence(megabyte)]);
  const answer = await fetchWhole({ ...place, method: "POST", path: "/echo", body });
  assert.equal(answer.status, 200);
  assert.equal(hashOf([answer.body]), hashOf([body]), "the echo differs from what was sent");
  return "1 MB there and back, byte-exact";
}

/** @param {Place} place */
async function checkHead(place) {
  const page = await fetchWhole({ ...place, path: "/" });
  const head = await fetchWhole({ ...place, method: "HEAD", path: "/" });
  assert.equal(head.status, 200);
  assert.equal(head.headers["content-length"], String(page.body.length));
  assert.equal(head.body.length, 0);
  return `Content-Length ${page.body.length}, no body`;
}

/** @param {Place} place */
async function checkNotFound(place) {
  const { status, headers, body } = await fetchWhole({ ...place, path: "/missing" });
  assert.equal(status, 404);
  assert.equal(body.toString(), "the upstream has nothing at /missing\n");
  assert.equal(headers["x-runnel-error"], undefined);
  return "the upstream's own, as it is";
}

/** @param {Place} place @param {Program} upstream */
async function checkStopped(place, upstream) {
  await upstream.stop();
  const { status, headers, body } = await fetchWhole({ ...place, path: "/" });
  assert.equal(status, 502);
  assert.equal(headers["content-type"], "application/problem+json");
  assert.equal(JSON.parse(body.toString()).code, "upstream_refused");
  assert.equal(headers["x-runnel-error"], "upstream_refused");
  return "502 upstream_refused, with problem details";
}

/** @param {Program[]} programs @param {() => Promise<boolean>} stopAll */
async function checkEnd(programs, stopAll) {
  assert.ok(await stopAll(), "one of them had to be killed");
  for (const program of programs) {
    assert.equal(program.exitCode, 0, `the ${program.name} ended with exit code ${program.exitCode}`);
  }
  return "edge and agent end when asked to";
}

/**
 * Prints each check as it ends. Tells whether all passed.
 * @param {Demo} demo @param {() => Promise<boolean>} stopAll @param {number} bulkBytes of the long answer
 */
export async function runChecks({ upstream, edge, agent, port, url }, stopAll, bulkBytes = usualBulkBytes) {
  const place = { port, host: url.host, tls: url.protocol === "https:" };
  /** @type {[string, () => Promise<string>][]} */
  const checks = [
    ["page", () => checkPage(place)],
    ["SSE ticker", () => checkTicker(place, "/ticker", "text/event-stream", "\n\n")],
    ["NDJSON ticker", () => checkTicker(place, "/ndjson/ticker", "application/x-ndjson", "\n")],
    [`${bulkBytes / megabyte} MB chunked answer`, () => checkBulk(place, [edge, agent], bulkBytes)],
    ["POST", () => checkPost(place)],
    ["HEAD", () => checkHead(place)],
    ["404 of the upstream", () => checkNotFound(place)],
    ["stopped upstream", () => checkStopped(place, upstream)],
    ["end", () => checkEnd([edge, agent], stopAll)],
  ];
  console.log(`${url.href} (edge on ${edge.form}, agent on ${agent.form})`);
  let failed = 0;
  for (const [name, check] of checks) {
    try {
      console.log(`ok    ${name}: ${await check()}`);
    } catch (error) {
      failed++;
      console.log(`FAIL  ${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  console.log(failed === 0 ? `all ${checks.length} checks passed` : `${failed} of ${checks.length} checks failed`);
  return failed === 0;
}
