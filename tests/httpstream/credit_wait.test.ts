/** For how long bytes of a stream wait for credit, where somebody counts it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WaitTime } from "../../src/base/mod.ts";
import type { Stream } from "../../src/httpstream/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { connectedPair, GET, type Pair } from "./pair.ts";

const bulk = new Uint8Array(1024 * 1024);

interface Stage {
  readonly pair: Pair;
  readonly clock: FakeClock;
  readonly wait: WaitTime;
  /** Sends 1 MiB to an agent that has read none of it; it waits for credit. */
  readonly asking: Stream;
  readonly answering: Stream;
}

async function withBlocked(use: (stage: Stage) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  let accept!: (stream: Stream) => void;
  const accepted = new Promise<Stream>((resolve) => accept = resolve);
  const pair = connectedPair({ onAgentStream: (stream) => accept(stream), edge: { clock }, agent: { clock } });
  const wait = new WaitTime();
  const asking = pair.edge.createStream(GET);
  asking.creditWait = wait;
  const answering = await accepted;
  assert.equal(wait.waiting, 0);
  asking.send(bulk.slice(), false);
  await eventually(() => wait.waiting === 1);
  await use({ pair, clock, wait, asking, answering });
  await pair.end();
  assert.equal(wait.waiting, 0);
}

async function readBytes(stream: Stream, count: number): Promise<void> {
  const reader = stream.readable.getReader();
  for (let left = count; left > 0;) left -= (await reader.read()).value!.length;
  reader.releaseLock();
}

describe("Stream.creditWait", () => {
  it("counts from the window's end until the reader has made room", () =>
    withBlocked(async ({ clock, wait, asking, answering }) => {
      clock.advance(300);
      assert.equal(wait.totalMs(clock.now()), 300);
      await readBytes(answering, bulk.length);
      await eventually(() => asking.unsentBytes === 0);
      assert.equal(wait.waiting, 0);
      clock.advance(500);
      assert.equal(wait.totalMs(clock.now()), 300);
    }));

  it("counts from the sending when the window was used up before", () =>
    withBlocked(async ({ clock, wait, asking, answering }) => {
      await readBytes(answering, bulk.length);
      await eventually(() => asking.unsentBytes === 0);
      clock.advance(1_000);
      asking.send(bulk.slice(), false);
      await eventually(() => wait.waiting === 1);
      clock.advance(20);
      assert.equal(wait.totalMs(clock.now()), 20);
    }));

  for (
    const [what, end] of Object.entries<(stage: Stage) => void>({
      "resets the stream": ({ asking }) => asking.reset(),
      "resets its own direction": ({ asking }) => asking.resetSending(),
    })
  ) {
    it(`ends when the sender ${what}`, () =>
      withBlocked((stage) => {
        stage.clock.advance(40);
        end(stage);
        assert.equal(stage.wait.waiting, 0);
        stage.clock.advance(40);
        assert.equal(stage.wait.totalMs(stage.clock.now()), 40);
        return Promise.resolve();
      }));
  }

  it("ends when the reader wants no more", () =>
    withBlocked(async ({ clock, wait, answering }) => {
      clock.advance(40);
      answering.stopSending();
      await eventually(() => wait.waiting === 0);
      assert.equal(wait.totalMs(clock.now()), 40);
    }));
});
