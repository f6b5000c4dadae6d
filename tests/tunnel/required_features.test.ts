/** What agents are told of tunnels that were declared at the edge, those of other makes and of the version before, too. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeclaredTunnels } from "../../src/edge/mod.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { Connection } from "../../src/httpstream/mod.ts";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { openExchange } from "../../src/session/v2/open.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { enterEdge, type Protocol, protocols, startTestEdge, token } from "../support/tunnel.ts";

const tunnels: Record<string, { hostnames: string[]; requires: string[] }> = {
  plain: { hostnames: [], requires: [] },
  hosts: { hostnames: ["hosts.test", "*.hosts.test"], requires: [] },
  able: { hostnames: [], requires: ["http", "upgrade"] },
};
const declared: DeclaredTunnels = {
  has: (name) => name in tunnels,
  ofHost: () => null,
  get: (name) => tunnels[name] ?? null,
};
const node = {
  id: "node:n",
  tokenId: "t",
  node: "n",
  refusalOf: () => null,
  isValid: () => true,
  ownerOf: () => "node:n",
};

function startEdge(): Promise<Edge> {
  const checkToken = (given: string) => given === token ? node : null;
  return startTestEdge({ token: "another-token", declared, checkToken });
}

/** Asks for the tunnel `name`, with `fields` in the handshake; resolves to what the edge says, and closes. */
function ask(edge: Edge, protocol: Protocol, name: string, fields: string[]): Promise<Record<string, unknown>> {
  return protocol === "v2" ? askByRequest(edge, name, fields) : askByFrame(edge, name, fields);
}

async function askByFrame(edge: Edge, name: string, fields: string[]): Promise<Record<string, unknown>> {
  const agent = await JsonAgent.dial(edge, fields);
  const answer = await agent.ask({ type: "register", tunnel_id: name, agent_token: token });
  agent.link.abort();
  return answer;
}

async function askByRequest(edge: Edge, name: string, fields: string[]): Promise<Record<string, unknown>> {
  const { socket, rest } = await enterEdge(edge, fields);
  const connection = new Connection(new WebSocketLink(socket, { role: "client", rest }), { role: "agent" });
  await connection.ready;
  const head = {
    method: "POST",
    target: "/api/agent/tunnels",
    scheme: "http",
    authority: "edge",
    fields: ["Content-Type", "application/json"],
    client: "",
    id: "1",
  } as const;
  const body = new TextEncoder().encode(JSON.stringify({ name, kind: "http", upstream: "" }));
  const answer = await openExchange(connection, head, body, new AbortController().signal);
  const text = await new Response(answer.body as BodyInit).text();
  connection.close();
  return JSON.parse(text);
}

for (const protocol of protocols) {
  describe(`a declared tunnel that is opened over ${protocol}`, () => {
    it("is opened by agents that name no features where it requires none", async () => {
      const edge = await startEdge();
      const answer = await ask(edge, protocol, "plain", []);
      assert.match(String(answer.url), /^http:\/\/plain\.localhost:\d+$/);
      assert.equal("urls" in answer, false);
      await edge.close();
    });

    it("is told with all of its URLs where it has hostnames of its own", async () => {
      const edge = await startEdge();
      const answer = await ask(edge, protocol, "hosts", []);
      const { port } = edge.address;
      assert.deepEqual(
        answer.urls,
        ["hosts.localhost", "hosts.test", "*.hosts.test"].map((h) => `http://${h}:${port}`),
      );
      assert.equal(answer.url, (answer.urls as string[])[0]);
      await edge.close();
    });

    it("is opened by agents that have what it requires, and by no others", async () => {
      const edge = await startEdge();
      assert.equal(typeof (await ask(edge, protocol, "able", ["Runnel-Features", "upgrade, x,http"])).url, "string");
      for (const [fields, missing] of [[[], "http, upgrade"], [["Runnel-Features", "http"], "upgrade"]] as const) {
        const { code, detail, message } = await ask(edge, protocol, "able", [...fields]);
        assert.equal(code, "feature_missing");
        assert.equal(detail ?? message, `The tunnel able requires ${missing}, which this agent does not have`);
      }
      await edge.close();
    });
  });
}
