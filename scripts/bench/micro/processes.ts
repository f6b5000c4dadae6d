/**
 * Cases that show only in a whole process: what collectors do, and what sockets cost without their other end. Each side
 * is a process of its own (workloads.ts), and their rounds are interleaved.
 */
import { once } from "node:events";
import * as net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type About, type Case, checkSame, type Figure, figure } from "./harness.ts";
import { patternBytes } from "./samples.ts";
import { WorkerProcess } from "./worker_process.ts";
import type { Cost, RelayWay } from "./workloads.ts";

const host = "127.0.0.1";
/** Of one round: with the first, which is not counted, a side relays more than 1 GB. */
const RELAY_BYTES = 150_000_000;
const ECHO_CONNECTIONS = 32;
const ECHO_BYTES = 1024;
const ECHO_MESSAGES = 5_000;
const STALLED_READERS = 40;
const WATCHED_SOCKETS = 1_000;
const WATCH_WINDOW_MS = 400;
const LOG_LINES = 20_000;
const STREAMS = 100_000;
const CHUNKS = 400;
const CHUNK_BYTES = 64 * 1024;

/** What one round of one side measured: one number for each figure, and what it computed. */
interface Sample {
  readonly values: readonly number[];
  readonly result: unknown;
}

interface InProcesses extends About {
  readonly units: readonly string[];
  /** Makes both workers ready, and opens what they talk to. */
  setUp(workers: readonly [WorkerProcess, WorkerProcess]): Promise<{
    /** One round of the side with the trick (0) or without (1). */
    round(side: 0 | 1): Promise<Sample>;
    close?(): void;
  }>;
}

function inProcesses(definition: InProcesses): Case {
  return { ...definition, measure: (rounds) => measureInProcesses(definition, rounds) };
}

async function measureInProcesses({ name, units, setUp }: InProcesses, rounds: number): Promise<Figure[]> {
  const workers = [new WorkerProcess(`${name} (with)`), new WorkerProcess(`${name} (without)`)] as const;
  const samples: [Sample[], Sample[]] = [[], []];
  try {
    const { round, close } = await setUp(workers);
    // The first round warms up.
    for (let number = -1; number < rounds; number++) {
      for (const side of number % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
        const sample = await round(side);
        if (number >= 0) samples[side].push(sample);
      }
    }
    close?.();
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
  samples[0].forEach(({ result }, i) => checkSame(result, samples[1][i].result));
  return units.map((unit, i) => figure(unit, ...samples.map((side) => side.map(({ values }) => values[i])) as Pair));
}

type Pair = [number[], number[]];

/** A server on a free port, whose sockets end with it. */
async function serve(onSocket: (socket: net.Socket) => void): Promise<{ port: number; close(): void }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    onSocket(socket);
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** A prime number, so that bytes which come in the wrong place are noticed. */
const block = patternBytes(65_521);

/** Sends `bytes` bytes on each connection, as fast as they are taken. */
function source(bytes: number): Promise<{ port: number; close(): void }> {
  return serve((socket) => {
    let left = bytes;
    const send = () => {
      while (left > 0) {
        const piece = left < block.length ? block.subarray(0, left) : block;
        left -= piece.length;
        if (!socket.write(piece)) return;
      }
      socket.end();
    };
    socket.on("drain", send);
    socket.resume();
    send();
  });
}

/** Takes what comes. `result` tells of the last connection how many bytes came, and whether they were the source's. */
async function sink() {
  const result = { bytes: 0, isRight: true };
  const server = await serve((socket) => {
    result.bytes = 0;
    result.isRight = true;
    socket.on("data", (chunk: Uint8Array) => {
      result.isRight &&= chunk[0] === block[result.bytes % block.length];
      result.bytes += chunk.length;
      result.isRight &&= chunk[chunk.length - 1] === block[(result.bytes - 1) % block.length];
    });
    socket.on("end", () => socket.end());
  });
  return { ...server, result };
}

/** What each side does: how it relays, and how its process is set up before. */
interface Relaying {
  readonly way: RelayWay;
  readonly isTuned?: boolean;
}

async function relayRounds(
  workers: readonly WorkerProcess[],
  sides: readonly [Relaying, Relaying],
  bytes: number,
) {
  const [from, to] = [await source(bytes), await sink()];
  for (const side of [0, 1] as const) {
    if (sides[side].isTuned === true) await workers[side].run("tune", {});
  }
  return {
    async round(side: 0 | 1): Promise<Sample> {
      const options = { way: sides[side].way, fromPort: from.port, toPort: to.port };
      const { cpu, grownMiB, result } = await workers[side].run<Cost>("relay", options);
      if (to.result.bytes !== bytes || !to.result.isRight) throw new Error(`The relay lost bytes: ${to.result.bytes}`);
      return { values: [cpu / (bytes / 1e6), grownMiB], result };
    },
    close() {
      from.close();
      to.close();
    },
  };
}

/** A workload that needs nothing but its worker. @param scale from µs of processor time to the first unit */
function workload(name: string, count: number, scale: number) {
  return (workers: readonly WorkerProcess[]) =>
    Promise.resolve({
      async round(side: 0 | 1): Promise<Sample> {
        const { cpu, grownMiB, result } = await workers[side].run<Cost>(name, { isPlain: side === 1, count });
        return { values: [cpu * scale, grownMiB], result };
      },
    });
}

/** Sends messages one after the other on each of 32 connections. Returns the bytes that came back. */
async function playEcho(port: number): Promise<number> {
  let left = ECHO_MESSAGES;
  let bytes = 0;
  const message = block.subarray(0, ECHO_BYTES);
  await Promise.all(Array.from({ length: ECHO_CONNECTIONS }, async () => {
    const socket = net.connect({ port, host, noDelay: true });
    await once(socket, "connect");
    await new Promise<void>((resolve, reject) => {
      let missing = 0;
      const send = () => {
        if (left-- <= 0) return resolve();
        missing = ECHO_BYTES;
        socket.write(message);
      };
      socket.on("error", reject);
      socket.on("data", (chunk: Uint8Array) => {
        bytes += chunk.length;
        if ((missing -= chunk.length) === 0) send();
      });
      send();
    });
    socket.destroy();
  }));
  return bytes;
}

const relayUnits = ["µs/MB", "MiB grown"];

export const processCases: readonly Case[] = [
  /** The memory of a large read is freed when its last view was sent, and not when the collector comes by. */
  inProcesses({
    name: "reference-counts",
    source: "memory/ref_counted.ts",
    with: "a relay of 1 GB that counts references",
    without: "one that leaves its reads to the collector",
    units: relayUnits,
    setUp: (workers) => relayRounds(workers, [{ way: "counted" }, { way: "uncounted" }], RELAY_BYTES),
  }),

  /** The collectors hardly count buffers: they are told of those that die without being counted. */
  inProcesses({
    name: "collector-pressure",
    source: "memory/collector_pressure.ts",
    with: "a relay to code that counts no references, collected in time",
    without: "left to the collector",
    units: relayUnits,
    setUp: (workers) =>
      relayRounds(
        workers,
        [{ way: "foreign", isTuned: true }, { way: "foreign" }],
        RELAY_BYTES,
      ),
  }),

  /** Bulk passes the runtime's streams by on Bun; on Deno this tells what src/net costs or saves there. */
  inProcesses({
    name: "past-streams-bulk",
    source: "net/bun.ts",
    with: "a relay of src/net",
    without: "one of node:net",
    units: relayUnits,
    setUp: (workers) => relayRounds(workers, [{ way: "counted" }, { way: "plain" }], RELAY_BYTES),
  }),

  /** The same for small messages, which the streams cost most. */
  inProcesses({
    name: "past-streams",
    source: "net/bun.ts",
    with: "messages of 1 KiB echoed by src/net, on 32 connections",
    without: "by node:net",
    perRequest: 2,
    units: ["ns/message"],
    async setUp(workers) {
      const ports = await Promise.all(
        workers.map((worker, side) => worker.run<number>("echo", { isPlain: side === 1 })),
      );
      return {
        async round(side) {
          const before = await workers[side].run<number>("cpu", {});
          const result = await playEcho(ports[side]);
          const cpu = await workers[side].run<number>("cpu", {}) - before;
          return { values: [cpu * 1_000 / ECHO_MESSAGES], result };
        },
      };
    },
  }),

  /** A socket of Bun's is also paused under its stream, which would else read 512 KiB more. */
  inProcesses({
    name: "handle-pause",
    source: "net/bun.ts",
    with: "40 stalled readers, paused under their streams",
    without: "paused by node:net",
    only: "bun",
    units: ["MiB grown"],
    async setUp(workers) {
      const from = await source(Infinity);
      return {
        async round(side) {
          const options = { isPlain: side === 1, port: from.port, count: STALLED_READERS };
          const { grownMiB, result } = await workers[side].run<Cost>("stall", options);
          return { values: [grownMiB], result };
        },
        close: from.close,
      };
    },
  }),

  /** One timer asks the kernel about all paused sockets, an eighth at a time. Node and Deno need to ask. */
  inProcesses({
    name: "paused-watch",
    source: "net/paused_watch.ts",
    with: "1,000 paused sockets watched by one timer",
    without: "each by a timer of its own",
    only: "deno",
    units: ["ms/s"],
    async setUp(workers) {
      const cpu = () => Promise.all(workers.map((worker) => worker.run<number>("cpu", {})));
      /** Milliseconds of processor time a second of both, while they have nothing else to do. */
      const idle = async () => {
        const before = await cpu();
        await sleep(WATCH_WINDOW_MS);
        const after = await cpu();
        return after.map((time, side) => (time - before[side]) / WATCH_WINDOW_MS);
      };
      const without = await idle();
      const server = await serve(() => {});
      const held = await Promise.all(
        workers.map((worker, side) =>
          worker.run<number>("hold", { isPlain: side === 1, port: server.port, count: WATCHED_SOCKETS })
        ),
      );
      let both = Promise.resolve(without);
      let rounds = 0;
      return {
        // Both are looked at for the same time: they hardly need a processor.
        async round(side) {
          if (rounds++ % 2 === 0) both = idle();
          return { values: [(await both)[side] - without[side]], result: held[side] };
        },
        close: server.close,
      };
    },
  }),

  /** Log lines of a tick leave in one piece. */
  inProcesses({
    name: "log-lines",
    source: "net/process.ts",
    with: "20 lines a tick written by writeText()",
    without: "each by process.stderr.write()",
    perRequest: 1,
    units: ["ns/line"],
    setUp: workload("lines", LOG_LINES, 1_000 / LOG_LINES),
  }),

  /** Streams that come and go stay out of maps: old tables of a Map let dead streams live, and collections cost more. */
  inProcesses({
    name: "id-table",
    source: "httpstream/id_table.ts",
    with: "streams that come and go in a table by id",
    without: "in a Map",
    perRequest: 2,
    units: ["ns/stream", "MiB grown"],
    setUp: workload("streams", STREAMS, 1_000 / STREAMS),
  }),

  /** Frames of the JSON protocol go from bytes to bytes: strings of base64 are garbage larger than the chunk. */
  inProcesses({
    name: "base64-bytes",
    source: "session/wsproto/chunk_frame.ts",
    with: "chunks of 64 KiB as JSON frames and back, in bytes",
    without: "by strings, base64 and JSON.parse()",
    units: ["µs/MB", "MiB grown"],
    setUp: workload("chunks", CHUNKS, 1e6 / (CHUNKS * CHUNK_BYTES)),
  }),
];
