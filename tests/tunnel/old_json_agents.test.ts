/**
 * Agents of the JSON protocol that were written for an older edge, in languages with other habits: they announce no
 * `features`, and serve one request after the other.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import type { JsonEdgeSession } from "../../src/session/wsproto/edge_session.ts";
import { FakeClock } from "../support/clock.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { bytesOf, eventually, latin1 } from "../support/net.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { publicSide, startTestEdge, token } from "../support/tunnel.ts";

const MIB = 1024 * 1024;
const base64 = (text: string) => Buffer.from(text, "latin1").toString("base64");
/** As a program with one type for lists and maps writes the empty map. */
const whole = (text: string, headers: unknown = []) => ({ status: 200, headers, body_b64: base64(text) });
/** What the agent of a program with features says. */
const modern = { features: ["http_response_abort", "http_request_cancel"] };

describe("an edge with agents that announce no features", () => {
  let edge: Edge;
  let clock: FakeClock;
  let agents: JsonAgent[];

  const restart = async (options: Partial<EdgeOptions> = {}) => {
    await edge?.close();
    edge = await startTestEdge({ clock, ...options });
  };
  const register = async (name = "old", more?: Record<string, unknown>) => {
    const agent = await JsonAgent.register(edge, name, more);
    agents.push(agent);
    return agent;
  };
  const at = (name = "old") => publicSide(edge, name);
  /** Whether the session has outlived what the clock did. */
  const isAlive = (session: JsonEdgeSession) =>
    Promise.race([session.closed.then(() => false), new Promise((resolve) => setTimeout(() => resolve(true)))]);
  const sessionOf = (name = "old") => edge.tunnels.get(name)?.session as JsonEdgeSession;
  const post = async (body: Uint8Array, fields = "") => {
    const head = `POST / HTTP/1.1\r\nHost: old.localhost\r\nContent-Length: ${body.length}\r\nConnection: close\r\n`;
    const client = await send(at(), `${head}${fields}\r\n`);
    client.socket.write(body);
    const answer = latin1(await client.readAll());
    client.socket.end();
    await client.closed;
    return answer;
  };

  beforeEach(async () => {
    clock = new FakeClock();
    agents = [];
    edge = await startTestEdge({ clock });
  });
  afterEach(async () => {
    for (const agent of agents) agent.close();
    await edge.close();
  });

  describe("and write an empty map as a list, or the other way round", () => {
    it("takes the headers of an answer, whole or streamed", async () => {
      const agent = await register();
      const first = get(at());
      agent.send({ type: "http_response", request_id: (await agent.next()).request_id, ...whole("whole") });
      assert.match(await first, /^HTTP\/1\.1 200 [^]*\r\n\r\nwhole$/);
      const second = get(at());
      const { request_id } = await agent.next();
      agent.send({ type: "http_response_start", request_id, status: 200, headers: [] });
      agent.send({ type: "http_response_chunk", request_id, data_b64: base64("streamed") });
      agent.send({ type: "http_response_end", request_id });
      assert.match(await second, /^HTTP\/1\.1 200 [^]*\r\n\r\n8\r\nstreamed\r\n0\r\n\r\n$/);
    });

    it("takes the features of a registration", async () => {
      const agent = await register("old", { features: {} });
      void agent.serve(() => whole("fine"));
      assert.match(await get(at()), /fine$/);
    });

    it("refuses a list that is not empty where a map must be, and goes on", async () => {
      const agent = await register();
      const answer = get(at());
      const { request_id } = await agent.next();
      agent.send({ type: "http_response", request_id, ...whole("x", ["X-A: 1"]) });
      assertProblem(await answer, 502, "upstream_invalid");
      void agent.serve(() => whole("fine"));
      assert.match(await get(at()), /fine$/);
    });
  });

  describe("and take messages of a certain length", () => {
    it("sends no message over 10 MiB: 413 past 7 MiB, and the tunnel lives", async () => {
      const agent = await register();
      let longest = 0;
      void agent.serve((request) => {
        longest = Math.max(longest, JSON.stringify(request).length);
        return whole(String(Buffer.from(request.body_b64 as string, "base64").length));
      });
      const fields = `X-Quotes: ${'"'.repeat(7_000)}\r\n`.repeat(4);
      assert.match(await post(new Uint8Array(7 * MIB), fields), new RegExp(`\r\n\r\n${7 * MIB}$`));
      assert.ok(longest > 9 * MIB && longest < 10 * MIB, String(longest));
      assertProblem(await post(new Uint8Array(7 * MIB + 1)), 413, "body_too_large");
      assert.match(await post(new Uint8Array(3)), /\r\n\r\n3$/);
    });

    it("keeps to the limit that an agent announces, up to its own", async () => {
      await restart({ json: { session: { bodyLimitBytes: 2_000 } } });
      for (const [announced, limit] of [[1_000, 1_000], [0, 0], [5_000, 2_000], [undefined, 2_000]]) {
        const agent = await register("old", { max_body_bytes: announced, force: true });
        void agent.serve((request) => whole(String(Buffer.from(request.body_b64 as string, "base64").length)));
        assert.match(await post(new Uint8Array(limit!)), new RegExp(`\r\n\r\n${limit}$`), `${announced}`);
        assertProblem(await post(new Uint8Array(limit! + 1)), 413, "body_too_large");
      }
    });

    for (const max_body_bytes of [-1, 1.5, "1000", null]) {
      it(`refuses to register one that announces ${JSON.stringify(max_body_bytes)} as its limit`, async () => {
        const agent = await JsonAgent.dial(edge);
        agents.push(agent);
        const answer = await agent.ask({ type: "register", tunnel_id: "a", agent_token: token, max_body_bytes });
        assert.equal(answer.code, "bad_frame");
        assert.match(answer.message as string, /max_body_bytes/);
      });
    }
  });

  describe("and serve one request after the other, so that nothing else is heard meanwhile", () => {
    beforeEach(() => restart({ timeouts: { firstByteMs: 300_000, idleMs: 300_000 } }));

    /** A request that the agent has got, whereupon it reads nothing more. */
    const block = async (more?: Record<string, unknown>) => {
      const agent = await register("old", more);
      const client = await send(at(), getRequest(at()));
      const { request_id } = await agent.next();
      agent.link.pause();
      const answer = () => {
        agent.send({ type: "http_response", request_id, ...whole("late") });
        agent.link.resume();
      };
      return { agent, client, answer };
    };

    it("lets one be silent for 60 s in a request", async () => {
      const { client, answer } = await block();
      clock.advance(60_000);
      assert.ok(await isAlive(sessionOf()));
      answer();
      await client.readUntil("\r\n\r\nlate");
      client.socket.reset();
    });

    it("lets one be silent in a request whose visitor has left", async () => {
      const { client, answer, agent } = await block();
      client.socket.reset();
      await eventually(() => sessionOf().active === 0);
      clock.advance(60_000);
      assert.ok(await isAlive(sessionOf()));
      answer();
      void agent.serve(() => whole("next"));
      assert.match(await get(at()), /next$/);
    });

    it("takes one for dead that is silent for 75 s in a request, or for 25 s without one", async () => {
      const { client } = await block();
      const session = sessionOf();
      clock.advance(74_999);
      assert.ok(await isAlive(session));
      clock.advance(1);
      const answer = await client.readUntil("}\n");
      assertProblem(answer, 502, "agent_lost");
      client.socket.reset();
      const idle = await register();
      void idle.serve(() => whole("fine"));
      await get(at());
      idle.link.pause();
      clock.advance(24_999);
      assert.ok(await isAlive(sessionOf()));
      clock.advance(1);
      await eventually(() => sessionOf() === null);
    });

    it("takes one that announces features for dead when it is silent for 25 s in a request", async () => {
      const { client } = await block(modern);
      clock.advance(24_999);
      assert.ok(await isAlive(sessionOf()));
      clock.advance(1);
      assertProblem(await client.readUntil("}\n"), 502, "agent_lost");
      client.socket.reset();
    });

    /** What becomes of a second agent that claims the name while the first one reads nothing. */
    const challenge = async () => {
      const second = await JsonAgent.dial(edge);
      agents.push(second);
      second.send({ type: "register", tunnel_id: "old", agent_token: token });
      await eventually(() => clock.untilNext <= 3_000);
      clock.advance(3_000);
      return await second.next();
    };

    it("leaves the name to one that is busy with a request when a newcomer claims it", async () => {
      const { client, answer } = await block();
      clock.advance(30_000);
      assert.equal((await challenge()).code, "name_taken");
      answer();
      await client.readUntil("\r\n\r\nlate");
      client.socket.reset();
    });

    it("gives the name to a newcomer when the holder announced features, or has no request", async () => {
      const { client } = await block(modern);
      assert.equal((await challenge()).type, "registered");
      client.socket.reset();
      const agent = await register("old", { force: true });
      agent.link.pause();
      assert.equal((await challenge()).type, "registered");
    });
  });

  it("lower-cases a tunnel_id, such as a ULID", async () => {
    const agent = await register("01ARZ3NDEKTSV4RRFFQ69G5FAV").catch((error) => assert.fail(error));
    void agent.serve(() => whole("fine"));
    assert.match(await get(at("01arz3ndektsv4rrffq69g5fav")), /fine$/);
    assert.match(await get(at("01ARZ3NDEKTSV4RRFFQ69G5FAV")), /fine$/);
  });

  it("tells its URL in lower case", async () => {
    const agent = await JsonAgent.dial(edge);
    agents.push(agent);
    const registered = await agent.ask({ type: "register", tunnel_id: "SHOP", agent_token: token });
    assert.equal(registered.url, `http://shop.localhost:${edge.address.port}`);
  });

  describe("and write texts as UTF-8", () => {
    const price = latin1(new TextEncoder().encode("5 € für Šárka"));
    const cafe = latin1(new TextEncoder().encode("café"));
    /** The head of the answer, in bytes. */
    const exchangeHead = async (agent: JsonAgent, headers: Record<string, string>, fields: string) => {
      const answer = get(at(), "/", fields);
      const request = await agent.next();
      agent.send({ type: "http_response", request_id: request.request_id, ...whole("x", headers) });
      return { head: await answer, headers: request.headers as Record<string, string> };
    };

    it("passes the bytes of field values through both ways", async () => {
      const agent = await register();
      const sent = { "X-Price": "5 € für Šárka", "X-Name": "café" };
      const fields = `X-Name: ${cafe}\r\nX-Price: ${price}\r\n`;
      const { head, headers } = await exchangeHead(agent, sent, fields);
      assert.equal(headers["X-Name"], "café");
      assert.equal(headers["X-Price"], "5 € für Šárka");
      assert.ok(head.includes(`\r\nX-Name: ${cafe}\r\n`), head);
      assert.ok(head.includes(`\r\nX-Price: ${price}\r\n`), head);
    });

    it("passes a value that is no UTF-8 as Latin-1, since no text has those bytes", async () => {
      const agent = await register();
      const { headers } = await exchangeHead(agent, {}, "X-Name: caf\xe9\r\n");
      assert.equal(headers["X-Name"], "café");
    });

    for (const features of [["latin1"], modern.features]) {
      it(`takes strings as bytes in Latin-1 when an agent announces ${features}`, async () => {
        const agent = await register("old", { features });
        const fields = `X-Name: ${cafe}\r\nX-Byte: \xe9\r\n`;
        const { head, headers } = await exchangeHead(agent, { "X-Name": cafe, "X-Byte": "\xe9" }, fields);
        assert.equal(headers["X-Name"], cafe);
        assert.equal(headers["X-Byte"], "\xe9");
        assert.ok(head.includes(`\r\nX-Name: ${cafe}\r\n`), head);
        assert.ok(head.includes("\r\nX-Byte: \xe9\r\n"), head);
      });
    }
  });

  describe("and repeat fields", () => {
    it("splits challenges and cookies of an answer at newlines", async () => {
      const agent = await register();
      const answer = get(at());
      const { request_id } = await agent.next();
      const headers = { "www-authenticate": 'Basic realm="a, b"\nNegotiate', "Set-Cookie": "a=1\nb=2" };
      agent.send({ type: "http_response", request_id, ...whole("no", headers), status: 401 });
      const head = await answer;
      assert.match(head, /\r\nwww-authenticate: Basic realm="a, b"\r\nwww-authenticate: Negotiate\r\n/);
      assert.match(head, /\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
    });

    it("puts no newline into a request, whatever a visitor repeats", async () => {
      const agent = await register();
      void agent.serve((request) => whole(JSON.stringify(request.headers)));
      const names = ["Set-Cookie", "WWW-Authenticate", "Proxy-Authenticate", "Cookie", "X-A"];
      const answer = await get(at(), "/", names.map((name) => `${name}: a\r\n${name}: b\r\n`).join(""));
      const headers = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")));
      assert.deepEqual(names.map((name) => headers[name]), ["a, b", "a, b", "a, b", "a; b", "a, b"]);
    });
  });

  describe("and send frames that are too long", () => {
    beforeEach(() => restart({ json: { maxFrameBytes: 64 * 1024 } }));
    const long = base64("x".repeat(100_000));

    it("fails the answer alone, with the limit as the reason", async () => {
      const agent = await register();
      const [first, second] = [get(at(), "/1"), get(at(), "/2")];
      const requests = [await agent.next(), await agent.next()];
      const idOf = (path: string) => requests.find((request) => request.path === path)!.request_id;
      agent.send({ type: "http_response", request_id: idOf("/1"), status: 200, headers: [], body_b64: long });
      agent.send({ type: "http_response", request_id: idOf("/2"), ...whole("fine") });
      const answer = await first;
      assertProblem(answer, 502, "upstream_invalid");
      assert.match(answer, /65536/);
      assert.match(await second, /fine$/);
    });

    it("breaks off the answer that the frame continues", async () => {
      const agent = await register();
      const client = await send(at(), getRequest(at()));
      const { request_id } = await agent.next();
      agent.send({ type: "http_response_start", request_id, status: 200, headers: [] });
      agent.send({ type: "http_response_chunk", request_id, data_b64: base64("begin") });
      await client.readUntil("begin");
      agent.send({ type: "http_response_chunk", request_id, data_b64: long });
      await readUntilReset(client);
      void agent.serve(() => whole("fine"));
      assert.match(await get(at()), /fine$/);
    });

    it("drops one for a request whose visitor has left", async () => {
      const agent = await register();
      const client = await send(at(), getRequest(at()));
      const { request_id } = await agent.next();
      client.socket.reset();
      await eventually(() => sessionOf().active === 0);
      agent.send({ type: "http_response", request_id, status: 200, headers: [], body_b64: long });
      void agent.serve(() => whole("fine"));
      assert.match(await get(at()), /fine$/);
    });

    it("closes the session when the frame names no request", async () => {
      const agent = await register();
      agent.link.sendTextBytes(bytesOf(`{"type":"http_response","body_b64":"${long}"}`));
      assert.equal((await agent.closed).code, 1009);
    });
  });
});
