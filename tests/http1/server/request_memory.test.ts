import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryAccount } from "../../../src/memory/mod.ts";
import { eventually, latin1 } from "../../support/net.ts";
import {
  always,
  chunkedPost,
  EMPTY,
  GET,
  post,
  type RawClient,
  readerOf,
  ServerStage,
  silent,
} from "./server_stage.ts";

const kibibyte = 1024;
const BEGINNING = "GET / HTTP/1.1\r\nHost: a\r\n";
const field = (bytes: number) => `X-Long: ${"a".repeat(bytes - 10)}\r\n`;

/** Begins a head of `bytes`, in pieces of 1 KiB, each read before the next one is sent. */
async function beginHead(stage: ServerStage, bytes: number): Promise<RawClient> {
  const client = await stage.connect();
  const pieces = [BEGINNING, ...Array.from({ length: bytes / kibibyte }, () => field(kibibyte))];
  for (const piece of pieces) {
    const before = stage.receivedBytes;
    client.send(piece);
    await stage.received(before + piece.length);
  }
  return client;
}

describe("the heads that a server is reading", () => {
  it("make the oldest one go with a 503 when all of them take more than their limit", async () => {
    const memory = new MemoryAccount(Number.MAX_SAFE_INTEGER);
    await ServerStage.run(always(200), { maxHeadsBytes: 64 * kibibyte, memory }, async (stage) => {
      const clients: RawClient[] = [];
      for (let count = 0; count < 12; count++) {
        clients.push(await beginHead(stage, 8 * kibibyte));
        const held = stage.server.bufferedBytes;
        assert.ok(held <= 64 * kibibyte, `${held} bytes are held`);
        assert.ok(held >= Math.min(4, count + 1) * 8 * kibibyte, `${held} bytes are held for ${count + 1} heads`);
        assert.equal(memory.heldBytes, held);
      }
      const refused = clients.filter(({ reader }) => reader.receivedBytes > 0 || reader.sawEnd);
      const [oldest] = clients;
      assert.match(await oldest.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 503 [^]*Connection: close\r\n/);
      await oldest.reader.ended;
      assert.deepEqual(refused, clients.slice(0, refused.length), "the oldest go first");
      const newest = clients[clients.length - 1];
      newest.send("\r\n");
      await newest.expect(EMPTY);
      for (const client of clients) client.socket.reset();
      await eventually(() => stage.server.connections === 0 && memory.heldBytes === 0);
    });
  });

  it("refuse the only one when it takes more than the limit by itself", async () => {
    await ServerStage.run(always(200), { maxHeadsBytes: 4 * kibibyte }, async (stage) => {
      const client = await stage.connect();
      client.send(BEGINNING + field(3 * kibibyte));
      assert.match(await client.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 503 /);
      assert.equal(stage.server.bufferedBytes, 0);
      const whole = await stage.connect();
      whole.send(`${BEGINNING}${field(3 * kibibyte)}\r\n`);
      await whole.expect(EMPTY);
    });
  });

  it("count until they are complete, timed out, or their client has gone", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const complete = await beginHead(stage, 2 * kibibyte);
      assert.ok(stage.server.bufferedBytes >= 2 * kibibyte);
      complete.send("\r\n");
      await complete.expect(EMPTY);
      assert.equal(stage.server.bufferedBytes, 0);
      const gone = await beginHead(stage, 2 * kibibyte);
      gone.socket.reset();
      await eventually(() => stage.server.bufferedBytes === 0);
      const late = await beginHead(stage, 2 * kibibyte);
      stage.clock.advance(10_000);
      assert.match(await late.reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 408 /);
      assert.equal(stage.server.bufferedBytes, 0);
    });
  });
});

describe("what a server has read before it is waited for", () => {
  it("counts while it waits, and no longer", async () => {
    const memory = new MemoryAccount(Number.MAX_SAFE_INTEGER);
    await ServerStage.run(silent, { memory }, async (stage) => {
      const client = await stage.connect();
      client.send(post(3_000));
      const reader = readerOf((await stage.called()).body);
      const sent = stage.receivedBytes;
      client.send("x".repeat(1_000));
      await stage.received(sent + 1_000);
      assert.deepEqual([stage.server.bufferedBytes, memory.heldBytes], [1_000, 1_000]);
      assert.equal((await reader.read()).value?.length, 1_000);
      await eventually(() => stage.server.bufferedBytes === 0 && memory.heldBytes === 0);
      client.send("x".repeat(2_000) + GET);
      await stage.received(sent + 3_000 + GET.length);
      assert.equal(stage.server.bufferedBytes, 2_000 + GET.length);
      client.socket.reset();
      await eventually(() => stage.server.bufferedBytes === 0 && memory.heldBytes === 0);
    });
  });

  it("is nothing of a body once the limit of all connections is reached, until its reader asks", async () => {
    await ServerStage.run(silent, { maxReadAheadBytes: 0 }, async (stage) => {
      const client = await stage.connect();
      client.send(chunkedPost());
      const reader = readerOf((await stage.called()).body);
      const first = reader.read();
      client.send("1\r\na\r\n");
      assert.equal(latin1((await first).value!), "a");
      const before = stage.receivedBytes;
      client.send("1\r\nb\r\n");
      // Another client's whole exchange passes meanwhile.
      const other = await stage.connect();
      other.send(post(0));
      await stage.called(2);
      assert.equal(stage.receivedBytes, before + post(0).length, "the second chunk was not read");
      assert.equal(latin1((await reader.read()).value!), "b");
    });
  });

  it("is no later request once the limit is reached, and each is answered in its turn", async () => {
    let answer!: () => void;
    const answered = new Promise<void>((resolve) => answer = resolve);
    const handler = async () => {
      await answered;
      return { status: 200, fields: [], body: null };
    };
    await ServerStage.run(handler, { maxReadAheadBytes: 0 }, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await stage.called();
      client.send(GET);
      const other = await stage.connect();
      other.send(GET);
      await stage.called(2);
      assert.equal(stage.receivedBytes, 2 * GET.length);
      answer();
      await client.expect(EMPTY + EMPTY);
      await other.expect(EMPTY);
    });
  });

  it("takes little more than its bytes when later requests come byte by byte", async () => {
    await ServerStage.run(silent, {}, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await stage.called();
      for (let sent = 0; sent < 300; sent++) {
        const before = stage.receivedBytes;
        client.send("G");
        await stage.received(before + 1);
      }
      assert.equal(stage.server.bufferedBytes, 300);
    });
  });
});
