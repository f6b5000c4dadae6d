/** Connections that go on over another link: nothing is lost or doubled, and what is over is over for a stated reason. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Connection, ErrorCode, type Stream } from "../../src/httpstream/mod.ts";
import { checkBuffers, count } from "../../src/memory/mod.ts";
import { holdProcess } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { type LinkPair, linkPair, type LinkPairOptions } from "../support/link_pair.ts";
import { bytes, connectedPair, echo, GET, OK, type Pair, readAll, text, ticks } from "./pair.ts";

const resumable = { edge: { resumeTimeoutMs: 30_000 }, agent: { resumeTimeoutMs: 30_000 } };

/** Joins the two by a new link, as a handshake does. */
function rejoin({ edge, agent }: Pick<Pair, "edge" | "agent">, options?: LinkPairOptions): LinkPair {
  agent.detach("test");
  edge.detach("test");
  const links = linkPair(options);
  const received = edge.receivedFrames;
  edge.resume(links.edge, agent.receivedFrames);
  agent.resume(links.agent, received);
  return links;
}

/** Sends streams to and fro, and cuts their link. */
async function cutAtRandom(link: LinkPairOptions): Promise<void> {
  checkBuffers(true);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 8 }),
      async (sizes, cuts) => {
        const pair = connectedPair({ ...resumable, onAgentStream: echo, link });
        const links: LinkPair[] = [pair.links];
        // An edge has nothing to wait for before its agent has said anything.
        await pair.edge.ready;
        const streams = [0, 1, 2].map(() => pair.edge.createStream(GET));
        const sent = sizes.map((size, index) => new Uint8Array(size).map((_, at) => at * 31 + index));
        const answers = streams.map((stream) => readAll(stream.readable));
        for (const stream of streams) {
          // Large chunks have references, as reads of sockets do.
          for (const chunk of sent) stream.send(count(chunk.slice()), false);
          stream.send(new Uint8Array(0), true);
        }
        for (const wait of cuts) {
          for (let tick = 0; tick < wait; tick++) await new Promise((resolve) => setTimeout(resolve, 0));
          links.at(-1)!.cut();
          links.push(rejoin(pair, link));
        }
        const expected = Buffer.concat(sent);
        for (const answer of await Promise.all(answers)) assert.ok(expected.equals(await answer));
        await Promise.all(streams.map((stream) => stream.closed));
        await pair.end();
        assert.equal(pair.edge.bufferedBytes + pair.agent.bufferedBytes, 0);
        assert.equal(pair.edge.keptBytes + pair.agent.keptBytes, 0);
        assert.deepEqual(links.filter(({ edge, agent }) => edge.keptMessages + agent.keptMessages > 0), []);
      },
    ),
    { numRuns: 30 },
  );
  checkBuffers(false);
}

describe("Connection that is resumed", () => {
  it("Connection delivers each byte once and in order when its link is cut at random moments", async () => {
    await cutAtRandom({});
  });

  it("Connection does so when its links keep what they send, and releases all of it", async () => {
    await cutAtRandom({ keeps: true });
  });

  it("Connection goes on when the first link was lost before SETTINGS of the edge came", async () => {
    const pair = connectedPair({ ...resumable, onAgentStream: echo });
    pair.links.edge.swallowing = true;
    await pair.edge.ready;
    pair.links.cut();
    await ticks();
    assert.ok(pair.edge.isSuspended && pair.agent.isSuspended);
    rejoin(pair);
    await pair.agent.ready;
    const stream = pair.edge.createStream(GET, { endStream: true, body: bytes("hello") });
    assert.equal(text(await readAll(stream.readable)), "hello");
    await pair.end();
  });

  it("Connection of an edge is over with its link when its agent has sent nothing yet", async () => {
    const pair = connectedPair({ ...resumable });
    pair.links.cut();
    assert.equal((await pair.edge.closed).error?.code, "link_lost");
    await ticks();
    assert.ok(pair.agent.isSuspended);
    pair.agent.close();
  });

  it("Connection sends what was queued while it was suspended when it has a link again", async () => {
    const pair = connectedPair({ ...resumable, onAgentStream: echo });
    await pair.edge.ready;
    const early = pair.edge.createStream(GET);
    await early.response;
    pair.links.cut();
    await ticks();
    early.send(bytes("late"), true);
    const other = pair.edge.createStream(GET, { endStream: true, body: bytes("new") });
    const dropped = pair.edge.createStream(GET);
    dropped.reset();
    await ticks();
    rejoin(pair);
    assert.equal(text(await readAll(early.readable)), "late");
    assert.equal(text(await readAll(other.readable)), "new");
    assert.equal(pair.agent.streams, 0);
    await pair.end();
  });

  it("Connection ends every stream with RESUME_EXPIRED when no link came in time", async () => {
    const clock = new FakeClock();
    const links = linkPair();
    const connection = new Connection(links.edge, { role: "edge", clock, resumeTimeoutMs: 30_000 });
    const peer = new FramePeer(links.agent);
    await peer.greet();
    await connection.ready;
    const streams = [connection.createStream(GET), connection.createStream(GET)];
    streams[0].send(new Uint8Array(500_000), false);
    await ticks();
    links.cut();
    await ticks();
    assert.ok(connection.isSuspended && connection.keptBytes > 0);
    clock.advance(29_999);
    assert.equal(connection.suspendedMs, 29_999);
    assert.ok(connection.isSuspended);
    clock.advance(1);
    const { code, reason } = await connection.closed;
    assert.equal(code, ErrorCode.RESUME_EXPIRED);
    assert.equal(reason, "It was not resumed within 30000 ms");
    for (const stream of streams) {
      const error = await stream.closed;
      assert.equal(error?.code, "connection_lost");
      assert.equal(error?.errorCode, ErrorCode.RESUME_EXPIRED);
    }
    assert.equal(connection.streams + connection.bufferedBytes + connection.keptBytes, 0);
  });

  for (const [what, change] of [["more", 1], ["fewer", -1]] as const) {
    it(`Connection ends when its peer says that it has taken ${what} frames than can be`, async () => {
      const links = linkPair();
      const connection = new Connection(links.edge, { role: "edge", resumeTimeoutMs: 30_000 });
      const peer = new FramePeer(links.agent);
      await peer.greet();
      connection.createStream(GET);
      await ticks();
      // SETTINGS, HEADERS, and the window for the answer.
      peer.send((message) => message.ack(change > 0 ? 0 : 3));
      await ticks();
      links.cut();
      await ticks();
      const received = change > 0 ? 4 : 2;
      assert.equal(connection.canResume(received), false);
      assert.equal(connection.canResume(3), true);
      const next = linkPair();
      const second = new FramePeer(next.agent);
      connection.resume(next.edge, received);
      const { error } = await connection.ended;
      assert.equal(error?.code, "protocol_error");
      assert.match(error!.reason, /^The peer has taken \d frames, of which 3 were sent and \d acknowledged$/);
      await second.until(() => second.frames.some((frame) => frame.type === "GOAWAY"), "GOAWAY");
    });
  }

  it("Connection is over with its link when the peer has said its last word, or broke the protocol", async () => {
    const pair = connectedPair({ ...resumable });
    await pair.edge.ready;
    pair.edge.close();
    assert.equal((await pair.agent.closed).error, null);
    const faulty = connectedPair({ ...resumable });
    await faulty.edge.ready;
    faulty.links.agent.send([Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0, 0, 0)]);
    assert.equal((await faulty.edge.closed).error?.code, "protocol_error");
    assert.equal((await faulty.agent.closed).error?.code, "peer_failed");
  });

  it("Connection is suspended when a proxy closes its link with 1001", async () => {
    const pair = connectedPair({ ...resumable, onAgentStream: echo });
    await pair.edge.ready;
    pair.links.edge.close(1001, "going away");
    await ticks();
    assert.ok(pair.agent.isSuspended && pair.edge.isSuspended);
    rejoin(pair);
    assert.equal(await pair.edge.ping() >= 0, true);
    await pair.end();
  });

  it("Connection waits 3 s for a link when it has drained, since a stream may have been on the way", async () => {
    const clock = new FakeClock();
    const links = linkPair();
    const connection = new Connection(links.agent, { role: "agent", resumeTimeoutMs: 30_000, clock });
    const peer = new FramePeer(links.edge);
    await peer.greet();
    const drained = connection.drain();
    await ticks();
    links.cut();
    await ticks();
    assert.ok(connection.isSuspended);
    clock.advance(2_999);
    assert.ok(connection.isSuspended);
    clock.advance(1);
    assert.equal((await drained).code, ErrorCode.RESUME_EXPIRED);
  });

  it("Connection drains to its end when its link is cut meanwhile, and not before the peer has all of it", async () => {
    // The last acknowledgement waits for a timer, which holds no process.
    const endHold = holdProcess();
    const pair = connectedPair({
      ...resumable,
      onAgentStream: (stream: Stream) => stream.respond(OK, { endStream: true, body: bytes("all of it") }),
    });
    await pair.edge.ready;
    const stream = pair.edge.createStream(GET, { endStream: true });
    pair.links.cut();
    const drained = pair.agent.drain();
    await ticks();
    rejoin(pair);
    assert.equal(text(await readAll(stream.readable)), "all of it");
    assert.equal((await drained).error, null);
    assert.equal((await pair.edge.closed).error, null);
    endHold();
  });

  it("Connection takes nothing of a link that it has given up", async () => {
    const links = linkPair();
    const connection = new Connection(links.edge, { role: "edge", resumeTimeoutMs: 30_000 });
    const peer = new FramePeer(links.agent);
    await peer.greet();
    const before = connection.receivedFrames;
    peer.send((message) => message.headers(1, GET, 0));
    connection.detach("another link comes");
    await ticks();
    assert.equal(connection.receivedFrames, before);
    assert.ok(connection.isSuspended);
    connection.endWithLink();
    assert.equal((await connection.closed).code, ErrorCode.RESUME_EXPIRED);
  });

  it("Connection keeps no more than what may be in flight when its peer takes nothing", async () => {
    const links = linkPair();
    const connection = new Connection(links.edge, { role: "edge", resumeTimeoutMs: 30_000 });
    const peer = new FramePeer(links.agent);
    await peer.greet();
    await connection.ready;
    // Windows allow 20 x 64 KiB, of which 256 KiB may be in flight before there is a rate.
    for (let index = 0; index < 20; index++) connection.createStream(GET).send(new Uint8Array(65_536), false);
    await ticks();
    assert.ok(connection.keptBytes > 200_000 && connection.keptBytes < 270_000, String(connection.keptBytes));
    connection.close();
    assert.equal(connection.keptBytes, 0);
  });
});
