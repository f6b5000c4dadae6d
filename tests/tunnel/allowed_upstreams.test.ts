/** An agent that may dial some addresses alone: what its visitors and its owner are told of the others. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AllowedUpstreams } from "../../src/agent/mod.ts";
import { parseAllowedUpstream } from "../../src/config/mod.ts";
import { observeExchanges, type RequestReport } from "../../src/http/observer.ts";
import { HttpClient } from "../../src/http1/client/client.ts";
import type { Dial } from "../../src/http1/mod.ts";
import { dial, type DialTarget } from "../../src/net/mod.ts";
import { eventually } from "../support/net.ts";
import { assertProblem, get, getRequest, send } from "../support/public_client.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { protocols, startTunnel, type Tunnel } from "../support/tunnel.ts";

const listed = (...texts: string[]) => new AllowedUpstreams(texts.map(parseAllowedUpstream));

async function withAgent(
  target: DialTarget,
  dialer: Dial,
  protocol: "json" | "v2",
  act: (tunnel: Tunnel, reports: readonly RequestReport[]) => Promise<void>,
): Promise<void> {
  const client = new HttpClient({ target, dial: dialer });
  const reports: RequestReport[] = [];
  const tunnel = await startTunnel(observeExchanges(client.request, (report) => void reports.push(report)), {
    protocol,
  });
  try {
    await act(tunnel, reports);
  } finally {
    await tunnel.close();
    client.close();
  }
}

for (const protocol of protocols) {
  describe(`an agent with a list of allowed upstreams, over ${protocol}`, () => {
    it("serves one of the list, and answers 502 upstream_not_allowed for another", async () => {
      let connections = 0;
      const upstream = await ScriptedServer.start(async (peer) => {
        connections++;
        await peer.readHead();
        await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        await peer.gone();
      });
      const { target, port } = upstream;
      await withAgent(target, listed(`127.0.0.1:${port}`).dialer(), protocol, async (tunnel) => {
        assert.match(await get(tunnel), /\r\n\r\nhi$/);
      });
      await withAgent(target, listed("10.0.0.0/8:*").dialer(), protocol, async (tunnel, reports) => {
        const answer = await get(tunnel);
        assertProblem(answer, 502, "upstream_not_allowed");
        assert.doesNotMatch(answer, /127\.0\.0\.1/);
        await eventually(() => reports.length > 0);
        const { code, status, reason } = reports[0]!;
        assert.deepEqual([code, status], ["upstream_not_allowed", 502]);
        assert.equal(
          reason,
          `Cannot connect to 127.0.0.1:${port}: 127.0.0.1 is not allowed; ` +
            "allow it with --allow-upstream, or check the host in TARGET",
        );
      });
      assert.equal(connections, 1);
      await upstream.close();
    });

    it("asks the list at the next dial again when the name leads elsewhere then", async () => {
      const script = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
      const upstream = await ScriptedServer.answering(script);
      let address = "127.0.0.1";
      // Resolves as the system would, before it dials.
      const resolving: Dial = (target, options, clock) => {
        return dial({ ...target, host: address } as DialTarget, options, clock);
      };
      const target = { kind: "tcp", host: "app.internal", port: upstream.port } as const;
      await withAgent(target, listed(`127.0.0.0/8:${upstream.port}`).dialer(resolving), protocol, async (tunnel) => {
        assert.match(await get(tunnel), /\r\n\r\nhi$/);
        address = "169.254.169.254";
        assertProblem(await get(tunnel), 502, "upstream_not_allowed");
        address = "::ffff:169.254.169.254";
        assertProblem(await get(tunnel), 502, "upstream_not_allowed");
        address = "127.0.0.1";
        assert.match(await get(tunnel), /\r\n\r\nhi$/);
      });
      await upstream.close();
    });
  });
}

describe("an upgrade through an agent with a list of allowed upstreams", () => {
  it("is refused when its target is not of the list, as any other request is", async () => {
    let connections = 0;
    const upstream = await ScriptedServer.start(() => void connections++);
    await withAgent(upstream.target, listed("10.0.0.0/8:*").dialer(), "v2", async (tunnel) => {
      const upgrade = "Connection: Upgrade\r\nUpgrade: chat\r\n";
      const visitor = await send(tunnel, getRequest(tunnel, "/", upgrade));
      assert.match(
        await visitor.readUntil("\r\n\r\n"),
        /^HTTP\/1\.1 502 [^]*^X-Runnel-Error: upstream_not_allowed\r$/m,
      );
      visitor.socket.reset();
    });
    assert.equal(connections, 0);
    await upstream.close();
  });
});
