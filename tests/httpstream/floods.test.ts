/** A peer that sends more than it may: limits, and what happens at each. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, Flag, MAX_U31, type MessageBuilder } from "../../src/httpstream/wire/mod.ts";
import type { Stream } from "../../src/httpstream/mod.ts";
import { FakeClock } from "../support/clock.ts";
import type { FrameOf } from "../support/frame_recorder.ts";
import { endsWith, GET, goesOn, hostileStage as stage, OK, type Stage } from "./hostile_stage.ts";

/** Checks that the connection ended because of frames without use, and that the peer was told. */
async function isCalmed({ connection, peer }: Stage): Promise<void> {
  await peer.until(() => peer.frames.some((frame) => frame.type === "GOAWAY"), "GOAWAY");
  const goodbye = peer.frames.find((frame) => frame.type === "GOAWAY") as FrameOf<"GOAWAY">;
  assert.equal(goodbye.errorCode, ErrorCode.ENHANCE_YOUR_CALM);
  const { error } = await connection.closed;
  assert.equal(error?.code, "flooded");
  assert.match(error!.reason, /without use/);
}

describe("Connection with a flooding peer", () => {
  it("Connection refuses streams above its limit, and takes new ones when one has ended", async () => {
    const set = await stage("edge", { limits: { maxConcurrentStreams: 2 } });
    set.peer.send((m) => [1, 3, 5].forEach((id) => m.headers(id, GET, Flag.END_STREAM)));
    await set.peer.expectFrame("RST_STREAM", { streamId: 5, errorCode: ErrorCode.REFUSED_STREAM });
    set.accepted[0].respond(OK, { endStream: true });
    await set.peer.expectFrame("HEADERS", { streamId: 1 });
    set.peer.send((m) => {
      m.headers(7, GET, Flag.END_STREAM);
      m.ping(new Uint8Array(8), false);
    });
    await set.peer.expectFrame("PING", { ack: true });
    assert.deepEqual(set.accepted.map(({ id }) => id), [1, 3, 7]);
    await goesOn(set);
  });

  it("Connection keeps the slot of a reset stream when its owner holds it", async () => {
    const held: Stream[] = [];
    const set = await stage("agent", {
      limits: { maxConcurrentStreams: 1 },
      onStream: (stream) => {
        stream.hold();
        held.push(stream);
      },
    });
    set.peer.send((m) => m.headers(2, GET, Flag.END_STREAM));
    set.peer.send((m) => m.rstStream(2, ErrorCode.CANCEL));
    set.peer.send((m) => m.headers(4, GET, Flag.END_STREAM));
    await set.peer.expectFrame("RST_STREAM", { streamId: 4, errorCode: ErrorCode.REFUSED_STREAM });
    assert.equal((await held[0].closed)?.code, "stream_reset");
    held[0].release();
    held[0].release();
    set.peer.send((m) => m.headers(6, GET, Flag.END_STREAM));
    set.peer.send((m) => m.headers(8, GET, Flag.END_STREAM));
    await set.peer.expectFrame("RST_STREAM", { streamId: 8, errorCode: ErrorCode.REFUSED_STREAM });
    assert.equal(held.length, 2);
    held[1].respond(OK, { endStream: true });
    await set.peer.expectFrame("HEADERS", { streamId: 6 });
    assert.equal(set.connection.streams, 1, "its slot is still held");
    held[1].release();
    assert.equal(set.connection.streams, 0);
    await goesOn(set);
  });

  it("Connection caps, then closes, when an agent floods it with openings", async () => {
    const clock = new FakeClock();
    const set = await stage("edge", {
      clock,
      limits: { openBurst: 50, opensPerSecond: 1, maxConcurrentStreams: 1_000 },
    });
    for (let id = 1; id < 400; id += 2) {
      set.peer.send((m) => {
        m.headers(id, GET, Flag.END_STREAM);
        m.rstStream(id, ErrorCode.CANCEL);
      });
    }
    await set.peer.until(() => set.peer.frames.some((frame) => frame.type === "GOAWAY"), "GOAWAY");
    const refused = set.peer.frames.filter((frame) => frame.type === "RST_STREAM").length;
    assert.equal(refused, 50, "capped before it was closed");
    assert.equal((await set.connection.closed).error?.code, "flooded");
  });

  it("Connection closes when an agent floods it with resets", async () => {
    const clock = new FakeClock();
    const set = await stage("edge", { clock, limits: { resetBurst: 20, resetsPerSecond: 1 } });
    for (let id = 1; id < 100; id += 2) {
      set.peer.send((m) => {
        m.headers(id, GET, Flag.END_STREAM);
        m.rstStream(id, ErrorCode.CANCEL);
      });
    }
    await endsWith(set, ErrorCode.ENHANCE_YOUR_CALM);
    assert.equal((await set.connection.closed).error?.code, "flooded");
  });

  it("Connection goes on when an edge floods it with visitors that abort", async () => {
    const set = await stage("agent");
    for (let id = 2; id < 10_000; id += 2) {
      set.peer.send((m) => {
        m.headers(id, GET, Flag.END_STREAM);
        m.rstStream(id, ErrorCode.CLIENT_GONE);
      });
    }
    set.peer.send((m) => m.ping(new Uint8Array(8), false));
    await set.peer.expectFrame("PING", { ack: true });
    assert.equal(set.connection.streams, 0);
    await goesOn(set);
  });

  it("Connection answers a flood of PINGs with one answer a flush", async () => {
    const set = await stage("edge");
    set.peer.send((m) => {
      for (let count = 0; count < 900; count++) m.ping(new Uint8Array(8).fill(count), false);
    });
    const { payload } = await set.peer.expectFrame("PING", { ack: true });
    assert.deepEqual(payload, new Uint8Array(8).fill(899));
    assert.equal(set.peer.frames.filter((frame) => frame.type === "PING").length, 1);
    await goesOn(set);
  });

  const useless: readonly [string, (m: MessageBuilder) => void][] = [
    ["PINGs", (m) => m.ping(new Uint8Array(8), false)],
    ["answers to PINGs that were not sent", (m) => m.ping(new Uint8Array(8), true)],
    ["ACKs of nothing new", (m) => m.ack(0)],
    ["window updates of one byte", (m) => m.windowUpdate(1, 1)],
    ["GOAWAYs", (m) => m.goAway(MAX_U31, ErrorCode.NO_ERROR, "")],
    ["interim answers", (m) => m.headers(2, [":status", "103"], Flag.INFORMATIONAL)],
  ];
  for (const role of ["edge", "agent"] as const) {
    for (const [what, write] of useless) {
      // Only an edge is answered.
      if (role === "agent" && what === "interim answers") continue;
      it(`Connection of an ${role} ends with ENHANCE_YOUR_CALM when 2,000 ${what} come`, async () => {
        const set = await stage(role, { clock: new FakeClock() });
        if (what === "interim answers") {
          set.connection.createStream(GET);
        } else set.peer.send((m) => m.headers(role === "edge" ? 1 : 2, GET, 0));
        const isOnStream = what.startsWith("window");
        for (let sent = 0; sent < 2_000 && set.peer.closeInfo === null; sent += 100) {
          set.peer.send((m) => {
            for (let count = 0; count < 100; count++) {
              if (isOnStream) m.windowUpdate(role === "edge" ? 1 : 2, 1);
              else write(m);
            }
          });
        }
        await isCalmed(set);
      });
    }
  }

  it("Connection ends when frames of an unknown type come, counted or not", async () => {
    for (const type of [0x7f, 0xff]) {
      const set = await stage("edge", { clock: new FakeClock() });
      for (let sent = 0; sent < 20; sent++) {
        set.peer.sendRaw(...Array.from({ length: 100 }, () => ({ type })));
      }
      await isCalmed(set);
    }
  });

  it("Connection ends when DATA and resets of closed streams come without end", async () => {
    for (const type of ["DATA", "RST_STREAM", "WINDOW_UPDATE", "STOP_SENDING"] as const) {
      const set = await stage("edge", { clock: new FakeClock() });
      set.peer.send((m) => {
        m.headers(1, GET, Flag.END_STREAM);
        m.rstStream(1, ErrorCode.CANCEL);
      });
      const payload = type === "DATA" ? [1] : [0, 0, 0x10, 0];
      const frames = Array.from({ length: 5_000 }, () => ({ type, streamId: 1, payload }));
      for (let sent = 0; sent < 20 && set.peer.closeInfo === null; sent++) set.peer.sendRaw(...frames);
      await isCalmed(set);
    }
  });

  it("Connection goes on when a whole window of one-byte DATA is late", async () => {
    const set = await stage("edge", { clock: new FakeClock() });
    const stream = set.connection.createStream(GET, { endStream: true });
    await set.peer.expectFrame("HEADERS");
    stream.reset();
    await set.peer.until(() => set.peer.frames.some(({ type }) => type === "RST_STREAM"), "the reset");
    for (let sent = 0; sent < 60_000; sent += 5_000) {
      set.peer.send((m) => {
        for (let count = 0; count < 5_000; count++) m.data(2, Uint8Array.of(1), false);
      });
    }
    await goesOn(set);
  });

  it("Connection goes on when each frame that it sends is answered by an update of one byte", async () => {
    const set = await stage("edge", { clock: new FakeClock() });
    const stream = set.connection.createStream(GET);
    await set.peer.expectFrame("HEADERS");
    const dataFrames = () => set.peer.frames.filter(({ type }) => type === "DATA").length;
    for (let sent = 0; sent < 1_500; sent++) {
      stream.send(Uint8Array.of(1), false);
      await set.peer.until(() => dataFrames() > sent, "the byte");
      set.peer.send((m) => {
        m.ack(set.peer.countedFrames);
        m.windowUpdate(2, 1);
      });
    }
    await goesOn(set);
  });

  it("Connection goes on when the peer pings each 400 ms for 4 hours", async () => {
    const clock = new FakeClock();
    const set = await stage("edge", { clock });
    for (let count = 0; count < 36_000; count++) {
      clock.advance(400);
      set.peer.send((m) => m.ping(new Uint8Array(8), false));
      if (count % 20 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    await goesOn(set);
  });

  it("Connection ends when the peer never acknowledges the control frames that it causes", async () => {
    const set = await stage("edge", { limits: { openBurst: 1_000_000, opensPerSecond: 1_000_000 } });
    let id = 1;
    const flood = () => {
      set.peer.send((m) => {
        // Streams beyond the limit: each is answered with a reset.
        for (let count = 0; count < 5_000; count++, id += 2) m.headers(id, [], Flag.END_STREAM);
      });
    };
    for (let message = 0; message < 20; message++) flood();
    await set.peer.until(() => set.peer.frames.some((frame) => frame.type === "GOAWAY"), "GOAWAY");
    const { error } = await set.connection.closed;
    assert.equal(error?.code, "flooded");
    assert.match(error!.reason, /unacknowledged/);
  });

  it("Connection drops informational heads when 4 MiB of header bytes wait", async () => {
    const set = await stage("edge", { limits: { maxHeldHeaderBytes: 65_536 } });
    const stream = set.connection.createStream(GET, { endStream: true });
    await set.peer.expectFrame("HEADERS");
    let informed = 0;
    stream.handlers = { onInform: () => void informed++ };
    const early = [":status", "103", "link", "x".repeat(10_000)];
    set.peer.send((m) => {
      for (let count = 0; count < 20; count++) m.headers(2, early, Flag.INFORMATIONAL);
      m.headers(2, OK, Flag.END_STREAM);
    });
    assert.deepEqual(await stream.response, OK);
    assert.equal(informed, 7, "those that came while less than the limit waited");
    assert.equal(set.connection.bufferedBytes, 0);
    await goesOn(set);
  });
});
