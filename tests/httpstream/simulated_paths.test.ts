import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drain, type Path, pour, Simulation } from "./simulation.ts";

const paths: Path[] = [
  { name: "1 ms at 1 Gbit/s", roundTripMs: 1, bitsPerSecond: 1e9 },
  { name: "20 ms at 1 Mbit/s", roundTripMs: 20, bitsPerSecond: 1e6 },
  { name: "100 ms at 100 Mbit/s", roundTripMs: 100, bitsPerSecond: 1e8 },
  { name: "300 ms at 10 Mbit/s", roundTripMs: 300, bitsPerSecond: 1e7 },
];

/** Until the rate is known and the first burst has arrived. */
const WARM_UP_MS = 4_000;

/** No round number, so that requests meet every phase of the path. */
const REQUEST_EVERY_MS = 370;

describe("Connection on a simulated path", () => {
  for (const path of paths) {
    it(`Connection uses at least 90% of the rate and keeps small requests quick when the path has ${path.name}`, () => {
      const simulation = new Simulation(path, (stream) => {
        stream.respond([":status", "200"]);
        if (stream.headers[1] === "/bulk") pour(stream);
        else if (stream.headers[1] === "/whole") stream.send(new Uint8Array(1_000), true);
        else simulation.clock.after(1, () => stream.send(new Uint8Array(1_000), true));
      });
      const { clock, edge } = simulation;
      let received = 0;
      drain(edge.createStream([":path", "/bulk"], { endStream: true }), (bytes) => received += bytes);
      clock.advance(WARM_UP_MS);

      const before = received;
      const waits: number[] = [];
      // For longer than a minimal round trip is valid, so that the probe for a new one is seen, too.
      const requests = path.bitsPerSecond > 5e8 ? 6 : 66;
      for (let request = 0; request < requests; request++) {
        const started = clock.now();
        const stream = edge.createStream([":path", request % 2 === 0 ? "/whole" : "/late"], { endStream: true });
        drain(stream, () => {});
        stream.handlers.onClose = (error) => void waits.push(error === null ? clock.now() - started : Infinity);
        clock.advance(REQUEST_EVERY_MS);
      }
      const used = ((received - before) * 8_000) / (path.bitsPerSecond * requests * REQUEST_EVERY_MS);
      clock.advance(2_000);
      assert.ok(used >= 0.9, `${path.name}: ${(used * 100).toFixed(1)}% of the rate`);
      assert.equal(waits.length, requests);
      const longest = Math.max(...waits);
      assert.ok(longest <= path.roundTripMs + 500, `${path.name}: a small request took ${longest.toFixed(0)} ms`);
      simulation.end();
      assert.equal(clock.pending, 0);
    });
  }

  it("Stream goes on when both sides of an echo are blocked by their windows at once", () => {
    const total = 8 * 1_048_576;
    const simulation = new Simulation(paths[2], (stream) => {
      stream.respond([":status", "200"]);
      // Reads only when what it read before has left, as an echo without a buffer of its own does.
      let waiting = false;
      const pump = () => {
        if (waiting) return;
        for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) {
          stream.consume(chunk.length);
          if (stream.send(chunk, false)) continue;
          waiting = true;
          return;
        }
        if (stream.readEnded && !stream.sendEnded) stream.send(new Uint8Array(0), true);
      };
      stream.handlers = {
        onReadable: pump,
        onWritable: () => {
          waiting = false;
          pump();
        },
      };
    });
    const { clock, edge } = simulation;
    const stream = edge.createStream([":path", "/echo"]);
    let sent = 0;
    let received = 0;
    let closed = false;
    const pump = () => {
      while (sent < total) {
        sent += 65_536;
        if (!stream.send(new Uint8Array(65_536), sent === total)) return;
      }
    };
    // Nothing is read for a while: both directions fill their windows, and stop.
    stream.handlers = { onWritable: pump, onClose: () => closed = true };
    pump();
    clock.advance(5_000);
    assert.ok(sent < total, "the windows hold less than everything");
    const stoppedAt = sent;
    clock.advance(5_000);
    assert.equal(sent, stoppedAt);
    drain(stream, (bytes) => received += bytes);
    stream.handlers.onReadable!();
    clock.advance(30_000);
    assert.equal(received, total);
    assert.ok(closed);
    simulation.end();
    assert.equal(clock.pending, 0);
  });
});
