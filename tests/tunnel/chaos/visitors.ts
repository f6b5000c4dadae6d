/** The public clients of a chaos run. Each checks all that it gets, and fails where anything is lost, doubled or broken. */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { SeededRandom } from "../../support/seeded_random.ts";
import { type ForeignSocket, WebSocket } from "../../websocket/foreign.ts";
import { Pattern } from "./pattern.ts";
import { eventText, sendPattern, takePattern } from "./upstream.ts";
import { Wire } from "./wire.ts";

export interface Visit {
  /** The public listener, in plain HTTP. */
  readonly port: number;
  /** Of the tunnel. */
  readonly host: string;
  /** Of the bytes. */
  readonly seed: number;
  /** Bytes, events or messages. */
  readonly size: number;
  /** Bytes, events or messages that came, and were right. */
  onProgress(count: number): void;
  /** Aborts where the run is over: connections are then closed. */
  readonly signal: AbortSignal;
}

/** Resolves when all has come; rejects with what was wrong. */
export type Visitor = (visit: Visit) => Promise<void>;

/** Runs `use` with a connection on which `head` was sent, and closes it. */
async function withRequest(visit: Visit, head: string, use: (wire: Wire) => Promise<void>): Promise<void> {
  const { port, host, signal } = visit;
  const wire = await Wire.dial(port);
  const onAbort = () => wire.destroy();
  signal.addEventListener("abort", onAbort);
  try {
    await wire.write(head.replace("HOST", host));
    await use(wire);
  } finally {
    signal.removeEventListener("abort", onAbort);
    wire.destroy();
  }
}

async function answered(wire: Wire, status: number): Promise<string> {
  const head = await wire.readUntil("\r\n\r\n");
  if (!head.startsWith(`HTTP/1.1 ${status} `)) throw new Error(`the answer was ${JSON.stringify(head)}`);
  return head;
}

export const download: Visitor = (visit) => {
  const { seed, size, onProgress } = visit;
  const head = `GET /download?seed=${seed}&size=${size} HTTP/1.1\r\nHost: HOST\r\n\r\n`;
  return withRequest(visit, head, async (wire) => {
    const head = await answered(wire, 200);
    if (!head.toLowerCase().includes(`\r\ncontent-length: ${size}\r\n`)) throw new Error(`another length: ${head}`);
    await takePattern(wire, seed, size, "download", onProgress);
  });
};

export const upload: Visitor = (visit) => {
  const { seed, size, onProgress } = visit;
  const head = `PUT /upload?seed=${seed}&size=${size} HTTP/1.1\r\nHost: HOST\r\nContent-Length: ${size}\r\n\r\n`;
  return withRequest(visit, head, async (wire) => {
    const sent = sendPattern(wire, seed, size);
    await Promise.all([sent, answered(wire, 200)]);
    const expected = `took ${size}`;
    let told = "";
    await wire.readExactly(expected.length, (piece) => told += Buffer.from(piece).toString("latin1"));
    if (told !== expected) throw new Error(`the upstream said ${JSON.stringify(told)}`);
    onProgress(size);
  });
};

/** Reads numbered events, and no other byte. */
export const events: Visitor = (visit) => {
  const { seed, size, onProgress } = visit;
  const head = `GET /events?seed=${seed}&size=${size} HTTP/1.1\r\nHost: HOST\r\nAccept: text/event-stream\r\n\r\n`;
  return withRequest(visit, head, async (wire) => {
    await answered(wire, 200);
    let text = "";
    let next = 1;
    for (;;) {
      const length = parseInt(await wire.readUntil("\r\n"), 16);
      await wire.readExactly(length, (piece) => text += Buffer.from(piece).toString("latin1"));
      await wire.readUntil("\r\n");
      if (length === 0) break;
      let at = 0;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n", at)) {
        const event = text.slice(at, end + 2);
        if (event !== eventText(seed, next)) {
          throw new Error(`event ${next} was ${JSON.stringify(event.slice(0, 200))}`);
        }
        at = end + 2;
        next++;
        onProgress(1);
      }
      text = text.slice(at);
    }
    if (text !== "" || next !== size + 1) throw new Error(`it ended before event ${next} of ${size}`);
  });
};

export const raw: Visitor = (visit) => {
  const { seed, size, onProgress } = visit;
  const fields = "Connection: Upgrade\r\nUpgrade: chaos\r\n";
  const head = `GET /raw?seed=${seed}&size=${size} HTTP/1.1\r\nHost: HOST\r\n${fields}\r\n`;
  return withRequest(visit, head, async (wire) => {
    await answered(wire, 101);
    await Promise.all([
      sendPattern(wire, seed, size),
      takePattern(wire, seed + 1, size, "the raw stream's way down", onProgress),
    ]);
    // The upstream answers with its own FIN, once it has seen that there is no byte more.
    wire.end();
    if (await wire.read() !== null) throw new Error("there was more than was to be sent");
  });
};

/** Many small requests, one after the other on one connection: they begin and end at any moment of a lost link. */
export const requests: Visitor = (visit) => {
  const { host, seed, size, onProgress } = visit;
  const random = new SeededRandom(seed);
  const pattern = new Pattern(seed);
  const next = () => {
    const length = random.betweenPowers(1, MAX_REQUEST_BYTES);
    const head = `POST /echo?seed=${seed}&size=${length} HTTP/1.1\r\nHost: HOST\r\nContent-Length: ${length}\r\n\r\n`;
    return { length, head };
  };
  let { length, head } = next();
  return withRequest(visit, head, async (wire) => {
    for (let number = 1;; number++) {
      await wire.write(pattern.at(number, length));
      await answered(wire, 200);
      let offset = number;
      await wire.readExactly(length, (piece) => {
        pattern.check(piece, offset, `request ${number}`);
        offset += piece.length;
      });
      onProgress(1);
      if (number === size) return;
      ({ length, head } = next());
      await wire.write(head.replace("HOST", host));
    }
  });
};

const MAX_REQUEST_BYTES = 16 * 1024;

/** Leaves in the middle of an answer, again and again. */
export const leave: Visitor = async (visit) => {
  const { seed, size, onProgress } = visit;
  const random = new SeededRandom(seed);
  for (let number = 0; number < size; number++) {
    const head = `GET /endless?seed=${seed} HTTP/1.1\r\nHost: HOST\r\n\r\n`;
    await withRequest(visit, head, async (wire) => {
      await answered(wire, 200);
      await wire.readExactly(random.betweenPowers(1, MAX_LEFT_BYTES));
    });
    onProgress(1);
  }
};

const MAX_LEFT_BYTES = 1024 * 1024;

const MAX_MESSAGE_BYTES = 32 * 1024;
const MESSAGES_UNDER_WAY = 16;

/** Sends messages of random sizes, each of which must come back once and in order. */
export const echo: Visitor = async (visit) => {
  const { port, host, seed, size, signal, onProgress } = visit;
  const client = new WebSocket(`ws://127.0.0.1:${port}/socket`, { headers: { Host: host }, perMessageDeflate: false });
  const onAbort = () => client.terminate();
  signal.addEventListener("abort", onAbort);
  const closed = once(client, "close") as Promise<[code: number]>;
  try {
    await once(client, "open");
    await exchangeMessages(client, new Pattern(seed), new SeededRandom(seed), size, () => onProgress(1));
    client.close(1000, "done");
    const [code] = await closed;
    if (code !== 1000) throw new Error(`the WebSocket was closed with ${code}`);
  } finally {
    signal.removeEventListener("abort", onAbort);
    client.terminate();
  }
};

function exchangeMessages(
  client: ForeignSocket,
  pattern: Pattern,
  random: SeededRandom,
  count: number,
  onMessage: () => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const waiting: { readonly offset: number; readonly length: number }[] = [];
    let sent = 0;
    let received = 0;
    let offset = 0;
    const send = () => {
      while (sent < count && waiting.length < MESSAGES_UNDER_WAY) {
        const length = random.betweenPowers(1, MAX_MESSAGE_BYTES);
        client.send(Uint8Array.from(pattern.at(offset, length)));
        waiting.push({ offset, length });
        offset += length;
        sent++;
      }
    };
    client.on("message", (data: Buffer) => {
      const expected = waiting.shift();
      try {
        if (expected?.length !== data.length) {
          throw new Error(`message ${received} came back with ${data.length} bytes and not ${expected?.length}`);
        }
        pattern.check(data, expected.offset, `message ${received}`);
      } catch (error) {
        return reject(error);
      }
      onMessage();
      if (++received === count) resolve();
      else send();
    });
    client.on("error", reject);
    client.on("close", (code) => reject(new Error(`the WebSocket was closed with ${code} after ${received} messages`)));
    send();
  });
}
