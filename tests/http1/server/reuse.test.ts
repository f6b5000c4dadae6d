/** How often, and for how long, a connection is used again. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { always, EMPTY, GET, ServerStage } from "./server_stage.ts";

const LAST = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

describe("HttpServer: reuse of a connection", () => {
  it("HttpServer closes with the answer to the last request that maxRequestsPerConnection allows", async () => {
    await ServerStage.run(always(200), { maxRequestsPerConnection: 3 }, async (stage) => {
      const client = await stage.connect();
      for (let count = 0; count < 2; count++) {
        client.send(GET);
        await client.expect(EMPTY);
      }
      client.send(GET);
      await client.expectEnd(LAST);
      client.socket.end();
      await stage.empty();
      assert.equal(stage.asked.length, 3);
    });
  });

  it("HttpServer answers what was sent ahead up to the last request, and no more", async () => {
    await ServerStage.run(always(200), { maxRequestsPerConnection: 2 }, async (stage) => {
      const client = await stage.connect();
      client.send(GET.repeat(5));
      await client.expectEnd(EMPTY + LAST);
      assert.equal(stage.asked.length, 2);
    });
  });

  it("HttpServer closes with the next answer when a connection is older than maxConnectionAgeMs", async () => {
    await ServerStage.run(always(200), { maxConnectionAgeMs: 30_000 }, async (stage) => {
      const client = await stage.connect();
      client.send(GET);
      await client.expect(EMPTY);
      stage.clock.advance(29_999);
      client.send(GET);
      await client.expect(EMPTY);
      // It is not closed by its age alone: a request may be on its way.
      stage.clock.advance(1);
      client.send(GET);
      await client.expectEnd(LAST);
      client.socket.end();
      await stage.empty();
      assert.equal(stage.asked.length, 3);
    });
  });

  it("HttpServer uses a connection without end by default", async () => {
    await ServerStage.run(always(200), {}, async (stage) => {
      const client = await stage.connect();
      for (let count = 0; count < 200; count++) {
        client.send(GET);
        await client.expect(EMPTY);
        stage.clock.advance(60_000);
      }
    });
  });
});
