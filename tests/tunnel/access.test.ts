/** What an edge tells of each request of the public, for its access log. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AccessRecord } from "../../src/edge/access.ts";
import type { Handler } from "../../src/http/message.ts";
import { dial } from "../../src/net/mod.ts";
import { bodyText, FedBody } from "../support/client_requests.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import { get, getRequest, send } from "../support/public_client.ts";
import { exchange, protocols, startTestEdge, startTunnel, type Tunnel, type TunnelOptions } from "../support/tunnel.ts";

/** Runs `act` with a tunnel, and with the requests that its edge has told of so far, without the agent's own. */
async function withRecords(
  upstream: Handler,
  options: TunnelOptions,
  act: (tunnel: Tunnel, records: AccessRecord[]) => Promise<void>,
): Promise<void> {
  const records: AccessRecord[] = [];
  const onRequest = (record: AccessRecord) => {
    if (record.path !== "/agent") records.push(record);
  };
  const tunnel = await startTunnel(upstream, { ...options, edge: { events: { onRequest } } });
  try {
    await act(tunnel, records);
  } finally {
    await tunnel.close();
  }
}

const hello: Handler = async (_head, body) => {
  await bodyText(body);
  return { status: 201, fields: [], body: bytesOf("hello") };
};

for (const protocol of protocols) {
  describe(`EdgeEvents.onRequest, by ${protocol}`, () => {
    it("tells who asked for what, and what became of it, without the query", () =>
      withRecords(hello, { protocol }, async (tunnel, records) => {
        const fields = "Content-Length: 3\r\nUser-Agent: tester/1\r\nConnection: close\r\n";
        await exchange(tunnel, `POST /a/b?secret=1 HTTP/1.1\r\nHost: ${tunnel.host}\r\n${fields}\r\nabc`);
        await exchange(tunnel, `HEAD / HTTP/1.0\r\nHost: ${tunnel.host}\r\n\r\n`);
        await eventually(() => records.length === 2);
        const [posted, old] = records as [AccessRecord, AccessRecord];
        const { id, durationMs, ...rest } = posted;
        assert.deepEqual([typeof id, Number.isInteger(durationMs)], ["string", true]);
        assert.deepEqual(rest, {
          client: "127.0.0.1",
          method: "POST",
          host: tunnel.host,
          path: "/a/b",
          httpVersion: "1.1",
          status: 201,
          bytesIn: 3,
          bytesOut: 5,
          tunnel: "shop",
          session: tunnel.edge.tunnels.get("shop")?.session?.id,
          userAgent: "tester/1",
          code: null,
        });
        assert.deepEqual([old.method, old.httpVersion, old.userAgent], ["HEAD", "1.0", null]);
        assert.notEqual(old.id, id);
      }));

    it("tells the answer that the edge made where there was none, as JSON and as a page", () =>
      withRecords(() => Promise.reject(new Error("password")), { protocol }, async (tunnel, records) => {
        const bodies = [await get(tunnel), await get(tunnel, "/", "Accept: text/html\r\n")].map((answer) => {
          return answer.length - answer.indexOf("\r\n\r\n") - 4;
        });
        await exchange(tunnel, `HEAD / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n\r\n`);
        await eventually(() => records.length === 3);
        assert.equal(new Set(records.map(({ code }) => code)).size, 1);
        assert.ok(records.every(({ code, status }) => code !== null && status >= 500));
        assert.deepEqual(records.map(({ bytesOut }) => bytesOut), [...bodies, 0]);

        tunnel.agent.close();
        await eventually(() => tunnel.edge.tunnels.online === 0);
        await get(tunnel);
        await eventually(() => records.length === 4);
        const { status, code, tunnel: name, session } = records[3] as AccessRecord;
        assert.deepEqual([status, code, name, session], [503, "tunnel_offline", "shop", null]);
      }));

    it("tells no session where the agent is leaving and takes no new requests", async () => {
      const fed = new FedBody();
      const upstream: Handler = () => Promise.resolve({ status: 200, fields: [], body: fed.stream });
      await withRecords(upstream, { protocol }, async (tunnel, records) => {
        const visitor = await send(tunnel, getRequest(tunnel, "/events"));
        fed.push("first");
        await visitor.readUntil("first");
        const drained = tunnel.agent.drain();
        await eventually(() => tunnel.edge.tunnels.online === 0);
        await get(tunnel, "/late");
        await eventually(() => records.length === 1);
        const { path, status, code, tunnel: name, session } = records[0] as AccessRecord;
        assert.deepEqual([path, status, code, name, session], ["/late", 503, "tunnel_offline", "shop", null]);
        visitor.socket.reset();
        await drained;
      });
    });

    it("tells that the client left, with 499 before the answer and with the answer's status in it", async () => {
      const fed = new FedBody();
      const upstream: Handler = ({ target }) =>
        target === "/never"
          ? new Promise(() => {})
          : Promise.resolve({ status: 200, fields: ["Content-Type", "text/event-stream"], body: fed.stream });
      await withRecords(upstream, { protocol }, async (tunnel, records) => {
        const early = await send(tunnel, getRequest(tunnel, "/never"));
        const session = tunnel.edge.tunnels.get("shop")?.session;
        await eventually(() => session?.active === 1);
        early.socket.reset();
        await eventually(() => records.length === 1);
        const late = await send(tunnel, getRequest(tunnel, "/events"));
        fed.push("data: 1\n\n");
        await late.readUntil("data: 1\n\n");
        late.socket.reset();
        await eventually(() => records.length === 2);
        assert.deepEqual(records.map(({ path, status, bytesOut, code }) => [path, status, bytesOut, code]), [
          ["/never", 499, 0, "canceled"],
          ["/events", 200, 9, "canceled"],
        ]);
      });
    });

    it("tells that an answer broke off", async () => {
      const fed = new FedBody();
      const upstream: Handler = () => Promise.resolve({ status: 200, fields: [], body: fed.stream });
      await withRecords(upstream, { protocol }, async (tunnel, records) => {
        const client = await send(tunnel, getRequest(tunnel));
        fed.push("half");
        await client.readUntil("half");
        fed.fail(new Error("gone"));
        await client.closed;
        await eventually(() => records.length === 1);
        const [{ status, bytesOut, code }] = records as [AccessRecord];
        assert.deepEqual([status, bytesOut], [200, 4]);
        assert.ok(code !== null && code !== "canceled", String(code));
      });
    });
  });
}

describe("EdgeEvents.onRequest", () => {
  it("tells of an upgrade at its end, with what both sides sent", async () => {
    const upstream: Handler = (_head, body) =>
      Promise.resolve({ status: 101, fields: [], upgrade: "echo", body: body as ReadableStream<Uint8Array> });
    await withRecords(upstream, { protocol: "v2" }, async (tunnel, records) => {
      const client = await send(tunnel, getRequest(tunnel, "/ws", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
      await client.readUntil("\r\n\r\n");
      client.socket.write(bytesOf("ping"));
      await client.readUntil("ping");
      assert.deepEqual(records, []);
      client.socket.end();
      await eventually(() => records.length === 1);
      const [{ status, bytesIn, bytesOut, path }] = records as readonly AccessRecord[] as readonly [AccessRecord];
      assert.deepEqual([status, bytesIn, bytesOut, path], [101, 4, 4, "/ws"]);
    });
  });

  it("tells of what the edge answers itself, and of requests that cannot be read", async () => {
    const records: AccessRecord[] = [];
    const edge = await startTestEdge({ events: { onRequest: (record) => void records.push(record) } });
    const { port } = edge.address;
    const host = {
      host: "localhost",
      connect: async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port })),
    };
    try {
      await get(host, "/healthz");
      await get({ ...host, host: "nobody.localhost" }, "/a?b");
      await get(host, "/agent");
      const malformed = await exchange(host, "GET /secret HTTP/1.1\r\nNo Colon\r\n\r\n");
      const chunked = await exchange(
        host,
        "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
      );
      await eventually(() => records.length === 5);
      assert.deepEqual(records.map(({ method, path, status, tunnel, code }) => [method, path, status, tunnel, code]), [
        ["GET", "/healthz", 200, null, null],
        ["GET", "/a", 404, null, "tunnel_not_found"],
        ["GET", "/agent", 426, null, "upgrade_required"],
        ["", "", 400, null, "bad_request"],
        ["POST", "/x", 400, null, "bad_request"],
      ]);
      for (const [answer, record] of [[malformed, records[3]], [chunked, records[4]]] as const) {
        assert.equal(record?.client, "127.0.0.1");
        assert.equal(record?.bytesOut, answer.length - answer.indexOf("\r\n\r\n") - 4);
      }
    } finally {
      await edge.close();
    }
  });
});
