import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WebSocketProtocolError } from "../../src/websocket/frames.ts";
import { FakeClock } from "../support/clock.ts";
import { scripted } from "./scripted_socket.ts";
import { clientFrame as client, joinBytes } from "./support.ts";

const ping = client({ opcode: 9, payload: "?" });
const pong = client({ opcode: 10 });
const empty = client({ opcode: 0, fin: false });
const message = client({ opcode: 1, payload: "x" });

function times(count: number, ...frames: Uint8Array[]): Uint8Array {
  return joinBytes(Array.from({ length: count }, () => joinBytes(frames)));
}

describe("WebSocketConnection with a flooding peer", () => {
  const floods: readonly [string, Uint8Array][] = [
    ["pings", times(2_000, ping)],
    ["pongs that nobody asked for", times(2_000, pong)],
    ["empty fragments", joinBytes([client({ opcode: 1, fin: false, payload: "x" }), times(2_000, empty)])],
    ["pings between few messages", times(200, message, times(10, ping))],
  ];
  for (const [what, bytes] of floods) {
    it(`closes with 1008 when ${what} come without end`, async () => {
      const { socket, recorder } = await scripted({ clock: new FakeClock() });
      socket.feed(bytes);
      socket.close();
      const { error } = await recorder.close();
      assert.ok(error instanceof WebSocketProtocolError);
      assert.equal(error.closeCode, 1008);
      assert.equal(error.code, "flooded");
    });
  }

  const fair: readonly [string, Uint8Array][] = [
    ["a ping before each message", times(20_000, ping, message)],
    [
      "messages that end with an empty fragment",
      times(5_000, client({ opcode: 1, fin: false, payload: "x" }), client({ opcode: 0 })),
    ],
    ["900 pings at once", times(900, ping)],
  ];
  for (const [what, bytes] of fair) {
    it(`goes on when ${what} come`, async () => {
      const { socket, connection, recorder } = await scripted({ clock: new FakeClock() });
      socket.feed(bytes);
      assert.equal(connection.closed, false);
      assert.equal(recorder.closes.length, 0);
      connection.abort();
    });
  }

  it("goes on when the peer pings 30 times a second for an hour", async () => {
    const clock = new FakeClock();
    const { socket, connection, recorder } = await scripted({ clock });
    for (let second = 0; second < 3_600; second++) {
      clock.advance(1_000);
      socket.feed(times(30, ping));
    }
    assert.equal(recorder.closes.length, 0);
    connection.abort();
  });

  it("reads no more than 8 MiB behind its own close frame", async () => {
    const { socket, connection } = await scripted({ clock: new FakeClock() });
    connection.close(1000);
    for (let fed = 0; fed < 200 && !socket.paused; fed++) {
      socket.feed(client({ opcode: 2, payload: new Uint8Array(60_000) }));
    }
    assert.equal(socket.paused, true);
    connection.abort();
  });
});
