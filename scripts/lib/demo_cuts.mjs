// @ts-check
/** What `demo.sh --cut` shows: a stream of ticks and a large download while the link between agent and edge is cut. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { openStream, send } from "./demo_client.mjs";
import { sequence } from "./sequence.mjs";

/** @typedef {import("./demo.mjs").Demo} Demo */
/** @typedef {import("./cutting_relay.mjs").CuttingRelay} CuttingRelay */
/** @typedef {{ bytes: number, everyMs: number }} Cuts */

/** The download is read so slowly that about so many cuts fall into it. */
const cutsOfDownload = 5.5;
/** What is read is behind that rate by up to this much before it is waited for. */
const leastPauseMs = 10;

/** What has come so far. */
class Progress {
  bytes = 0;
  ticks = 0;

  get text() {
    return `${Math.round(this.bytes / 1e6)} MB and ${this.ticks} ticks so far`;
  }
}

/**
 * Prints each cut. Resolves to what is to be said in the end; rejects with what was lost.
 * @param {Demo} demo @param {CuttingRelay} relay @param {Cuts} cuts
 */
export async function compareUnderCuts({ port, url }, relay, { bytes, everyMs }) {
  const place = { port, host: url.host, tls: url.protocol === "https:" };
  const progress = new Progress();
  const onCut = (/** @type {number} */ number) => console.log(`cut ${number}: ${progress.text}`);
  const onBack = (/** @type {number} */ afterMs) => console.log(`       back after ${Math.round(afterMs)} ms`);
  relay.on("cut", onCut).on("back", onBack);
  try {
    const ticks = await openStream({ ...place, path: "/events" });
    const counted = countTicks(ticks, progress);
    relay.begin(everyMs);
    const bytesPerMs = bytes / (cutsOfDownload * everyMs);
    await Promise.race([counted.failed, download(place, bytes, bytesPerMs, progress)]);
    const { cuts } = relay;
    // The ticks have lived through the last cut, too, where another one comes.
    await counted.another();
    return `${bytes} bytes byte-exact and ${progress.ticks} ticks in order, over ${cuts} cuts`;
  } finally {
    relay.off("cut", onCut).off("back", onBack);
  }
}

/**
 * Reads the stream until `another()` has been resolved.
 * @param {Awaited<ReturnType<typeof openStream>>} stream @param {Progress} progress
 */
function countTicks(stream, progress) {
  let isOver = false;
  const read = async () => {
    for await (const text of stream.texts()) {
      const { n } = JSON.parse(text.replace(/^id: \d+\ndata: /, ""));
      if (n !== progress.ticks + 1) throw new Error(`tick ${n} came behind tick ${progress.ticks}`);
      progress.ticks = n;
      if (isOver) return;
    }
    throw new Error("they ended");
  };
  const ended = read().catch((error) => {
    throw new Error(`the ticks broke off behind tick ${progress.ticks}: ${error.message}`, { cause: error });
  });
  ended.catch(() => {});
  return {
    /** Rejects where they break off. @type {Promise<never>} */
    failed: ended.then(() => new Promise(() => {})),
    another() {
      isOver = true;
      return ended;
    },
  };
}

/**
 * @param {{ port: number, host: string, tls: boolean }} place @param {number} bytes @param {number} bytesPerMs
 * @param {Progress} progress
 */
async function download(place, bytes, bytesPerMs, progress) {
  const answer = await send({ ...place, path: `/bytes?size=${bytes}` });
  if (answer.statusCode !== 200) throw new Error(`the download was answered with ${answer.statusCode}`);
  const hash = createHash("sha256");
  // Made as the bytes come: of a gigabyte at once it would stop the relay, which is in this process, for seconds.
  const expected = createHash("sha256");
  const blocks = sequence(bytes);
  let expectedBytes = 0;
  const startedAt = performance.now();
  try {
    for await (const chunk of answer) {
      hash.update(chunk);
      progress.bytes += chunk.length;
      while (expectedBytes < Math.min(progress.bytes, bytes)) {
        const block = /** @type {Uint8Array} */ (blocks.next().value);
        expected.update(block);
        expectedBytes += block.length;
      }
      const dueMs = startedAt + progress.bytes / bytesPerMs - performance.now();
      if (dueMs > leastPauseMs) await sleep(dueMs);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new Error(`the download broke off behind ${progress.bytes} of ${bytes} bytes: ${reason}`, { cause: error });
  }
  if (progress.bytes !== bytes) throw new Error(`${progress.bytes} of ${bytes} bytes came`);
  if (hash.digest("hex") !== expected.digest("hex")) throw new Error("the hash differs from that of what was sent");
}
