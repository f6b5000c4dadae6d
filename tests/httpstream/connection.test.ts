import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, Feature, Flag } from "../../src/httpstream/wire/mod.ts";
import { Connection, MemoryAccount, type Stream } from "../../src/httpstream/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { linkPair } from "../support/link_pair.ts";
import { bytes, connectedPair, echo, GET, OK, type Pair, readAll, stage, text, ticks } from "./pair.ts";
import { pour } from "./simulation.ts";

describe("Connection", () => {
  it("Connection carries a request and a whole small answer in one message each way", async () => {
    const messages: string[] = [];
    const pair = connectedPair({
      onAgentStream: (stream) => stream.respond(OK, { body: bytes("hello"), endStream: true }),
    });
    await Promise.all([pair.edge.ready, pair.agent.ready]);
    for (const side of ["edge", "agent"] as const) {
      const { handlers } = pair.links[side];
      const { onMessage } = handlers;
      handlers.onMessage = (message) => {
        messages.push(side);
        onMessage(message);
      };
    }
    const stream = pair.edge.createStream(GET, { endStream: true });
    let whole: Uint8Array | null = null;
    stream.handlers = { onResponse: () => whole = stream.takeWhole() };
    assert.equal(await stream.closed, null);
    assert.equal(text(whole!), "hello");
    assert.deepEqual(messages, ["agent", "edge"]);
    await pair.end();
  });

  it("Connection carries bytes both ways at once when a stream echoes", async () => {
    const pair = connectedPair({ onAgentStream: echo });
    const stream = pair.edge.createStream(GET);
    const sent = new Uint8Array(3_000_000).map((_, index) => index * 31 + (index >> 8));
    const writing = (async () => {
      const writer = stream.writable.getWriter();
      for (let offset = 0; offset < sent.length; offset += 100_000) {
        await writer.write(sent.subarray(offset, offset + 100_000));
      }
      await writer.close();
    })();
    const got = await readAll(stream.readable);
    await writing;
    assert.ok(Buffer.from(got).equals(Buffer.from(sent)));
    assert.equal(await stream.closed, null);
    await pair.end();
    assert.equal(pair.edge.bufferedBytes + pair.agent.bufferedBytes, 0);
  });

  it("Connection serves others at full speed when 500 readers have stalled", async () => {
    const pair = connectedPair({
      onAgentStream: (stream) => {
        if (stream.headers[7] !== "/stalled") {
          return stream.respond(OK, { body: new Uint8Array(1_000), endStream: true });
        }
        stream.respond(OK);
        pour(stream);
      },
    });
    const stalled = Array.from({ length: 500 }, () => {
      return pair.edge.createStream([...GET.slice(0, 7), "/stalled"], { endStream: true });
    });
    await Promise.all(stalled.map((stream) => stream.response));
    for (let round = 0; round < 100; round++) {
      const healthy = pair.edge.createStream(GET, { endStream: true });
      assert.equal((await readAll(healthy.readable)).length, 1_000);
    }
    // The initial windows and the pool: nothing else may be held on this side.
    assert.ok(pair.edge.bufferedBytes <= 500 * 65_536 + 8 * 1_048_576, `${pair.edge.bufferedBytes}`);
    // On the other side, one chunk of each stream that its window does not allow.
    assert.ok(pair.agent.bufferedBytes <= 500 * 2 * 65_536, `${pair.agent.bufferedBytes}`);
    for (const stream of stalled) stream.reset();
    assert.equal(pair.edge.bufferedBytes, 0);
    await pair.end();
  });

  it("Connection refuses a stream here when the peer's limit is reached", async () => {
    const pair = connectedPair({ agentLimits: { maxConcurrentStreams: 2 }, onAgentStream: () => {} });
    await pair.edge.ready;
    const streams = [pair.edge.createStream(GET), pair.edge.createStream(GET)];
    assert.throws(() => pair.edge.createStream(GET), { code: "refused", retryable: true, initiator: "library" });
    streams[0].reset();
    pair.edge.createStream(GET);
    await pair.end();
  });

  it("Connection sends no more header bytes than it may hold", async () => {
    const { connection } = await stage("edge");
    const large = ["a", "x".repeat(60_000)];
    let opened = 0;
    // 1 MiB leaves without an acknowledgement; 4 MiB more may wait.
    assert.throws(() => {
      for (;; opened++) connection.createStream(large);
    }, { code: "refused", retryable: true });
    assert.ok(opened * 60_000 <= 4 * 1_048_576 + 60_000, `${opened} streams`);
    connection.close();
  });

  it("Connection holds streams back until the peer's SETTINGS are here, and keeps to them", async () => {
    const links = linkPair();
    const connection = new Connection(links.edge, { role: "edge" });
    const peer = new FramePeer(links.agent);
    const stream = connection.createStream(GET, { body: new Uint8Array(50_000) });
    await peer.expectFrame("SETTINGS");
    peer.send((m) => m.ping(new Uint8Array(8), false));
    await peer.expectFrame("PING");
    assert.equal(peer.frames.some(({ type }) => type === "HEADERS"), false);
    peer.send((m) => m.settings([1, 20_000, 2, 1, 3, 1_024]));
    await peer.expectFrame("HEADERS", { streamId: 2 });
    await peer.expectFrame("WINDOW_UPDATE", { streamId: 2 });
    const { payload } = await peer.expectFrame("DATA", { streamId: 2 });
    assert.equal(payload.length, 20_000);
    assert.equal(stream.unsentBytes, 30_000);
    assert.throws(() => connection.createStream(GET), { code: "refused" });
    stream.reset();
    assert.throws(() => connection.createStream(["a", "x".repeat(1_100)]), { code: "headers_too_large" });
    connection.close();
  });

  it("Connection tells what its peer takes, once its SETTINGS are here", async () => {
    const links = linkPair();
    const connection = new Connection(links.edge, { role: "edge" });
    const peer = new FramePeer(links.agent);
    assert.equal(connection.peerFeatures, 0);
    const { pairs } = await peer.greet([5, 1, 0xffff, 3, 5, 6]);
    await connection.ready;
    assert.equal(connection.peerFeatures, 6);
    assert.deepEqual(pairs.slice(-2), [5, Feature.REASON | Feature.UPGRADES]);
    connection.close();
  });

  it("Connection copies the rest out of a message when a reader stops halfway through it", async () => {
    const accepted: Stream[] = [];
    const { connection, peer } = await stage("agent", (stream) => accepted.push(stream));
    const part = 20_000;
    peer.send((m) => {
      m.headers(2, GET, 0);
      for (let count = 0; count < 3; count++) m.data(2, new Uint8Array(part).fill(count), false);
    });
    await ticks();
    const [stream] = accepted;
    const first = stream.read()!;
    assert.ok(first.length === part && first.buffer.byteLength >= 3 * part, "it was to wait in its message");
    const second = stream.read()!;
    assert.equal(second.buffer, first.buffer);
    await ticks();
    const third = stream.read()!;
    assert.deepEqual(third, new Uint8Array(part).fill(2));
    assert.equal(third.buffer.byteLength, part);
    connection.close();
  });

  it("Connection opens a stream before anything else of it leaves", async () => {
    const { connection, peer } = await stage("edge");
    const stopped = connection.createStream(GET, { body: bytes("x") });
    stopped.stopSending(ErrorCode.NO_ERROR);
    const halved = connection.createStream(GET);
    halved.send(bytes("y"), true);
    await peer.expectFrame("HEADERS", { streamId: 2 });
    await peer.expectFrame("STOP_SENDING", { streamId: 2, errorCode: ErrorCode.NO_ERROR });
    await peer.expectFrame("HEADERS", { streamId: 4 });
    await peer.expectFrame("WINDOW_UPDATE", { streamId: 4 });
    await peer.expectFrame("DATA", { streamId: 4, endStream: true });
    await peer.expectFrame("DATA", { streamId: 2, endStream: false });
    connection.close();
  });

  it("Connection ends a stream with its head when the end is given before that has left", async () => {
    const { connection, peer } = await stage("agent", (stream) => {
      stream.inform([":status", "102"]);
      stream.inform([":status", "103"]);
      stream.respond(OK);
      stream.send(new Uint8Array(0), true);
    });
    peer.send((m) => m.headers(2, GET, Flag.END_STREAM));
    await peer.expectFrame("HEADERS", { fields: [":status", "102"], flags: Flag.INFORMATIONAL });
    await peer.expectFrame("HEADERS", { fields: [":status", "103"], flags: Flag.INFORMATIONAL });
    await peer.expectFrame("HEADERS", { fields: OK, flags: Flag.END_STREAM });
    connection.close();
  });

  it("Connection sends the first 8 streams of a tick early, then 16, and the rest at its end", async () => {
    const links = linkPair();
    const peer = new FramePeer(links.agent);
    let endTick = () => {};
    const edge = new Connection(links.edge, { role: "edge", defer: (callback) => endTick = callback });
    peer.send((m) => m.settings([]));
    await edge.ready;
    endTick();
    const opened = async (count: number) => {
      for (let i = 0; i < count; i++) edge.createStream(GET, { endStream: true });
      await ticks();
      return peer.frames.filter(({ type }) => type === "HEADERS").length;
    };
    assert.equal(await opened(7), 0);
    assert.equal(await opened(1), 8);
    assert.equal(await opened(15), 8);
    assert.equal(await opened(1), 24);
    assert.equal(await opened(31), 24);
    endTick();
    assert.equal(await opened(0), 55);
    assert.equal(await opened(8), 63);
    edge.close();
  });

  it("Connection acknowledges within 50 ms when nothing else leaves, and after 64 frames at once", async () => {
    const { connection, peer, clock } = await stage("edge", () => {});
    peer.send((m) => m.headers(1, GET, Flag.END_STREAM));
    await ticks();
    clock.advance(49);
    const before = peer.frames.filter(({ type }) => type === "ACK").length;
    clock.advance(50);
    await peer.until(() => peer.frames.filter(({ type }) => type === "ACK").length > before, "an ACK");
    assert.deepEqual(peer.frames.at(-1), { type: "ACK", count: 2 });
    peer.send((m) => {
      for (let frame = 0; frame < 64; frame++) m.windowUpdate(1, 1);
    });
    await peer.until(() => {
      const last = peer.frames.at(-1)!;
      return last.type === "ACK" && last.count === 66;
    }, "the ACK of 66 frames");
    connection.close();
  });

  it("Connection gives credit back when half a window was consumed", async () => {
    const accepted: Stream[] = [];
    const { connection, peer } = await stage("edge", (stream) => accepted.push(stream));
    peer.send((m) => m.headers(1, GET, 0));
    const { increment } = await peer.expectFrame("WINDOW_UPDATE", { streamId: 1 });
    const window = 65_536 + increment;
    peer.send((m) => m.data(1, new Uint8Array(65_536), false));
    peer.send((m) => m.data(1, new Uint8Array(65_536), false));
    const [stream] = accepted;
    while (stream.readableBytes < 2 * 65_536) await ticks();
    stream.read();
    stream.consume(65_536);
    stream.read();
    stream.consume(window / 2 - 65_536 - 1);
    peer.send((m) => m.ping(new Uint8Array(8), false));
    await peer.expectFrame("PING", { ack: true });
    assert.equal(peer.frames.filter(({ type }) => type === "WINDOW_UPDATE").length, 1);
    stream.consume(1);
    await peer.expectFrame("WINDOW_UPDATE", { streamId: 1, increment: window / 2 });
    connection.close();
  });

  it("Connection measures a round trip once for pings that overlap", async () => {
    const { connection, peer, clock } = await stage("edge");
    const answers = [connection.ping(), connection.ping()];
    const { payload } = await peer.expectFrame("PING", { ack: false });
    clock.advance(70);
    peer.send((m) => m.ping(new Uint8Array(8).fill(255), true));
    peer.send((m) => m.ping(payload, true));
    assert.deepEqual(await Promise.all(answers), [70, 70]);
    assert.equal(connection.rttMs, 70);
    connection.close();
    await assert.rejects(connection.ping(), { code: "closed" });
  });

  it("Connection resets the stream that stalled longest when it holds too much", async () => {
    const clock = new FakeClock();
    const pair = connectedPair({
      edgeLimits: { maxHeldBytes: 300_000, growthPoolBytes: 0 },
      edge: { clock },
      onAgentStream: (stream) => stream.respond(OK, { body: new Uint8Array(65_536) }),
    });
    const streams: Stream[] = [];
    const open = async () => {
      clock.advance(10);
      const stream = pair.edge.createStream(GET, { endStream: true });
      streams.push(stream);
      await stream.response;
      while (stream.readableBytes < 65_536 && stream.error === null) await ticks();
    };
    for (let count = 0; count < 4; count++) await open();
    assert.equal(pair.edge.bufferedBytes, 4 * 65_536);
    // The first one moves, so that now the second one has stalled longest.
    clock.advance(10);
    await pair.edge.ping();
    streams[0].read();
    streams[0].consume(1);
    await open();
    await streams[1].closed;
    assert.deepEqual(streams.map(({ error }) => error?.errorCode), [
      undefined,
      ErrorCode.MEMORY_PRESSURE,
      undefined,
      undefined,
      undefined,
    ]);
    assert.equal(pair.edge.bufferedBytes, 4 * 65_536 - 1);
    await pair.end();
  });

  it("Connection that holds most resets a stream when the process holds too much, and no other does", async () => {
    const memory = new MemoryAccount(200_000);
    const pairs = [40_000, 65_536].map((size) =>
      connectedPair({
        edge: { memory },
        onAgentStream: (stream) => stream.respond(OK, { body: new Uint8Array(size) }),
      })
    );
    const open = async ({ edge }: Pair) => {
      const stream = edge.createStream(GET, { endStream: true });
      await stream.response;
      while (stream.readableBytes === 0 && stream.error === null) await ticks();
      return stream;
    };
    const [small, large] = pairs;
    const largeStreams = [await open(large), await open(large)];
    const smallStreams = [await open(small), await open(small)];
    assert.equal((await largeStreams[0].closed)?.errorCode, ErrorCode.MEMORY_PRESSURE);
    assert.deepEqual([largeStreams[1].error, smallStreams[0].error, smallStreams[1].error], [null, null, null]);
    assert.equal(memory.heldBytes, small.edge.bufferedBytes + large.edge.bufferedBytes);
    await Promise.all(pairs.map((pair) => pair.end()));
    assert.equal(memory.heldBytes, 0);
  });

  it("Connection refuses options that are out of range, naming option and value", () => {
    const { edge } = linkPair();
    const cases = [
      [{ initialWindowBytes: 1_000 }, /initialWindowBytes is 1000/],
      [{ maxHeaderBlockBytes: 140_000 }, /maxHeaderBlockBytes is 140000/],
      [{ maxFields: 513 }, /maxFields is 513/],
      [{ deadAfterMs: 5_000 }, /deadAfterMs is 5000/],
      [{ growthPoolBytes: NaN }, /growthPoolBytes is NaN/],
    ] as const;
    for (const [limits, message] of cases) {
      assert.throws(() => new Connection(edge, { role: "edge", limits }), message);
    }
  });
});
