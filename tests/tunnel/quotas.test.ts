/** What one token may have: names, and sessions. Through an edge, on both protocols. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { AgentError } from "../../src/agent/errors.ts";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import { Connection } from "../../src/httpstream/mod.ts";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { enterEdge, type Protocol, protocols, startTestEdge, token } from "../support/tunnel.ts";

let edge: Edge;
let told: string[];
let clock: FakeClock;

async function start(options: Partial<EdgeOptions>): Promise<void> {
  told = [];
  clock = new FakeClock();
  const onQuotaReached = (reason: string, count: number) => void told.push(`${count}: ${reason}`);
  edge = await startTestEdge({ ...options, clock, events: { onQuotaReached } });
}

function open(protocol: Protocol, name: string): Promise<OpenTunnel> {
  const url = parseEdgeUrl(`http://127.0.0.1:${edge.address.port}`);
  const upstream = () => Promise.resolve({ status: 204, fields: [], body: null });
  const options = { edge: url, token, name, upstream, version: "0.0.0" };
  const signal = new AbortController().signal;
  return protocol === "json" ? openJsonTunnel(options, signal) : openV2Tunnel(options, signal);
}

/** Asserts a refusal that passes by itself, and whose reason and remedy name the flag. */
async function assertRefused(opening: Promise<OpenTunnel>, flag: string): Promise<void> {
  await assert.rejects(opening, (error) => {
    assert.ok(error instanceof AgentError);
    assert.deepEqual([error.code, error.retryable], ["refused", true]);
    assert.ok(error.reason.includes(flag) && error.remedy?.includes(flag), `${error.reason}; ${error.remedy}`);
    return true;
  });
}

describe("handshakes of runnel.v2 that come at once", () => {
  it("make no more sessions than --sessions-per-token says", async () => {
    await start({ maxSessionsPerOwner: 2 });
    const results = await Promise.allSettled(Array.from({ length: 30 }, async (_, at) => {
      const { socket, rest } = await enterEdge(edge);
      const connection = new Connection(new WebSocketLink(socket, { role: "client", rest }), { role: "agent" });
      await connection.ping();
      return at;
    }));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 2);
    await edge.close();
  });
});

for (const protocol of protocols) {
  describe(`a token on ${protocol}`, () => {
    afterEach(() => edge.close());

    it("has as many names as --names-per-token says, and another one when one is free", async () => {
      await start({ tunnels: { maxNamesPerOwner: 2 } });
      const [first] = await Promise.all([open(protocol, "a"), open(protocol, "b")]);
      await assertRefused(open(protocol, "c"), "--names-per-token");
      await assertRefused(open(protocol, "d"), "--names-per-token");
      assert.deepEqual(told.map((line) => line.slice(0, 24)), ["1: The token has 2 names"]);
      first?.session.close("over");
      await eventually(() => edge.tunnels.online === 1);
      await open(protocol, "c");
      // Further refusals are told once a minute.
      clock.advance(60_000);
      assert.deepEqual(told.slice(1).map((line) => line.slice(0, 24)), ["1: The token has 2 names"]);
    });

    it("has as many sessions as --sessions-per-token says, and another one when one is over", async () => {
      await start({ maxSessionsPerOwner: 2 });
      const first = await open(protocol, "a");
      await open(protocol, "b");
      await assertRefused(open(protocol, "c"), "--sessions-per-token");
      assert.match(told[0] ?? "", /^1: The token has 2 sessions/);
      first.session.close("over");
      await eventually(() => edge.tunnels.online === 1);
      await open(protocol, "c");
    });

    it("counts no session whose tunnel was refused", async () => {
      await start({ maxSessionsPerOwner: 2 });
      await open(protocol, "a");
      for (let attempt = 0; attempt < 5; attempt++) {
        await assert.rejects(
          open(protocol, "wpad"),
          (error) => error instanceof AgentError && error.code === "bad_name",
        );
      }
      await open(protocol, "b");
    });
  });
}
