/** Several agents that serve one tunnel, over real sockets. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Agent } from "../../src/agent/agent.ts";
import { AgentError } from "../../src/agent/errors.ts";
import type { V2DialOptions } from "../../src/agent/v2_dial.ts";
import type { AccessRecord } from "../../src/edge/access.ts";
import type { Edge } from "../../src/edge/edge.ts";
import type { Handler } from "../../src/http/message.ts";
import { problemAnswer } from "../../src/http/problem_answer.ts";
import { UpstreamError } from "../../src/http/mod.ts";
import { WebSocketUpgrader } from "../../src/httpstream/mod.ts";
import { HttpServer } from "../../src/http1/mod.ts";
import { listen } from "../../src/net/mod.ts";
import { serveExchange } from "../../src/session/mod.ts";
import { bodyText, FedBody } from "../support/client_requests.ts";
import { bytesOf, eventually } from "../support/net.ts";
import { exchange, publicSide, startTestEdge, startV2Agent } from "../support/tunnel.ts";
import { get, getRequest, send } from "../support/public_client.ts";
import { Relay } from "../support/relay.ts";

let edge: Edge;
let relay: Relay;
let agents: Agent[];

beforeEach(async () => {
  edge = await startTestEdge();
  relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port: edge.address.port });
  agents = [];
});
afterEach(async () => {
  for (const agent of agents) agent.close();
  await relay.close();
  await edge.close();
});

const saying = (text: string): Handler => async (_head, body) => {
  await bodyText(body);
  return { status: 200, fields: [], body: bytesOf(`<${text}>`) };
};

async function enter(upstream: Handler, options: Partial<V2DialOptions> & { port?: number } = {}): Promise<Agent> {
  const agent = await startV2Agent(edge, upstream, { share: true, ...options });
  agents.push(agent);
  return agent;
}

const visitor = () => publicSide(edge, "shop");
const post = () =>
  exchange(visitor(), `POST / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx`);

/** Who answered so many requests. */
async function answered(count: number, ask = () => get(visitor())): Promise<string[]> {
  const names: string[] = [];
  for (let index = 0; index < count; index++) names.push(/<(\w+)>/.exec(await ask())?.[1] ?? "failed");
  return names;
}

describe("Agents that share a tunnel", () => {
  it("get the requests in turn, and a busy one fewer of them", async () => {
    const fed = new FedBody();
    await enter((head, ...rest) => {
      if (head.target !== "/open") return saying("one")(head, ...rest);
      return Promise.resolve({ status: 200, fields: [], body: fed.stream });
    });
    const open = await send(visitor(), getRequest(visitor(), "/open"));
    fed.push("first");
    await open.readUntil("first");
    await enter(saying("two"));
    // The first one has a request from the time when it was alone.
    assert.deepEqual(await answered(4), ["two", "two", "two", "two"]);
    fed.end();
    await open.readUntil("0\r\n\r\n");
    open.socket.reset();
    await eventually(() => edge.active === 0);
    assert.deepEqual((await answered(4)).sort(), ["one", "one", "two", "two"]);
    assert.deepEqual(edge.sessions().map(({ tunnels }) => tunnels), [["shop"], ["shop"]]);
  });

  it("lose no request when one of them loses its link, and both serve when it is back", async () => {
    await enter(saying("one"), { port: relay.port });
    await enter(saying("two"));
    relay.block();
    await eventually(() => edge.sessions().some(({ isSuspended }) => isSuspended));
    assert.deepEqual(await answered(3), ["two", "two", "two"]);
    relay.unblock();
    await eventually(() => edge.sessions().every(({ isSuspended }) => !isSuspended));
    assert.deepEqual((await answered(4)).sort(), ["one", "one", "two", "two"]);
  });

  it("take over a request without an answer at once when the link of its agent is lost, while that may come back", async () => {
    const isAsked = Promise.withResolvers<void>();
    await enter(() => {
      isAsked.resolve();
      return new Promise(() => {});
    }, { port: relay.port });
    await enter(saying("two"));
    const answers = [get(visitor()), get(visitor())];
    await isAsked.promise;
    relay.block();
    for (const answer of await Promise.all(answers)) assert.match(answer, /<two>/);
    assert.ok(edge.sessions().some(({ isSuspended }) => isSuspended));
    relay.unblock();
  });

  it("take over a request without an answer from one that is lost, and no upload", async () => {
    const isAsked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let asked = 0;
    const first = await enter(() => {
      isAsked[asked++]!.resolve();
      return new Promise(() => {});
    });
    const moved = get(visitor());
    await isAsked[0]!.promise;
    const upload = post();
    await isAsked[1]!.promise;
    await enter(saying("two"));
    // Only those that were asked while there were several may move.
    const second = await enter(() => new Promise(() => {}));
    first.close();
    assert.match(await moved, /^HTTP\/1\.1 502 [^]*agent_lost/);
    assert.match(await upload, /^HTTP\/1\.1 502 [^]*agent_lost/);
    const waits = [get(visitor()), get(visitor()), get(visitor())];
    await eventually(() => second.active > 0);
    second.close();
    for (const answer of await Promise.all(waits)) assert.match(answer, /<two>/);
  });

  it("are told of in the records of requests, with the session that answered", async () => {
    const records: AccessRecord[] = [];
    await enter(() => Promise.reject(new UpstreamError("upstream_refused", "for the test")));
    await enter(saying("two"));
    const stop = edge.observeRequests({ onRequest: (record) => void records.push(record) });
    assert.deepEqual(await answered(2), ["two", "two"]);
    await eventually(() => records.length === 2);
    const second = edge.tunnels.get("shop")!.holders[1]!.session.id;
    assert.deepEqual(records.map(({ session, status }) => [session, status]), [[second, 200], [second, 200]]);
    stop();
  });

  it("pass over one whose upstream refuses, without a failed GET, and with one failed POST at most", async () => {
    let asked = 0;
    await enter(() => {
      asked++;
      return Promise.reject(new UpstreamError("upstream_refused", "for the test"));
    });
    await enter(saying("two"));
    assert.deepEqual(await answered(6), Array(6).fill("two"));
    assert.equal(asked, 1);
    assert.deepEqual(await answered(6, post), Array(6).fill("two"));
    assert.equal(asked, 1);
  });

  it("refuse one that does not share, and one that shares is refused by one that does not", async () => {
    await enter(saying("one"));
    await assert.rejects(enter(saying("two"), { share: false }), (error) => {
      assert.ok(error instanceof AgentError && error.code === "name_taken");
      assert.match(error.reason, /it shares the tunnel: start this one with --share, too, or take the name over/);
      return true;
    });
    const alone = await enter(saying("alone"), { share: false, force: true });
    assert.deepEqual(await answered(2), ["alone", "alone"]);
    await assert.rejects(enter(saying("two")), /it does not share the tunnel: start it with --share, too, or stop it/);
    alone.close();
    await eventually(() => edge.tunnels.online === 0);
    await enter(saying("two"));
    assert.deepEqual(await answered(1), ["two"]);
  });

  it("finish what runs when one of them is stopped, while the others get what is new", async () => {
    const fed = new FedBody();
    const first = await enter(() => Promise.resolve({ status: 200, fields: [], body: fed.stream }));
    const open = await send(visitor(), getRequest(visitor()));
    fed.push("first");
    await open.readUntil("first");
    await enter(saying("two"));
    const drained = first.drain();
    await eventually(() => edge.sessions().some(({ isLeaving }) => isLeaving));
    assert.deepEqual(await answered(3), ["two", "two", "two"]);
    fed.push("last");
    await open.readUntil("last");
    fed.end();
    await drained;
    open.socket.reset();
  });
});

describe("An edge that is older than --share", () => {
  it("is told of to the person, and the agent does not serve alone", async () => {
    const upgrader = new WebSocketUpgrader({
      onStream: (stream) =>
        serveExchange(stream, async (_head, body) => {
          const { share } = JSON.parse(await bodyText(body));
          assert.equal(share, true);
          return problemAnswer("bad_request", 'Key ``: Unrecognized key: "share"');
        }),
    });
    const server = new HttpServer((head) => Promise.resolve(upgrader.upgradeResponse(head, () => {})));
    const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => server.accept(socket));
    const { port } = listener.address;
    await assert.rejects(enter(saying("one"), { port, name: "shop" }), (error) => {
      assert.ok(error instanceof AgentError && error.code === "protocol_mismatch", String(error));
      assert.match(error.reason, /is older than this agent: it lets one agent serve a tunnel, and not several$/);
      assert.match(error.remedy ?? "", /leave --share out/);
      return true;
    });
    server.close();
    await listener.close();
  });
});
