/** Two connections on a link with a delay and a rate, on a fake clock. */
import { Connection, type NewStreamHandler, type Stream } from "../../src/httpstream/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { linkPair } from "../support/link_pair.ts";

export interface Path {
  readonly name: string;
  readonly roundTripMs: number;
  readonly bitsPerSecond: number;
}

export class Simulation {
  readonly clock = new FakeClock();
  readonly edge: Connection;
  readonly agent: Connection;

  /** The path's buffers are unlimited, so that only the multiplexer keeps the queue on it short. */
  constructor(path: Path, onAgentStream: NewStreamHandler) {
    const { clock } = this;
    const defer = (callback: () => void) => void clock.after(0, callback);
    const links = linkPair({
      clock,
      delayMs: path.roundTripMs / 2,
      bytesPerSecond: path.bitsPerSecond / 8,
      highWaterBytes: Infinity,
    });
    this.agent = new Connection(links.agent, { role: "agent", clock, defer, onStream: onAgentStream });
    this.edge = new Connection(links.edge, { role: "edge", clock, defer });
  }

  /** Closes both ends, and waits until nothing moves any more. */
  end(): void {
    this.edge.close();
    this.clock.advance(60_000);
  }
}

/** Sends chunks of 64 KiB without end, as fast as the stream takes them. */
export function pour(stream: Stream): void {
  const chunk = new Uint8Array(65_536);
  const pump = () => {
    while (!stream.sendEnded && stream.send(chunk, false));
  };
  stream.handlers = { ...stream.handlers, onWritable: pump };
  pump();
}

/** Reads whatever comes and counts it. */
export function drain(stream: Stream, count: (bytes: number) => void): void {
  const onReadable = () => {
    for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) {
      count(chunk.length);
      stream.consume(chunk.length);
    }
  };
  stream.handlers = { ...stream.handlers, onReadable };
}
