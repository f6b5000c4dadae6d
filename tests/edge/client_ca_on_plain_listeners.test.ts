/** A host whose visitors must show a certificate is not to be had without TLS. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type EdgeListener } from "../../src/edge/listeners.ts";
import { startEdge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { SocketReader } from "../support/net.ts";
import { pem, serverKey } from "../support/tls.ts";
import { exchange, startTestAgent, token } from "../support/tunnel.ts";

const loopback = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
const certificates = {
  certificateFor: () => ({ chain: pem("server"), key: serverKey, id: "server" }),
};
const policy = { id: "clients", ca: pem("authority") };
const secure: EdgeListener = {
  target: loopback,
  tls: { certificates, clientPolicyOf: (name) => name === "shop.localhost" ? policy : null },
};

describe("a host whose visitors must show a certificate", () => {
  const cases: [what: string, plain: EdgeListener, target: string][] = [
    [
      "by what looks like a challenge",
      { target: loopback, redirectPort: 0 },
      "/.well-known/acme-challenge/../../secret",
    ],
    ["as a plain host", { target: loopback, redirectPort: 0 }, "/secret"],
    ["at a listener without TLS", { target: loopback }, "/secret"],
  ];
  for (const [what, plain, target] of cases) {
    it(`is not served ${what}`, async () => {
      const isPlainHost = () => what === "as a plain host";
      const edge = await startEdge({ listen: [plain, secure], token, isPlainHost });
      const asked: string[] = [];
      const agent = await startTestAgent(edge, (head) => {
        asked.push(head.target);
        return Promise.resolve({ status: 200, fields: ["Content-Length", "0"], body: null });
      });
      const port = edge.address.port;
      const connect = async () => new SocketReader(await dial({ ...loopback, port }));
      const answer = await exchange(
        { connect },
        `GET ${target} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n`,
      );
      agent.close();
      await edge.close();
      assert.deepEqual(asked, [], answer);
      assert.match(answer, /^HTTP\/1\.1 (?:308|421) /);
    });
  }
});
