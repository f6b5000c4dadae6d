import { describe, it } from "node:test";
import assert from "node:assert/strict";
import type { LinkCloseInfo } from "../../src/httpstream/link.ts";
import { FakeClock } from "./clock.ts";
import { FramePeer, rawFrame } from "./frame_peer.ts";
import { linkPair, type LinkPairOptions, type MemoryLink } from "./link_pair.ts";

interface Seen {
  messages: number[];
  drains: number;
  ends: LinkCloseInfo[];
}

function watch(link: MemoryLink): Seen {
  const seen: Seen = { messages: [], drains: 0, ends: [] };
  link.handlers = {
    onMessage: (message) => void seen.messages.push(message.length),
    onDrain: () => void seen.drains++,
    onClose: (info) => void seen.ends.push(info),
  };
  return seen;
}

function watchedPair(options: LinkPairOptions) {
  const clock = new FakeClock();
  const pair = linkPair({ clock, ...options });
  return { clock, pair, edge: watch(pair.edge), agent: watch(pair.agent) };
}

describe("linkPair", () => {
  it("delivers in order after delay and transmission when it has a delay and a rate", () => {
    const { clock, pair, agent } = watchedPair({ delayMs: 20, bytesPerSecond: 1_000 });
    pair.edge.send([new Uint8Array(60), new Uint8Array(40)]);
    pair.edge.send([new Uint8Array(10)]);
    assert.equal(pair.edge.bufferedBytes, 110);
    clock.advance(105);
    assert.deepEqual([agent.messages, pair.edge.bufferedBytes], [[], 10]);
    clock.advance(15);
    assert.deepEqual(agent.messages, [100]);
    clock.advance(10);
    assert.deepEqual([agent.messages, pair.edge.bufferedBytes, clock.pending], [[100, 10], 0, 0]);
  });

  it("asks to wait above its high-water mark, and drains once when all has left", () => {
    const { clock, pair, edge } = watchedPair({ bytesPerSecond: 1_000, highWaterBytes: 50 });
    assert.deepEqual([pair.edge.send([new Uint8Array(50)]), pair.edge.send([new Uint8Array(1)])], [true, false]);
    clock.advance(50);
    assert.equal(edge.drains, 0);
    clock.advance(1);
    assert.equal(edge.drains, 1);
  });

  it("ends both sides cleanly and after the last message when one closes", () => {
    const { clock, pair, edge, agent } = watchedPair({ delayMs: 5 });
    pair.edge.send([new Uint8Array(3)]);
    pair.edge.close(1001, "bye");
    pair.edge.send([new Uint8Array(4)]);
    clock.advance(10);
    const end = { code: 1001, reason: "bye", clean: true };
    assert.deepEqual([agent.messages, agent.ends, edge.ends, clock.pending], [[3], [end], [end], 0]);
  });

  it("ends both sides with 1006 and drops what was on its way when it is cut", () => {
    const { clock, pair, edge, agent } = watchedPair({ delayMs: 5 });
    pair.edge.send([new Uint8Array(3)]);
    pair.cut();
    clock.advance(10);
    const end = { code: 1006, reason: "", clean: false };
    assert.deepEqual([agent.messages, agent.ends, edge.ends, clock.pending], [[], [end], [end], 0]);
    assert.equal(pair.edge.bufferedBytes, 0);
  });

  it("delivers nothing from one side when that side is swallowed", () => {
    const { clock, pair, edge, agent } = watchedPair({});
    pair.edge.swallowing = true;
    pair.edge.send([new Uint8Array(3)]);
    pair.agent.send([new Uint8Array(4)]);
    clock.advance(0);
    assert.deepEqual([agent.messages, edge.messages], [[], [4]]);
  });
});

describe("FramePeer", () => {
  it("exchanges true and false frames when two of them meet", async () => {
    const pair = linkPair();
    const edge = new FramePeer(pair.edge);
    const agent = new FramePeer(pair.agent);
    await Promise.all([edge.greet([1, 65_536]), agent.greet()]);
    edge.send((message) => {
      message.headers(2, [":method", "GET", ":path", "/"], 0);
      message.ack(1);
      message.data(2, Uint8Array.of(1), true);
    });
    await agent.expectFrame("HEADERS", { streamId: 2, fields: [":method", "GET", ":path", "/"] });
    await agent.expectFrame("DATA", { endStream: true });
    agent.sendRaw({ type: 0x42, streamId: 5 }, rawFrame({ type: "ACK", payload: [0, 0, 0, 0, 0, 3] }));
    await edge.expectFrame("unknown", { number: 0x42 });
    await edge.expectFrame("ACK", { count: 3 });
    assert.equal(agent.countedFrames, 3);
    await assert.rejects(async () => {
      edge.close(1000, "done");
      await agent.next();
    }, /the link ended with 1000 "done"/);
    assert.deepEqual(await edge.closed(), { code: 1000, reason: "done", clean: true });
  });

  it("fails the expectation when another frame comes", async () => {
    const pair = linkPair();
    const edge = new FramePeer(pair.edge);
    const agent = new FramePeer(pair.agent);
    edge.send((message) => message.windowUpdate(2, 9));
    await assert.rejects(agent.expectFrame("WINDOW_UPDATE", { increment: 10 }), { name: "AssertionError" });
    pair.cut();
    await edge.closed();
  });
});
