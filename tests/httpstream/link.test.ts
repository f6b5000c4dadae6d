/** Who owns the buffers of a link: the receiver those of messages, the link those of parts. See link.ts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Link, WebSocketLink } from "../../src/httpstream/mod.ts";
import { count, isCounted, retain } from "../../src/memory/mod.ts";
import { linkPair } from "../support/link_pair.ts";
import { connectPair, eventually, patternBytes } from "../support/net.ts";

const KIB = 1_024;
/** Copied and uncopied parts, messages within a read, as one, and in several. */
const SIZES = [1, 100, 4 * KIB, 20 * KIB, 57 * KIB, 128 * KIB, 256 * KIB];
const ROUNDS = 4;

interface Ends {
  readonly from: Link;
  readonly to: Link;
  end(): Promise<void>;
}

async function webSocketEnds(sender: "client" | "server"): Promise<Ends> {
  const [dialed, accepted] = await connectPair();
  const client = new WebSocketLink(dialed, { role: "client" });
  const server = new WebSocketLink(accepted, { role: "server" });
  const [from, to] = sender === "client" ? [client, server] : [server, client];
  return {
    from,
    to,
    end() {
      const closed = [from, to].map((link) => new Promise<void>((resolve) => link.handlers.onClose = () => resolve()));
      from.close(1000, "");
      return Promise.all(closed).then(() => {});
    },
  };
}

function memoryEnds(): Promise<Ends> {
  const { edge, agent } = linkPair();
  return Promise.resolve({ from: edge, to: agent, end: () => Promise.resolve(edge.abort()) });
}

/** A message of `size` bytes, in two parts where it can have two. */
function partsOf(size: number, seed: number): Uint8Array[] {
  const bytes = patternBytes(size, seed);
  const cut = size >> 2;
  return cut === 0 ? [bytes] : [bytes.slice(0, cut), bytes.slice(cut)];
}

const links: [string, () => Promise<Ends>][] = [
  ["WebSocketLink of a server", () => webSocketEnds("server")],
  ["WebSocketLink of a client", () => webSocketEnds("client")],
  ["MemoryLink", memoryEnds],
];

for (const [name, connect] of links) {
  describe(name, () => {
    it(`${name} leaves messages whole when their receiver keeps them all, and parts as they were`, async () => {
      const { from, to, end } = await connect();
      const kept: Uint8Array[] = [];
      to.handlers = { onMessage: (message) => void kept.push(message), onDrain() {}, onClose() {} };
      from.handlers = { onMessage() {}, onDrain() {}, onClose() {} };
      const sizes = Array.from({ length: ROUNDS }, () => SIZES).flat();
      const sent = sizes.map((size, seed) => partsOf(size, seed));
      for (const parts of sent) from.send(parts);
      await eventually(() => kept.length === sizes.length);
      for (const [seed, size] of sizes.entries()) {
        const expected = patternBytes(size, seed);
        assert.ok(Buffer.from(expected).equals(kept[seed]), `message ${seed} of ${size} bytes`);
        assert.ok(Buffer.from(expected).equals(Buffer.concat(sent[seed])), `parts ${seed} of ${size} bytes`);
      }
      await end();
    });

    it(`${name} lets its receiver write into a message, and changes no other one`, async () => {
      const { from, to, end } = await connect();
      const kept: Uint8Array[] = [];
      to.handlers = {
        onMessage(message) {
          kept.push(message.slice());
          message.fill(0xff);
        },
        onDrain() {},
        onClose() {},
      };
      from.handlers = { onMessage() {}, onDrain() {}, onClose() {} };
      // Small enough that one read brings several.
      for (let seed = 0; seed < 200; seed++) from.send([patternBytes(500, seed)]);
      await eventually(() => kept.length === 200);
      for (const [seed, message] of kept.entries()) assert.deepEqual(message, patternBytes(500, seed));
      await end();
    });

    it(`${name} releases a part when it has left`, async () => {
      const { from, to, end } = await connect();
      let received = 0;
      to.handlers = { onMessage: (message) => received = message.length, onDrain() {}, onClose() {} };
      from.handlers = { onMessage() {}, onDrain() {}, onClose() {} };
      const read = count(patternBytes(64 * KIB));
      const part = read.subarray(0, 32 * KIB);
      retain(part);
      from.send([part]);
      await eventually(() => received === 32 * KIB && !isCounted(part));
      assert.ok(isCounted(read), "the reference of the read is not the link's");
      assert.deepEqual(read, patternBytes(64 * KIB));
      await end();
    });
  });
}
