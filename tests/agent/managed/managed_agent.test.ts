/** A managed agent before a real edge, whose config, events and acknowledgements the test scripts. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { AgentToken } from "../../../src/agent/agent_token.ts";
import { AllowedUpstreams } from "../../../src/agent/allowed_upstreams.ts";
import { parseEdgeUrl } from "../../../src/agent/edge_url.ts";
import { EdgeApi } from "../../../src/agent/managed/edge_api.ts";
import { ManagedAgent } from "../../../src/agent/managed/managed_agent.ts";
import type { AgentState } from "../../../src/agent/managed/state_file.ts";
import { TunnelKeeper } from "../../../src/agent/managed/tunnel_keeper.ts";
import { TunnelSession } from "../../../src/agent/managed/tunnel_session.ts";
import { upstreamOf } from "../../../src/agent/managed/upstreams.ts";
import { Backoff } from "../../../src/base/backoff.ts";
import { dial } from "../../../src/net/mod.ts";
import { ConfigEdge, configTunnel, problem } from "../../support/config_edge.ts";
import { eventually } from "../../support/net.ts";
import { assertProblem, get, getRequest, send } from "../../support/public_client.ts";
import { startTestAgent, token } from "../../support/tunnel.ts";
import { answering } from "../../support/control_stage.ts";

/** A service whose answers are `text`; `/stream` has one that does not end. */
async function service(text: string) {
  const server = createServer((request, response) => {
    if (request.url === "/stream") return void response.write(`begin of ${text}`);
    response.end(text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { port, close: () => (server.closeAllConnections(), server.close()) };
}

type Service = Awaited<ReturnType<typeof service>>;

describe("ManagedAgent", () => {
  let stage: ConfigEdge;
  let one: Service;
  let two: Service;
  const agents: { agent: ManagedAgent; run: Promise<void> }[] = [];
  beforeEach(async () => {
    [stage, one, two] = await Promise.all([ConfigEdge.start(), service("one"), service("two")]);
  });
  afterEach(async () => {
    for (const { agent, run } of agents.splice(0)) {
      agent.close();
      await run;
    }
    one.close();
    two.close();
    await stage.close();
  });

  function start(options: { lastGood?: AgentState; token?: AgentToken; headTimeoutMs?: number } = {}) {
    const { lastGood, token: agentToken = new AgentToken(token), headTimeoutMs } = options;
    const told = {
      ready: [] as string[],
      config: [] as [number, string | null][],
      trouble: [] as [string, string][],
      leave: [] as string[],
      lost: [] as [string, string][],
      saved: [] as AgentState[],
    };
    const edge = parseEdgeUrl(stage.url);
    const backoff = () => new Backoff(2, 20);
    const upstreams = {
      allowed: new AllowedUpstreams(),
      tls: {},
      dial,
      limits: { headBytes: 65_536, fieldCount: 256 },
      connectionAuth: false,
    };
    const keeper = new TunnelKeeper({
      makeUpstream: (tunnel) => upstreamOf(tunnel, upstreams),
      drainMs: 60_000,
      connect: (hooks, signal) =>
        agentToken.opener((token, signal) =>
          TunnelSession.connect({ ...hooks, edge, token, version: "0.0.0", agentKey: "k".repeat(22) }, signal)
        )(signal),
      events: {
        onReady: ({ name }, label) => void told.ready.push(`${name} ${label}`),
        onTunnelLost: (name, reason) => void told.lost.push([name, reason]),
      },
      backoff,
    });
    const agent = new ManagedAgent({
      api: new EdgeApi({ edge, token: agentToken, instance: "i1", headTimeoutMs }),
      keeper,
      lastGood,
      save: (state) => Promise.resolve(void told.saved.push(state)),
      events: {
        onConfig: (...args) => void told.config.push(args),
        onTrouble: (...args) => void told.trouble.push(args),
        onLeave: (action) => void told.leave.push(action),
      },
      backoff,
    });
    agents.push({ agent, run: agent.run() });
    return { agent, keeper, told };
  }

  const visit = (name: string) => get(stage.visitor(name));
  const listening = () => eventually(() => stage.streams.size === 1, { message: "a stream of events" });

  it("serves what the config says, and acknowledges it with its instance once it is served", async () => {
    stage.tunnels = [configTunnel("a", one.port), configTunnel("b", `http://127.0.0.1:${two.port}`)];
    const { told } = start();
    assert.deepEqual(await stage.acknowledged(), { version: 1, checksum: "sum-1", ok: true, instance: "i1" });
    // An acknowledgement means serving.
    assert.match(await visit("a"), /one$/);
    assert.match(await visit("b"), /two$/);
    assert.deepEqual(told.ready.toSorted(), [`a http://localhost:${one.port}`, `b http://127.0.0.1:${two.port}`]);
    assert.deepEqual(told.config, [[1, null]]);
    assert.deepEqual(told.saved.map(({ version, tunnels }) => [version, tunnels.length]), [[1, 2]]);
    await listening();
    assert.equal(stage.opened[0]!.url, "/api/agent/push?instance=i1");
  });

  it("applies a change at once, and does not touch the streams of the others", async () => {
    stage.tunnels = [configTunnel("a", one.port), configTunnel("b", two.port)];
    start();
    await stage.acknowledged();
    await listening();
    const visitor = stage.visitor("b");
    const client = await send(visitor, getRequest(visitor, "/stream"));
    await client.readUntil("begin of two");
    const session = stage.edge.sessions()[0]!.id;

    stage.change([configTunnel("b", two.port), configTunnel("c", two.port)]);
    assert.equal((await stage.acknowledged()).ok, true);
    assertProblem(await visit("a"), 503, "tunnel_offline");
    assert.match(await visit("c"), /two$/);
    assert.equal(client.sawEnd, false);
    assert.equal(stage.edge.sessions()[0]!.id, session);
    assert.deepEqual(stage.edge.sessions()[0]!.tunnels, ["b", "c"]);
    client.socket.reset();
  });

  it("lets what runs finish on the old upstream when a tunnel gets another one", async () => {
    stage.tunnels = [configTunnel("a", one.port)];
    start();
    await stage.acknowledged();
    await listening();
    const visitor = stage.visitor("a");
    const client = await send(visitor, getRequest(visitor, "/stream"));
    await client.readUntil("begin of one");
    stage.change([configTunnel("a", two.port)]);
    await stage.acknowledged();
    assert.match(await visit("a"), /two$/);
    assert.equal(client.sawEnd, false);
    one.close();
    await client.closed;
  });

  it("fails no request of any tunnel while others change 30 times", async () => {
    stage.tunnels = [configTunnel("a", one.port)];
    start();
    await stage.acknowledged();
    await listening();
    let isOver = false;
    const visits = Array.from({ length: 4 }, async () => {
      let count = 0;
      while (!isOver) {
        assert.match(await visit("a"), /^HTTP\/1\.1 200 [^]*(one|two)$/);
        count++;
      }
      return count;
    });
    for (let round = 0; round < 30; round++) {
      const other = configTunnel(`n${round % 3}`, two.port);
      stage.change([configTunnel("a", round % 2 === 0 ? two.port : one.port), other]);
      assert.equal((await stage.acknowledged()).ok, true);
    }
    isOver = true;
    assert.ok((await Promise.all(visits)).every((count) => count > 0));
  });

  for (
    const [what, tunnel, reason] of [
      [
        "of the kind tcp",
        configTunnel("x", 1, { kind: "tcp" }),
        /The tunnel x cannot be served: it is of the kind tcp/,
      ],
      ["that requires more", configTunnel("x", 1, { requires: ["http", "fly"] }), /it requires fly, which this agent/],
      [
        "with an upstream that is not permitted",
        configTunnel("x", "10.0.0.1:80"),
        /--allow-upstream .* http:\/\/10\.0\.0\.1:80/,
      ],
      ["with a unix socket", configTunnel("x", "unix:/run/x"), /permits no unix sockets/],
      [
        "with an upstream that cannot be read",
        configTunnel("x", "http://x/y"),
        /The target "http:\/\/x\/y" is none of/,
      ],
      [
        "with a key that it does not know",
        configTunnel("x", 1, { access: {} }),
        /has the key access, .* older than its edge/,
      ],
      [
        "with a wrong timeout",
        configTunnel("x", 1, { timeouts: { idle: "long" } }),
        /timeouts\.idle: is neither off nor/,
      ],
      ["of a name that cannot be", configTunnel("www", 1), /www is reserved/],
    ] as const
  ) {
    it(`goes on with the last good config when there is a tunnel ${what}, and says why`, async () => {
      stage.tunnels = [configTunnel("a", one.port)];
      const { told } = start();
      await stage.acknowledged();
      await listening();
      stage.change([configTunnel("b", two.port), tunnel]);
      const { ok, error, instance } = await stage.acknowledged();
      assert.deepEqual([ok, instance], [false, "i1"]);
      assert.match(error!, reason);
      assert.match(await visit("a"), /one$/);
      // The edge may read the visitor before it reads that the tunnel is given back.
      await eventually(async () => !/two$/.test(await visit("b")));
      assert.deepEqual(told.config.map(([version, why]) => [version, why === null]), [[1, true], [2, false]]);
      assert.deepEqual(told.saved.map(({ version }) => version), [1]);
      stage.change([configTunnel("b", two.port)]);
      assert.equal((await stage.acknowledged()).ok, true);
      assert.match(await visit("b"), /two$/);
    });
  }

  for (const more of [{ kind: "tcp" }, { requires: ["teleport"] }]) {
    it(`refuses ${JSON.stringify(more)} of a tunnel that it serves already, whose upstream stays`, async () => {
      stage.tunnels = [configTunnel("a", one.port)];
      start();
      await stage.acknowledged();
      await listening();
      stage.change([configTunnel("a", one.port, more)]);
      const { ok, error } = await stage.acknowledged(2);
      assert.equal(ok, false);
      assert.match(error!, /^The tunnel a cannot be served: it /);
      assert.match(await visit("a"), /one$/);
    });
  }

  it("tries a tunnel again whose name another agent has, and acknowledges it then", async () => {
    const other = await startTestAgent(stage.edge, answering("other"), "b", "v2");
    stage.tunnels = [configTunnel("a", one.port), configTunnel("b", two.port)];
    const { told } = start();
    const { ok, error } = await stage.acknowledged();
    assert.equal(ok, false);
    assert.match(error!, /The name b is taken/);
    assert.match(await visit("b"), /other$/);
    other.close();
    await eventually(() => stage.acks.at(-1)!.ok);
    assert.match(await visit("b"), /two$/);
    assert.match(await visit("a"), /one$/);
    assert.deepEqual(told.config.map(([, why]) => why === null), [false, true]);
  });

  it("gives back all that is gone when another change comes while it does so", async () => {
    // The last of them wait for their turn: an agent asks its edge for so much in a second.
    const many = Array.from({ length: 70 }, (_, index) => configTunnel(`t${index}`, one.port));
    stage.tunnels = many;
    const { told } = start();
    await stage.acknowledged();
    await listening();
    const left = () => stage.edge.sessions()[0]!.tunnels.length;
    stage.change([configTunnel("a", one.port)]);
    await eventually(() => left() < many.length);
    stage.change([configTunnel("a", two.port)]);
    await eventually(() => told.config.some(([version]) => version === 3));
    assert.deepEqual(stage.edge.sessions()[0]!.tunnels, ["a"]);
    assert.match(await visit("a"), /two$/);
  });

  it("opens a tunnel anew that the edge took away", async () => {
    stage.tunnels = [configTunnel("a", one.port), configTunnel("b", two.port)];
    const { told } = start();
    await stage.acknowledged();
    stage.edge.tunnels.withdraw("a", "name_not_allowed", "For the test");
    await eventually(() => told.lost.length === 1);
    await eventually(async () => /one$/.test(await visit("a")));
    assert.equal(stage.edge.sessions().length, 1);
  });

  it("serves its last good config before the edge has told it any", async () => {
    stage.route = (request, response) => {
      if (!request.url!.startsWith("/api/agent/config")) return false;
      problem(response, 503, "store_unavailable");
      return true;
    };
    const tunnels = [{ name: "a", kind: "http" as const, upstream: String(one.port), hostnames: [] }];
    const { told } = start({ lastGood: { version: 1, checksum: "sum-1", tunnels } });
    await eventually(async () => /one$/.test(await visit("a")));
    assert.deepEqual(stage.acks, []);
    assert.match(told.trouble[0]![1], /answered GET \/api\/agent\/config with 503: said store_unavailable/);
    stage.route = () => false;
    stage.tunnels = [configTunnel("a", one.port), configTunnel("b", two.port)];
    await stage.acknowledged();
    assert.match(await visit("b"), /two$/);
  });

  it("comes back to the same tunnels when all its links are cut", async () => {
    stage.tunnels = [configTunnel("a", one.port), configTunnel("b", two.port)];
    const { told } = start();
    await stage.acknowledged();
    await listening();
    stage.send("action", { action: "drain", expiresAt: new Date(Date.now() + 600_000).toISOString() });
    await eventually(() => told.leave.length === 1);
    stage.cut();
    await eventually(async () => /one$/.test(await visit("a")) && /two$/.test(await visit("b")));
    await eventually(() => stage.opened.length === 2 && stage.streams.size === 1);
    assert.equal(stage.opened[1]!.lastEventId, "boot-1");
  });

  it("makes one poll of many changes, and one more of those that come while it polls", async () => {
    const { told } = start();
    await stage.acknowledged();
    await listening();
    await eventually(() => stage.polls.length === 2);
    const held: (() => void)[] = [];
    stage.route = (request, response) => {
      if (!request.url!.startsWith("/api/agent/config")) return false;
      held.push(() => response.writeHead(304).end());
      return true;
    };
    for (let count = 0; count < 50; count++) stage.send("config_changed", { version: 1, reason: "tunnel" });
    await eventually(() => held.length === 1);
    for (let count = 0; count < 50; count++) stage.send("config_changed", { version: 1, reason: "tunnel" });
    // Behind all events comes an action, so that they have been seen.
    stage.send("action", { action: "drain", expiresAt: new Date(Date.now() + 600_000).toISOString() });
    await eventually(() => told.leave.length === 1);
    held.shift()!();
    await eventually(() => held.length === 1);
    stage.route = () => false;
    held.shift()!();
    assert.equal(stage.polls.length, 4);
    assert.equal(stage.polls[3], '"e-1"');
  });

  it("polls by itself as often as it is told, where no event comes", async () => {
    stage.pollIntervalMs = 3_600_000;
    const { told } = start();
    await stage.acknowledged();
    await listening();
    stage.send("poll_interval", { pollIntervalMs: 1 });
    stage.version = 7;
    stage.tunnels = [configTunnel("a", one.port)];
    // A second is the least.
    assert.equal((await stage.acknowledged(7)).ok, true);
    assert.deepEqual(told.config.at(-1), [7, null]);
  });

  it("obeys an action until it expires, and not afterwards", async () => {
    const { told } = start();
    await stage.acknowledged();
    await listening();
    stage.send("action", { action: "shutdown", expiresAt: new Date(Date.now() - 1).toISOString() });
    stage.send("action", { action: "shutdown", expiresAt: "soon" });
    stage.send("action", { action: "dance", expiresAt: new Date(Date.now() + 600_000).toISOString() });
    stage.send("unheard_of", {});
    stage.send("action", { action: "drain", expiresAt: new Date(Date.now() + 600_000).toISOString() });
    stage.send("action", { action: "shutdown", expiresAt: Date.now() + 600_000 });
    await eventually(() => told.leave.length === 2);
    assert.deepEqual(told.leave, ["drain", "shutdown"]);
  });

  it("connects anew when it is told to, and loses no request", async () => {
    stage.tunnels = [configTunnel("a", one.port), configTunnel("b", two.port)];
    start();
    await stage.acknowledged();
    await listening();
    const before = stage.edge.sessions()[0]!.id;
    let isOver = false;
    const visits = ["a", "b"].map(async (name) => {
      while (!isOver) assert.match(await visit(name), /^HTTP\/1\.1 200 /);
    });
    stage.send("action", { action: "reconnect", expiresAt: new Date(Date.now() + 600_000).toISOString() });
    const hasMoved = () => stage.edge.sessions().length === 1 && stage.edge.sessions()[0]!.id !== before;
    await eventually(() => hasMoved() && stage.opened.length === 2);
    assert.deepEqual(stage.edge.sessions()[0]!.tunnels, ["a", "b"]);
    isOver = true;
    await Promise.all(visits);
  });

  it("sends its token to no other origin, and follows no redirect", async () => {
    let asked = 0;
    const foreign = createServer((_, response) => {
      asked++;
      response.end();
    });
    foreign.listen(0, "127.0.0.1");
    await once(foreign, "listening");
    const origin = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`;
    stage.pushUrl = `${origin}/elsewhere`;
    const { told } = start();
    await listening();
    assert.equal(stage.opened[0]!.url, "/api/agent/push?instance=i1");
    assert.match(told.trouble.find(([what]) => what === "pushUrl")![1], /another origin than --edge/);
    stage.route = (request, response) => {
      response.writeHead(307, { location: `${origin}${request.url}` }).end();
      return true;
    };
    stage.send("config_changed", { version: 2, reason: "tunnel" });
    await eventually(() => told.trouble.some(([, reason]) => reason.includes("redirect, which is not followed")));
    assert.equal(asked, 0);
    foreign.close();
  });

  it("goes on with the token that stands in its file when the old one is refused", async () => {
    let inFile = token;
    const { agent } = start({ token: new AgentToken(token, () => Promise.resolve(inFile)) });
    await stage.acknowledged();
    await listening();
    stage.token = inFile = "another-token";
    stage.change([]);
    assert.equal((await stage.acknowledged()).version, 2);
    agent.tokenChanged();
    await eventually(() => stage.opened.some(({ authorization }) => authorization === "Bearer another-token"));
  });

  it("gives up an answer that does not come, and asks again", async () => {
    const unanswered: unknown[] = [];
    stage.route = (_, response) => unanswered.length === 0 && unanswered.push(response) > 0;
    const { told } = start({ headTimeoutMs: 200 });
    await stage.acknowledged();
    assert.match(told.trouble[0]![1], /no answer to GET \/api\/agent\/config within 200 ms/);
  });

  it("acknowledges again until the edge takes it, the newest version alone", async () => {
    let isDown = true;
    let refused = 0;
    stage.route = (request, response) => {
      if (!isDown || !request.url!.startsWith("/api/agent/ack")) return false;
      refused++;
      problem(response, 503, "store_unavailable");
      return true;
    };
    start();
    await eventually(() => refused > 2);
    stage.change([configTunnel("a", one.port)]);
    await eventually(async () => /one$/.test(await visit("a")));
    isDown = false;
    await eventually(() => stage.acks.length > 0);
    assert.equal(stage.acks[0]!.version, 2);
  });

  it("cuts a long reason to what an edge takes", async () => {
    stage.tunnels = [configTunnel("x", "y".repeat(1_000) + "/z", { requires: [] }), configTunnel("b", 1)];
    start();
    const { ok, error } = await stage.acknowledged();
    assert.equal(ok, false);
    assert.ok(error!.length <= 1_024);
  });
});
