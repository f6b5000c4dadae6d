/** How a connection ends: in order, at once, or because something failed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, Flag, MAX_U31 } from "../../src/httpstream/wire/mod.ts";
import type { Stream } from "../../src/httpstream/mod.ts";
import { bytes, connectedPair, echo, GET, OK, readAll, stage, ticks } from "./pair.ts";

describe("Connection", () => {
  it("Connection ends with an error when its peer is silent for 25 s", async () => {
    const { connection, peer, clock } = await stage("edge");
    const stream = connection.createStream(GET);
    await peer.expectFrame("HEADERS");
    await peer.expectFrame("WINDOW_UPDATE");
    clock.advance(12_500);
    await peer.expectFrame("PING", { ack: false });
    clock.advance(12_500);
    assert.equal((await peer.closed()).code, 1006);
    const { error } = await connection.closed;
    assert.deepEqual([error?.code, error?.retryable], ["peer_silent", true]);
    assert.equal((await stream.closed)?.code, "connection_lost");
    assert.equal(clock.pending, 0);
  });

  it("Connection ends its streams when the link is lost", async () => {
    const pair = connectedPair({ onAgentStream: echo });
    const stream = pair.edge.createStream(GET);
    await stream.response;
    pair.links.cut();
    const { error } = await pair.edge.closed;
    assert.deepEqual([error?.code, error?.retryable], ["link_lost", true]);
    const broken = await stream.closed;
    assert.deepEqual([broken?.code, broken?.cause], ["connection_lost", error]);
    await assert.rejects(readAll(stream.readable));
    assert.throws(() => pair.edge.createStream(GET), { code: "closed" });
    await pair.agent.closed;
    assert.equal(pair.edge.streams + pair.agent.streams + pair.agent.bufferedBytes, 0);
  });

  it("Connection leaves in two steps when it drains, after what is in flight has ended", async () => {
    const accepted: Stream[] = [];
    const { connection, peer, clock } = await stage("agent", (stream) => accepted.push(stream));
    peer.send((m) => m.headers(2, GET, Flag.END_STREAM));
    const drained = connection.drain();
    assert.equal(connection.draining, true);
    assert.throws(() => connection.createStream(GET), { code: "draining", retryable: true });
    await peer.expectFrame("GOAWAY", { lastStreamId: MAX_U31, errorCode: ErrorCode.NO_ERROR });
    // What the peer opened before it heard of the drain is still accepted.
    peer.send((m) => m.headers(4, GET, Flag.END_STREAM));
    const ping = peer.frames.find((frame) => frame.type === "PING")!;
    peer.send((m) => m.ping((ping as { payload: Uint8Array }).payload, true));
    await peer.expectFrame("GOAWAY", { lastStreamId: 4, errorCode: ErrorCode.NO_ERROR });
    peer.send((m) => m.headers(6, GET, Flag.END_STREAM));
    await peer.expectFrame("RST_STREAM", { streamId: 6, errorCode: ErrorCode.REFUSED_STREAM });
    assert.deepEqual(accepted.map(({ id }) => id), [2, 4]);
    for (const stream of accepted) stream.respond(OK, { endStream: true });
    await peer.expectFrame("HEADERS", { streamId: 2 });
    await peer.expectFrame("HEADERS", { streamId: 4 });
    assert.equal((await peer.closed()).code, 1001);
    assert.equal((await drained).error, null);
    assert.equal(peer.frames.filter(({ type }) => type === "GOAWAY").length, 2);
    assert.equal(clock.pending, 0);
  });

  it("Connection opens streams behind announceDrain, and drains when it is asked to", async () => {
    const { connection, peer, clock } = await stage("edge");
    connection.announceDrain();
    connection.announceDrain();
    await peer.expectFrame("GOAWAY", { lastStreamId: MAX_U31, errorCode: ErrorCode.NO_ERROR });
    assert.equal(connection.draining, false);
    const stream = connection.createStream(GET, { endStream: true });
    await peer.expectFrame("HEADERS", { streamId: 2 });
    await peer.expectFrame("WINDOW_UPDATE");
    const drained = connection.drain();
    assert.throws(() => connection.createStream(GET), { code: "draining", retryable: true });
    const ping = await peer.expectFrame("PING", { ack: false });
    peer.send((m) => m.ping((ping as { payload: Uint8Array }).payload, true));
    await peer.expectFrame("GOAWAY", { lastStreamId: 0, errorCode: ErrorCode.NO_ERROR });
    peer.send((m) => m.headers(2, OK, Flag.END_STREAM));
    await stream.closed;
    assert.equal((await peer.closed()).code, 1001);
    assert.equal((await drained).error, null);
    assert.equal(peer.frames.filter(({ type }) => type === "GOAWAY").length, 2);
    assert.equal(clock.pending, 0);
  });

  it("Connection takes streams of a peer that has announced its drain, and tells of it", async () => {
    const pair = connectedPair({ onAgentStream: (stream) => stream.respond(OK, { endStream: true }) });
    pair.edge.announceDrain();
    await pair.agent.peerLeaving;
    assert.throws(() => pair.agent.createStream(GET), { code: "draining", initiator: "remote" });
    assert.deepEqual(await pair.edge.createStream(GET, { endStream: true }).response, OK);
    assert.equal((await pair.edge.drain()).error, null);
    assert.equal((await pair.agent.closed).error, null);
  });

  it("Connection tells which streams may be tried again when its peer drains", async () => {
    const { connection, peer } = await stage("edge");
    const streams = [connection.createStream(GET), connection.createStream(GET)];
    await peer.expectFrame("HEADERS", { streamId: 2 });
    peer.send((m) => m.goAway(MAX_U31, ErrorCode.NO_ERROR));
    peer.send((m) => m.goAway(2, ErrorCode.NO_ERROR));
    const refused = await streams[1].closed;
    assert.deepEqual([refused?.code, refused?.retryable], ["refused", true]);
    assert.equal(streams[0].error, null);
    assert.throws(() => connection.createStream(GET), { code: "draining", initiator: "remote" });
    peer.send((m) => m.headers(2, OK, Flag.END_STREAM));
    await streams[0].response;
    streams[0].send(new Uint8Array(0), true);
    await streams[0].closed;
    peer.close(1001);
    assert.equal((await connection.closed).error, null);
  });

  it("Connection drains, and never uses an id again, when its ids run out", async () => {
    const pair = connectedPair({
      edge: { firstStreamIndex: (MAX_U31 - 1) / 2 - 2 },
      onAgentStream: (stream) => stream.respond(OK, { endStream: true }),
    });
    const last = [pair.edge.createStream(GET, { endStream: true }), pair.edge.createStream(GET, { endStream: true })];
    assert.deepEqual(last.map(({ id }) => id), [MAX_U31 - 3, MAX_U31 - 1]);
    assert.throws(() => pair.edge.createStream(GET), { code: "draining", retryable: true });
    for (const stream of last) assert.deepEqual(await stream.response, OK);
    assert.equal((await pair.edge.closed).error, null);
    assert.equal((await pair.agent.closed).error, null);
  });

  it("Connection resets open streams when it is closed, on both sides", async () => {
    const accepted: Stream[] = [];
    const pair = connectedPair({ onAgentStream: (stream) => void accepted.push(stream) });
    const stream = pair.edge.createStream(GET);
    await pair.edge.ping();
    pair.edge.close();
    assert.equal((await stream.closed)?.code, "connection_lost");
    assert.equal((await pair.agent.closed).error, null);
    assert.equal((await accepted[0].closed)?.code, "connection_lost");
    pair.edge.close();
    await pair.edge.closed;
  });

  it("Connection tells each owner of the end last, and outside of its calls, when one of them closes it", async () => {
    const pair = connectedPair({
      onAgentStream: (stream) => stream.respond(OK, { body: bytes("x"), endStream: true }),
    });
    const told: string[] = [];
    let closing = false;
    const streams = Array.from({ length: 5 }, () => pair.edge.createStream(GET));
    for (const stream of streams) {
      const tell = (what: string) => {
        assert.equal(closing, false);
        told.push(`${stream.id} ${what}`);
      };
      stream.handlers = {
        onResponse: () => {
          tell("response");
          closing = true;
          pair.edge.close();
          closing = false;
        },
        onReadable: () => tell("readable"),
        onClose: () => tell("close"),
      };
    }
    await pair.edge.closed;
    for (const { id } of streams) assert.equal(told.filter((line) => line.startsWith(`${id} `)).at(-1), `${id} close`);
    assert.equal(told.filter((line) => line.endsWith("close")).length, streams.length);
    await pair.agent.closed;
  });

  it("Connection closes when it had no stream for its idle time, and not before", async () => {
    const { connection, peer, clock } = await stage("edge");
    connection.setIdleTimeout(5_000);
    const stream = connection.createStream(GET);
    await peer.expectFrame("HEADERS");
    const keepAlive = () => peer.send((m) => m.ack(peer.countedFrames));
    for (let second = 0; second < 20; second++) {
      keepAlive();
      await ticks();
      clock.advance(1_000);
    }
    assert.equal(peer.closeInfo, null);
    stream.reset();
    await peer.expectFrame("WINDOW_UPDATE");
    await peer.expectFrame("RST_STREAM");
    clock.advance(4_999);
    await ticks();
    assert.equal(peer.closeInfo, null);
    clock.advance(5_000);
    await peer.expectFrame("GOAWAY", { errorCode: ErrorCode.NO_ERROR });
    assert.equal((await peer.closed()).code, 1001);
    assert.deepEqual(await connection.closed, { code: ErrorCode.NO_ERROR, reason: "idle", error: null });
    assert.equal(clock.pending, 0);
  });
});
