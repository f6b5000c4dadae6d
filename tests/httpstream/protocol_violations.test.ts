/** A peer that breaks the protocol, frame by frame. What a frame's own bytes prove is tested with the codec. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, Flag, type MessageBuilder } from "../../src/httpstream/wire/mod.ts";
import { Connection } from "../../src/httpstream/mod.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { linkPair } from "../support/link_pair.ts";
import { endsWith, GET, goesOn, hostileStage as stage, OK } from "./hostile_stage.ts";

describe("Connection with a hostile peer", () => {
  const broken: { what: string; errorCode: number; streamId?: number; frames: (m: MessageBuilder) => void }[] = [
    { what: "SETTINGS come twice", errorCode: ErrorCode.PROTOCOL_ERROR, frames: (m) => m.settings([]) },
    {
      what: "DATA comes on a stream that was never opened",
      errorCode: ErrorCode.PROTOCOL_ERROR,
      streamId: 9,
      frames: (m) => m.data(9, new Uint8Array(1), false),
    },
    {
      what: "WINDOW_UPDATE comes on a stream that was never opened",
      errorCode: ErrorCode.PROTOCOL_ERROR,
      streamId: 9,
      frames: (m) => m.windowUpdate(9, 1),
    },
    {
      what: "RST_STREAM comes on a stream that was never opened",
      errorCode: ErrorCode.PROTOCOL_ERROR,
      streamId: 9,
      frames: (m) => m.rstStream(9, 0),
    },
    {
      what: "a frame comes on a stream of ours that we never opened",
      errorCode: ErrorCode.PROTOCOL_ERROR,
      streamId: 4,
      frames: (m) => m.data(4, new Uint8Array(1), false),
    },
    {
      what: "the peer opens a stream with an id of ours",
      errorCode: ErrorCode.PROTOCOL_ERROR,
      streamId: 4,
      frames: (m) => m.headers(4, GET, Flag.END_STREAM),
    },
    {
      what: "an opening is informational",
      errorCode: ErrorCode.PROTOCOL_ERROR,
      streamId: 3,
      frames: (m) => m.headers(3, [":status", "103"], Flag.INFORMATIONAL),
    },
    {
      what: "a stream is opened twice",
      errorCode: ErrorCode.PROTOCOL_ERROR,
      streamId: 1,
      frames: (m) => m.headers(1, GET, 0),
    },
    {
      what: "more comes than the window allows",
      errorCode: ErrorCode.FLOW_CONTROL_ERROR,
      streamId: 1,
      frames: (m) => {
        for (let frame = 0; frame < 3; frame++) m.data(1, new Uint8Array(65_536), false);
        m.data(1, new Uint8Array(1), false);
      },
    },
    {
      what: "credit lets a window overflow",
      errorCode: ErrorCode.FLOW_CONTROL_ERROR,
      streamId: 1,
      frames: (m) => m.windowUpdate(1, 0x7fff_ffff),
    },
    { what: "ACK counts more than was sent", errorCode: ErrorCode.PROTOCOL_ERROR, frames: (m) => m.ack(99) },
    {
      what: "ACK counts less than before",
      errorCode: ErrorCode.PROTOCOL_ERROR,
      frames: (m) => {
        m.ack(1);
        m.ack(0);
      },
    },
  ];
  for (const { what, errorCode, streamId, frames } of broken) {
    it(`Connection ends when ${what}`, async () => {
      const set = await stage("edge");
      set.peer.send((m) => m.headers(1, GET, 0));
      // The growth of the new stream: from here on its window is known.
      const { increment } = await set.peer.expectFrame("WINDOW_UPDATE", { streamId: 1 });
      assert.equal(increment, 131_072);
      set.peer.send(frames);
      await endsWith(set, errorCode, streamId);
      assert.equal(set.accepted[0].error?.code, "connection_lost");
    });
  }

  for (
    const [what, payload, errorCode] of [
      ["nothing", [0, 0, 0, 0], ErrorCode.PROTOCOL_ERROR],
      ["less than nothing", [255, 255, 255, 255], ErrorCode.FLOW_CONTROL_ERROR],
    ] as const
  ) {
    it(`Connection ends when a credit is ${what}`, async () => {
      const set = await stage("edge");
      set.peer.send((m) => m.headers(1, GET, 0));
      await set.peer.expectFrame("WINDOW_UPDATE", { streamId: 1 });
      set.peer.sendRaw({ type: "WINDOW_UPDATE", streamId: 1, payload });
      await endsWith(set, errorCode, 1);
    });
  }

  it("Connection ends when another counted frame comes before SETTINGS", async () => {
    for (
      const frames of [
        (m: MessageBuilder) => m.headers(1, GET, Flag.END_STREAM),
        (m: MessageBuilder) => m.goAway(0, 0),
        (m: MessageBuilder) => m.windowUpdate(1, 1),
      ]
    ) {
      const links = linkPair();
      const connection = new Connection(links.edge, { role: "edge" });
      const peer = new FramePeer(links.agent);
      peer.send(frames);
      await peer.expectFrame("SETTINGS");
      await peer.until(() => peer.frames.some((frame) => frame.type === "GOAWAY"), "GOAWAY");
      assert.equal((await connection.closed).code, ErrorCode.PROTOCOL_ERROR);
    }
  });

  it("Connection ends before anything is allocated when a frame claims more than its message holds", async () => {
    const set = await stage("edge");
    set.peer.sendRaw({ type: "DATA", streamId: 1, payload: [1], length: 0xff_ffff });
    await endsWith(set, ErrorCode.FRAME_SIZE_ERROR);
  });

  it("Connection ends when a header block's lengths do not add up", async () => {
    const set = await stage("edge");
    set.peer.sendRaw({ type: "HEADERS", flags: 1, streamId: 1, payload: [0, 1, 0, 200, 97] });
    await endsWith(set, ErrorCode.FRAME_SIZE_ERROR);
  });

  it("Connection accepts no stream of a message that has a bad frame", async () => {
    const set = await stage("edge");
    set.peer.send((m) => {
      m.headers(1, GET, Flag.END_STREAM);
      m.settings([]);
      m.headers(3, GET, Flag.END_STREAM);
    });
    await endsWith(set, ErrorCode.PROTOCOL_ERROR);
    assert.equal(set.accepted.length, 0, "a stream that ended with its connection is not introduced");
  });

  it("Connection ignores frames of unknown types, and counts those without bit 0x80", async () => {
    const set = await stage("edge");
    set.peer.sendRaw({ type: 0x42, streamId: 77, payload: [1, 2, 3] }, { type: 0xc2, payload: [1] });
    const { count } = await set.peer.expectFrame("ACK");
    assert.equal(count, 2, "SETTINGS and the counted unknown");
    await goesOn(set);
  });

  it("Connection ignores frames on closed streams", async () => {
    const set = await stage("agent");
    set.peer.send((m) => m.headers(6, GET, 0));
    await set.peer.expectFrame("WINDOW_UPDATE", { streamId: 6 });
    set.accepted[0].reset();
    await set.peer.expectFrame("RST_STREAM", { streamId: 6, errorCode: ErrorCode.CANCEL });
    set.peer.send((m) => {
      m.data(6, new Uint8Array(65_536), false);
      m.windowUpdate(6, 0x7fff_ffff);
      m.stopSending(6, 0);
      m.rstStream(6, 0);
      m.headers(6, GET, 0);
      // Below the highest id, never used: closed as well.
      m.data(2, new Uint8Array(1), false);
    });
    await goesOn(set);
    assert.equal(set.accepted.length, 1);
  });

  it("Connection resets the one stream when its headers are bad, and goes on", async () => {
    const set = await stage("agent");
    // One field, "A" with a line feed in its value.
    const block = [0, 1, 0, 1, 65, 0, 0, 0, 1, 10];
    set.peer.sendRaw({ type: "HEADERS", flags: 1, streamId: 2, payload: block });
    await set.peer.expectFrame("RST_STREAM", { streamId: 2, errorCode: ErrorCode.PROTOCOL_ERROR });
    assert.equal(set.accepted.length, 0);
    await goesOn(set);
  });

  it("Connection resets the one stream when its frames are out of order, and goes on", async () => {
    const cases: [number, (m: MessageBuilder) => void][] = [
      [ErrorCode.PROTOCOL_ERROR, (m) => m.data(2, new Uint8Array(1), false)],
      [ErrorCode.PROTOCOL_ERROR, (m) => m.headers(2, [], Flag.TRAILERS | Flag.END_STREAM)],
      [ErrorCode.STREAM_CLOSED, (m) => {
        m.headers(2, OK, Flag.END_STREAM);
        m.data(2, new Uint8Array(1), false);
      }],
      [ErrorCode.STREAM_CLOSED, (m) => {
        m.headers(2, OK, 0);
        m.rstStream(2, 0, true);
        m.data(2, new Uint8Array(1), false);
      }],
      [ErrorCode.PROTOCOL_ERROR, (m) => {
        m.headers(2, OK, 0);
        m.headers(2, OK, 0);
      }],
      [ErrorCode.PROTOCOL_ERROR, (m) => {
        m.headers(2, OK, 0);
        m.headers(2, [":status", "103"], Flag.INFORMATIONAL);
      }],
    ];
    for (const [errorCode, frames] of cases) {
      const set = await stage("edge");
      const stream = set.connection.createStream(GET);
      await set.peer.expectFrame("HEADERS", { streamId: 2 });
      await set.peer.expectFrame("WINDOW_UPDATE", { streamId: 2 });
      set.peer.send(frames);
      await set.peer.expectFrame("RST_STREAM", { streamId: 2, errorCode });
      assert.equal((await stream.closed)?.code, "protocol_error");
      await goesOn(set);
    }
  });

  it("Connection ends with what the peer says when its GOAWAY has an error", async () => {
    const set = await stage("agent");
    const stream = set.connection.createStream([":path", "/"]);
    await set.peer.expectFrame("HEADERS");
    set.peer.send((m) => m.goAway(0, ErrorCode.INTERNAL_ERROR, "out of luck"));
    const { code, error } = await set.connection.closed;
    assert.deepEqual([code, error?.code, error?.initiator], [ErrorCode.INTERNAL_ERROR, "peer_failed", "remote"]);
    assert.match(error!.reason, /INTERNAL_ERROR: out of luck/);
    assert.equal((await stream.closed)?.code, "connection_lost");
  });
});
