/** Challenges of ACME on the public side of an edge: its own are answered, all others are the tunnels'. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { answering } from "../support/control_stage.ts";
import { bytesOf, latin1, type SocketReader } from "../support/net.ts";
import { protocols, startTunnel } from "../support/tunnel.ts";

const PATH = "/.well-known/acme-challenge/";

for (const protocol of protocols) {
  describe(`a challenge on ${protocol}`, () => {
    async function withEdge(
      use: (ask: (line: string, host: string) => Promise<string>) => Promise<void>,
    ): Promise<void> {
      const asked: string[] = [];
      const challengeAnswer = (host: string, token: string) => {
        asked.push(`${host} ${token}`);
        return token === "known" && host === "shop.localhost" ? "known.proof" : null;
      };
      const tunnel = await startTunnel(answering("the tunnel's"), { protocol, edge: { challengeAnswer } });
      try {
        await use(async (line, host) => {
          const client: SocketReader = await tunnel.connect();
          client.socket.write(bytesOf(`${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
          return latin1(await client.readAll());
        });
      } finally {
        await tunnel.close();
      }
    }

    it("is answered when the edge has ordered it, whatever the case and the port of the host", () =>
      withEdge(async (ask) => {
        for (const host of ["shop.localhost", "SHOP.localhost:80", "shop.localhost."]) {
          const answer = await ask(`GET ${PATH}known`, host);
          assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
          assert.match(answer, /\r\nContent-Type: application\/octet-stream\r\n/);
          assert.match(answer, /\r\nCache-Control: no-store\r\n/);
          assert.match(answer, /\r\n\r\nknown\.proof$/);
        }
      }));

    it("goes to the tunnel when the edge has not ordered it", () =>
      withEdge(async (ask) => {
        const lines = [
          `GET ${PATH}other`,
          `GET ${PATH}`,
          `HEAD ${PATH}known`,
          `GET ${PATH}known/`,
          `GET ${PATH}known?x`,
        ];
        for (const line of lines) {
          const answer = await ask(line, "shop.localhost");
          assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/, line);
          if (line.startsWith("GET")) assert.match(answer, /\r\n\r\nthe tunnel's$/, line);
          assert.doesNotMatch(answer, /known\.proof/);
        }
        assert.match(await ask("GET /known", "shop.localhost"), /the tunnel's$/);
      }));

    it("has no answer of the edge's on a host without a tunnel when the edge has not ordered it", () =>
      withEdge(async (ask) => {
        assert.match(await ask(`GET ${PATH}known`, "blog.localhost"), /^HTTP\/1\.1 404 /);
      }));
  });
}
