/** A plain listener beside TLS does not serve what only looks like a challenge. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startEdge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { SocketReader } from "../support/net.ts";
import { exchange, startTestAgent, token } from "../support/tunnel.ts";

describe("a plain listener that sends visitors to https", () => {
  for (
    const [method, target] of [
      ["GET", "/.well-known/acme-challenge/../../secret"],
      ["GET", "/.well-known/acme-challenge/..%2f..%2fsecret"],
      ["GET", "/.well-known/acme-challenge/a/b"],
      ["GET", "/.well-known/acme-challenge/"],
      ["POST", "/.well-known/acme-challenge/token"],
    ] as const
  ) {
    it(`does not serve ${method} ${target}, which is no challenge`, async () => {
      const listen = [{ target: { kind: "tcp", host: "127.0.0.1", port: 0 }, redirectPort: 443 }] as const;
      const edge = await startEdge({ listen, token } as never);
      const asked: string[] = [];
      const agent = await startTestAgent(edge, (head) => {
        asked.push(head.target);
        return Promise.resolve({ status: 200, fields: ["Content-Length", "0"], body: null });
      });
      const port = edge.address.port;
      const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
      const answer = await exchange(
        { connect },
        `${method} ${target} HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      );
      agent.close();
      await edge.close();
      assert.deepEqual(asked, []);
      assert.match(answer, /^HTTP\/1\.1 308 /);
    });
  }
});
