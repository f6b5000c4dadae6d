/**
 * Two sides do random things to each other's streams. At the end nothing is left, and no byte that arrived was lost,
 * doubled or out of order.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Connection, type Stream, StreamError } from "../../src/httpstream/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { linkPair } from "../support/link_pair.ts";

const KINDS = [
  "open",
  "send",
  "send",
  "end",
  "trailers",
  "respond",
  "inform",
  "read",
  "read",
  "consume",
  "consume",
  "stop",
  "reset",
  "resetSending",
  "takeWhole",
  "advance",
  "advance",
  "advance",
] as const;

interface Action {
  readonly kind: typeof KINDS[number] | "drain" | "close" | "cut";
  /** Which of the open stream ends is meant, and which side opens. */
  readonly pick: number;
  /** Bytes or milliseconds. */
  readonly size: number;
}

const action = fc.record<Action>({
  kind: fc.constantFrom(...KINDS),
  pick: fc.nat(1_000),
  size: fc.oneof(fc.nat(100), fc.nat(70_000)),
});
/** How a run ends: by streams that are finished or reset, a drain, a close, or a link that breaks. */
const ending = fc.constantFrom("finish" as const, "reset" as const, "drain" as const, "close" as const, "cut" as const);

/** One end of a stream, with what it sent and got. */
class End {
  sent = 0;
  got = 0;
  taken = 0;
  peer: End | null = null;
  closed = false;
  stopped = false;

  constructor(readonly stream: Stream, readonly ends: Map<string, End>, side: string) {
    const other = ends.get(`${side === "edge" ? "agent" : "edge"} ${stream.id}`);
    ends.set(`${side} ${stream.id}`, this);
    if (other !== undefined) {
      this.peer = other;
      other.peer = this;
    }
    stream.handlers = { onClose: () => this.closed = true };
  }

  send(size: number, end: boolean): void {
    const chunk = Uint8Array.from({ length: size }, (_, index) => pattern(this.stream.id, this.sent + index));
    this.stream.send(chunk, end);
    this.sent += size;
  }

  read(): void {
    const chunk = this.stream.read();
    if (chunk === null) return;
    this.take(chunk);
    this.taken += chunk.length;
  }

  take(chunk: Uint8Array): void {
    for (let index = 0; index < chunk.length; index++) {
      assert.equal(chunk[index], pattern(this.stream.id, this.got + index));
    }
    this.got += chunk.length;
    if (this.stream.readEnded && this.peer !== null) assert.equal(this.got, this.peer.sent, "a clean end is the whole");
  }

  consume(size: number): void {
    const bytes = Math.min(size, this.taken);
    this.stream.consume(bytes);
    this.taken -= bytes;
  }

  /** Reads all there is, and ends this direction. */
  finish(): void {
    allowed(() => {
      if (this.stream.accepted && !this.stream.sendEnded) this.stream.respond([]);
    });
    allowed(() => {
      if (!this.stream.sendEnded) this.stream.send(new Uint8Array(0), true);
    });
    const drain = () => {
      while (this.stream.readableBytes > 0) this.read();
      this.consume(this.taken);
    };
    this.stream.handlers = { onReadable: drain, onClose: () => this.closed = true };
    drain();
  }
}

const pattern = (id: number, offset: number) => (id * 13 + offset * 7 + (offset >> 8)) & 0xff;

/** Passes over a call that the present state refuses. */
function allowed(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof StreamError && error.code === "invalid_state")) throw error;
  }
}

class Run {
  readonly clock = new FakeClock();
  readonly ends = new Map<string, End>();
  readonly links = linkPair({ clock: this.clock, delayMs: 3, bytesPerSecond: 2_000_000 });
  readonly sides: Record<"edge" | "agent", Connection>;

  constructor() {
    const { clock, ends } = this;
    const make = (role: "edge" | "agent") =>
      new Connection(this.links[role], {
        role,
        clock,
        defer: (callback) => void clock.after(0, callback),
        limits: { maxConcurrentStreams: 3, initialWindowBytes: 16_384, growthPoolBytes: 1_048_576 },
        onStream: (stream) => {
          if (stream.id % 11 === 0) throw new Error("not this one");
          new End(stream, ends, role);
        },
      });
    this.sides = { edge: make("edge"), agent: make("agent") };
  }

  act({ kind, pick, size }: Action): void {
    if (kind === "advance") return this.clock.advance(size % 40);
    if (kind === "open") return this.#open(pick % 2 === 0 ? "edge" : "agent", size);
    const all = [...this.ends.values()].filter(({ closed }) => !closed);
    if (all.length === 0) return;
    const end = all[pick % all.length];
    allowed(() => this.#move(end, kind, size));
  }

  #open(side: "edge" | "agent", size: number): void {
    const connection = this.sides[side];
    try {
      const stream = connection.createStream([":path", "/"]);
      const end = new End(stream, this.ends, side);
      if (size % 3 === 0) end.send(size, true);
    } catch (error) {
      if (!(error instanceof StreamError && error.code === "refused")) throw error;
    }
  }

  #move(end: End, kind: Action["kind"], size: number): void {
    const { stream } = end;
    if (kind === "send") {
      if (!stream.sendEnded) end.send(size + 1, false);
    } else if (kind === "end") {
      if (!stream.sendEnded) end.send(size, true);
    } else if (kind === "trailers") stream.sendTrailers(["x", "y"]);
    else if (kind === "respond") stream.respond([":status", "200"]);
    else if (kind === "inform") stream.inform([":status", "103"]);
    else if (kind === "read") end.read();
    else if (kind === "consume") end.consume(size);
    else if (kind === "stop") {
      stream.stopSending();
      end.stopped = true;
    } else if (kind === "reset") stream.reset();
    else if (kind === "resetSending") stream.resetSending();
    else if (kind === "takeWhole") end.take(stream.takeWhole() ?? new Uint8Array(0));
  }

  /** What must hold at any moment. */
  check(): void {
    for (const side of ["edge", "agent"] as const) {
      let sum = 0;
      for (const [name, { stream, stopped }] of this.ends) {
        if (!name.startsWith(side)) continue;
        sum += stream.bufferedBytes;
        if (stopped) assert.equal(stream.readableBytes, 0, "bytes after stopSending() are dropped");
        assert.notEqual(stream.error?.code, "protocol_error", `${stream.error?.reason}`);
      }
      // Streams that were refused, or whose handler was not called yet, count for the connection alone.
      const { bufferedBytes } = this.sides[side];
      assert.ok(bufferedBytes >= sum, `${bufferedBytes} bytes on the connection, ${sum} on its streams`);
    }
  }

  async end(how: "finish" | "reset" | "drain" | "close" | "cut"): Promise<void> {
    const { edge, agent } = this.sides;
    const all = [...this.ends.values()];
    if (how === "cut") this.links.cut();
    if (how === "close") edge.close();
    if (how === "drain") void agent.drain();
    if (how === "reset") { for (const { stream } of all) stream.reset(); }
    else for (const end of all) end.finish();
    this.clock.advance(5_000);
    // Streams that arrived after the others were finished.
    for (const end of this.ends.values()) end.finish();
    this.clock.advance(5_000);
    for (const [name, end] of this.ends) assert.ok(end.closed, `${name} is still open`);
    for (const side of [edge, agent]) {
      assert.deepEqual([side.streams, side.bufferedBytes, side.grownBytes], [0, 0, 0]);
    }
    edge.close();
    // Time for the closing handshake, and no more than that.
    this.clock.advance(20);
    assert.equal(this.clock.pending, 0, "no timer is left");
    for (const side of [edge, agent]) {
      const { error } = await side.closed;
      assert.ok(error === null || error.code === "link_lost", `${error?.reason}`);
    }
  }
}

describe("Connection", () => {
  it("Connection has everything back and every byte in order, whatever happens to its streams", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 200, size: "max" }), ending, async (actions, how) => {
        const run = new Run();
        for (const step of actions) {
          run.act(step);
          run.check();
        }
        await run.end(how);
      }),
      { numRuns: 300 },
    );
  });
});
