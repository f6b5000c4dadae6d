/**
 * Opens 4,000 streams, eight at any time, while the garbage collector collects its young generation. Prints which part
 * of the streams is still in memory at the end.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { connectedPair } from "../pair.ts";
import { runtimeName } from "../../../src/net/current_runtime.ts";

const STREAMS = 4_000;
const AT_ONCE = 8;
const PER_COLLECTION = 200;

const collectYoung = await youngCollector();
const { edge } = connectedPair({
  onAgentStream: (stream) => stream.respond([":status", "200"], { endStream: true }),
});
const seen: WeakRef<object>[] = [];
let opened = 0;

async function openSome(): Promise<void> {
  while (opened < STREAMS) {
    const stream = edge.createStream([":method", "GET"], { endStream: true });
    seen.push(new WeakRef(stream));
    if (++opened % PER_COLLECTION === 0) await collect();
    await stream.response;
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, openSome));
await collect();
await collect();
console.log(seen.filter((ref) => ref.deref() !== undefined).length / STREAMS);

/** A collection in a tick of its own: what a WeakRef was asked for lives until the end of the tick. */
async function collect(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  collectYoung();
}

async function youngCollector(): Promise<() => void> {
  if (runtimeName === "bun") {
    const { edenGC } = await import("bun:jsc" as string) as { edenGC(): void };
    return edenGC;
  }
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { type: "minor" }) => void;
  return () => gc({ type: "minor" });
}
