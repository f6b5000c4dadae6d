import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProxyHeaders } from "../../src/edge/proxy_headers.ts";
import { TrustedProxies } from "../../src/http/mod.ts";
import { dial, type Socket } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { bytesOf, eventually, SocketReader, startTcpServer } from "../support/net.ts";
import { expectReset } from "../support/proxy_header.ts";

const local = new TrustedProxies(["127.0.0.1"]);

describe("ProxyHeaders", () => {
  it("reports a refusal at once, and further ones of the same reason in one count a minute", async () => {
    const clock = new FakeClock();
    const told: unknown[][] = [];
    const headers = new ProxyHeaders(local, clock, (...refusal) => told.push(refusal));
    const server = await startTcpServer((socket) => headers.accept(socket, () => assert.fail("it was let in")));
    const clients: SocketReader[] = [];
    for (let count = 0; count < 3; count++) {
      const client = new SocketReader(await dial(server.target));
      client.socket.write(bytesOf("GET / HTTP/1.1\r\n"));
      clients.push(client);
      await client.closed;
    }
    await eventually(() => headers.pending === 0);
    const reason = "The connection begins without a PROXY header";
    assert.deepEqual(told, [["127.0.0.1", reason, 1]]);
    clock.advance(60_000);
    assert.deepEqual(told.slice(1), [["127.0.0.1", reason, 2]]);
    headers.close();
    await server.close();
  });

  it("says nothing of one that leaves without a word, as the probes of load balancers do", async () => {
    const told: unknown[][] = [];
    const headers = new ProxyHeaders(local, new FakeClock(), (...refusal) => told.push(refusal));
    const accepted: Socket[] = [];
    const server = await startTcpServer((socket) => {
      accepted.push(socket);
      headers.accept(socket, () => assert.fail("it was let in"));
    });
    (await dial(server.target)).end();
    await eventually(() => accepted.length === 1 && headers.pending === 0);
    assert.deepEqual(told, []);
    headers.close();
    await server.close();
  });

  it("resets a connection while as many as it may hold wait, and those that wait when it is closed", async () => {
    const clock = new FakeClock();
    const told: unknown[][] = [];
    const headers = new ProxyHeaders(local, clock, (...refusal) => told.push(refusal), 3);
    let count = 0;
    const server = await startTcpServer((socket) => {
      count++;
      headers.accept(socket, () => assert.fail("it was let in"));
    });
    const clients: SocketReader[] = [];
    for (let index = 0; index < 3; index++) {
      clients.push(new SocketReader(await dial(server.target)));
    }
    await eventually(() => count === 3);
    assert.equal(headers.pending, 3);
    await expectReset(server.target);
    assert.deepEqual(told, [["127.0.0.1", "3 connections wait for their PROXY headers", 1]]);
    headers.close();
    for (const client of clients) assert.equal((await client.closed)?.code, "connection_reset");
    await eventually(() => headers.pending === 0);
    assert.equal(clock.pending, 0);
    await server.close();
  });
});
