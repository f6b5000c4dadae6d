import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import type { JsonEdgeSession } from "../../src/session/wsproto/edge_session.ts";
import { FakeClock } from "../support/clock.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { eventually } from "../support/net.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { publicSide, startTestEdge, token } from "../support/tunnel.ts";

const base64 = (text: string) => Buffer.from(text, "latin1").toString("base64");
const whole = (text: string) => ({ status: 200, headers: { "Content-Type": "text/plain" }, body_b64: base64(text) });

/** Agents of others, scripted frame by frame, at a real edge. */
describe("an edge with agents of the JSON protocol", () => {
  let edge: Edge;
  let clock: FakeClock;
  let agents: JsonAgent[];

  const restart = async (options: Partial<EdgeOptions> = {}) => {
    await edge?.close();
    edge = await startTestEdge(options);
  };
  const register = async (name?: string, more?: Record<string, unknown>) => {
    const agent = await JsonAgent.register(edge, name, more);
    agents.push(agent);
    return agent;
  };
  const unregistered = async () => {
    const agent = await JsonAgent.dial(edge);
    agents.push(agent);
    return agent;
  };
  /** The public side of the tunnel `name`. */
  const at = (name: string) => publicSide(edge, name);
  const sessionOf = (name: string) => edge.tunnels.get(name)?.session as JsonEdgeSession;

  beforeEach(async () => {
    clock = new FakeClock();
    agents = [];
    edge = await startTestEdge({ clock });
  });
  afterEach(async () => {
    for (const agent of agents) agent.close();
    await edge.close();
  });

  it("serves through one that knows only http_response", async () => {
    const agent = await register("old");
    void agent.serve((request) => whole(`${request.method} ${request.path}?${request.query}`));
    assert.match(await get(at("old"), "/a?b"), /\r\n\r\nGET \/a\?b$/);
    const client = await send(at("old"), getRequest(at("old")));
    await client.readUntil("\r\n\r\nGET /?");
    client.socket.reset();
    assert.equal(agent.received.length, 0, "nothing but requests was sent to it");
  });

  it("tells an old agent nothing of a client that left, and ignores its late answer", async () => {
    const agent = await register("old");
    const client = await send(at("old"), getRequest(at("old")));
    const request = await agent.next();
    client.socket.reset();
    await eventually(() => sessionOf("old").active === 0);
    agent.send({ type: "http_response", request_id: request.request_id, ...whole("late") });
    void agent.serve(() => whole("next"));
    assert.match(await get(at("old")), /next$/);
  });

  it("ignores frames that it does not know and chunks of requests that it does not know", async () => {
    const agent = await register("old");
    agent.send({ type: "shiny_new", data: [1, 2, 3] });
    agent.send({ type: "http_response_chunk", request_id: "unknown", data_b64: base64("x") });
    agent.send({ type: "http_response_end", request_id: "unknown" });
    void agent.serve(() => whole("fine"));
    assert.match(await get(at("old")), /fine$/);
  });

  const malformed = [
    "{",
    '"register"',
    '{"type":"http_response","request_id":1,"status":200,"headers":{}}',
    '{"type":"register","tunnel_id":"old","agent_token":"test-token"}',
  ];
  for (const text of malformed) {
    it(`closes the session of an agent that sends ${text}, with a reason, and no other`, async () => {
      const agent = await register("old");
      const other = await register("other");
      void other.serve(() => whole("fine"));
      const answer = get(at("old"));
      await agent.next();
      agent.link.sendText(text);
      const close = await agent.closed;
      assert.equal(close.code, 1002);
      assert.notEqual(close.reason, "");
      assertProblem(await answer, 502, "agent_lost");
      assert.match(await get(at("other")), /fine$/);
    });
  }

  it("closes the session of an agent that sends too large a frame, before it is here, and no other", async () => {
    await restart({ json: { maxFrameBytes: 64 * 1024 } });
    const agent = await register("old");
    const other = await register("other");
    void other.serve(() => whole("fine"));
    agent.link.sendText("x".repeat(64 * 1024 + 1));
    assert.equal((await agent.closed).code, 1009);
    assert.match(await get(at("other")), /fine$/);
    await eventually(() => edge.tunnels.get("old")?.session === null);
  });

  it("closes the session of an agent that sends a binary message", async () => {
    const agent = await register("old");
    agent.link.sendBinary([new Uint8Array(3)]);
    assert.equal((await agent.closed).code, 1003);
  });

  const unwritable: [what: string, headers: Record<string, string>][] = [
    ["CR and LF in a value", { "X-A": "a\r\nSet-Cookie: evil=1" }],
    ["LF in a value", { "X-A": "a\nX-B: b" }],
    ["NUL in a value", { "X-A": "a\0b" }],
    ["CR and LF in a name", { "X-A: 1\r\nX-B": "b" }],
    ["an empty name", { "": "b" }],
    ["a CR in Set-Cookie", { "Set-Cookie": "a=1\r\nX-Evil: 1" }],
  ];
  for (const [what, headers] of unwritable) {
    it(`answers 502 upstream_invalid when the agent's head has ${what}, whole or streamed`, async () => {
      const agent = await register("old");
      for (const type of ["http_response", "http_response_start"]) {
        const answer = get(at("old"));
        const request = await agent.next();
        agent.send({ type, request_id: request.request_id, status: 200, headers });
        assertProblem(await answer, 502, "upstream_invalid");
        await eventually(() => sessionOf("old").active === 0);
      }
    });
  }

  it("aborts an answer that the agent ends short of its Content-Length, or makes longer", async () => {
    const agent = await register("old");
    for (const sent of ["ab", "abcd"]) {
      const client = await send(at("old"), getRequest(at("old")));
      const id = (await agent.next()).request_id;
      agent.send({ type: "http_response_start", request_id: id, status: 200, headers: { "Content-Length": "3" } });
      await client.readUntil("\r\n\r\n");
      agent.send({ type: "http_response_chunk", request_id: id, data_b64: base64(sent) });
      agent.send({ type: "http_response_end", request_id: id });
      assert.match(await readUntilReset(client), /^(?:ab)?$/);
    }
    await eventually(() => sessionOf("old").active === 0);
  });

  it("does not pass the agent's own words about a failure on", async () => {
    const agent = await register("old");
    const answer = get(at("old"));
    const id = (await agent.next()).request_id;
    agent.send({ type: "http_response_abort", request_id: id, message: "10.0.0.7 refused", code: "upstream_refused" });
    const text = await answer;
    assertProblem(text, 502, "upstream_refused");
    assert.doesNotMatch(text, /10\.0/);
  });

  it("answers 501 upgrade_not_supported when an upgrade is asked of one", async () => {
    const agent = await register("old");
    const fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    const client = await send(at("old"), getRequest(at("old"), "/", fields));
    assertProblem(await client.readUntil("}\n"), 501, "upgrade_not_supported");
    assert.equal(agent.received.length, 0);
    client.socket.reset();
  });

  it("answers 413 when a body is over the limit, announced or not, also to who asks first", async () => {
    await restart({ json: { session: { bodyLimitBytes: 1000 } } });
    const agent = await register("old");
    const head = `POST / HTTP/1.1\r\nHost: old.localhost\r\n`;
    const requests = [
      `${head}Connection: close\r\nContent-Length: 1001\r\n\r\n${"x".repeat(1001)}`,
      `${head}Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\n3e9\r\n${"x".repeat(1001)}\r\n`,
    ];
    for (const request of requests) {
      const client = await send(at("old"), request);
      const answer = Buffer.from(await client.readAll()).toString("latin1");
      assertProblem(answer, 413, "body_too_large");
      client.socket.end();
      await client.closed;
    }
    assert.equal(agent.received.length, 0);
    void agent.serve((asked) => whole(String(Buffer.from(asked.body_b64 as string, "base64").length)));
    const client = await send(at("old"), `${head}Content-Length: 1000\r\nConnection: close\r\n\r\n${"x".repeat(1000)}`);
    assert.match(Buffer.from(await client.readAll()).toString("latin1"), /\r\n\r\n1000$/);
    client.socket.end();
  });

  describe("that register", () => {
    const refusal = async (agent: JsonAgent) => {
      const frame = await agent.next();
      assert.equal(frame.type, "error");
      return { frame, close: await agent.closed };
    };

    it("refuses every wrong token in the same words, and shows nothing of the names that there are", async () => {
      await register("old");
      const answers = new Set<string>();
      const wrong = ["", "wrong", `${token}x`, token.slice(1), "x".repeat(3000)];
      for (const [index, agent_token] of wrong.entries()) {
        const agent = await unregistered();
        agent.send({ type: "register", tunnel_id: ["old", "free", "BAD NAME", ""][index % 4], agent_token });
        await eventually(() => clock.untilNext <= 1_000);
        clock.advance(1_000);
        answers.add(JSON.stringify(await refusal(agent)));
      }
      assert.equal(answers.size, 1);
      assert.match([...answers][0], /"code":"unauthorized"/);
    });

    /** Links that show wrong tokens, with the codes of the answers as they come. */
    const guess = async (count: number) => {
      const codes: unknown[] = [];
      const links = await Promise.all(Array.from({ length: count }, unregistered));
      for (const [at, agent] of links.entries()) {
        agent.send({ type: "register", tunnel_id: "a", agent_token: `guess ${at}` });
        void agent.next().then((frame) => codes.push(frame.code), () => {});
      }
      return { codes, links };
    };

    it("never refuses the right token for the wrong ones of others, which are answered after 1 s", async () => {
      const { codes, links } = await guess(100);
      await eventually(() => codes.length === 36);
      assert.deepEqual(new Set(codes), new Set(["too_many_attempts"]));
      await register("a");
      clock.advance(999);
      assert.equal(codes.length, 36);
      clock.advance(1);
      await eventually(() => codes.length === 100);
      assert.equal(codes.filter((code) => code === "unauthorized").length, 64);
      assert.equal((await links[0].closed).code, 1008);
    });

    it("makes room at once when a link ends that waits for its refusal", async () => {
      const { codes, links } = await guess(65);
      await eventually(() => codes.length === 1);
      for (const link of links) link.close();
      await eventually(() => edge.connections === 0);
      const next = await guess(64);
      await eventually(() => clock.untilNext <= 1_000);
      clock.advance(1_000);
      await eventually(() => next.codes.length === 64);
      assert.deepEqual(new Set(next.codes), new Set(["unauthorized"]));
    });

    it("answers what waits when it is closing", async () => {
      const { codes, links } = await guess(3);
      await eventually(() => clock.untilNext <= 1_000);
      const closing = edge.close();
      await eventually(() => codes.length === 3);
      assert.deepEqual(codes, Array(3).fill("unauthorized"));
      await Promise.all(links.map(({ closed }) => closed));
      await closing;
    });

    it("gives a link 10 s to register, and no second more", async () => {
      const agent = await unregistered();
      await eventually(() => clock.pending > 0);
      clock.advance(9_999);
      assert.equal(agent.received.length, 0);
      clock.advance(1);
      const { frame, close } = await refusal(agent);
      assert.deepEqual([frame.code, close.code], ["register_timeout", 1008]);
    });

    it("reads no more than 4 KiB of a link that has not registered", async () => {
      const agent = await unregistered();
      agent.send({ type: "register", tunnel_id: "a", agent_token: token, padding: "x".repeat(4096) });
      assert.equal((await agent.closed).code, 1009);
      assert.equal(edge.tunnels.get("a"), undefined);
    });

    it("refuses a first frame that is not register, and a register that comes behind it", async () => {
      for (const first of ["{", '{"type":"http_response_end","request_id":"1"}', '{"type":"shiny_new"}']) {
        const agent = await unregistered();
        agent.link.sendText(first);
        agent.send({ type: "register", tunnel_id: "sneaky", agent_token: token });
        const { frame, close } = await refusal(agent);
        assert.deepEqual([frame.code, close.code], ["bad_frame", 1002]);
        assert.equal(edge.tunnels.get("sneaky"), undefined);
      }
    });

    it("refuses a name that is none, however long and in whatever letters, and lives on", async () => {
      for (const name of ["", "UP PER", "SHOP\u212a", "é".repeat(200), "😀".repeat(100), "api"]) {
        const agent = await unregistered();
        agent.send({ type: "register", tunnel_id: name, agent_token: token });
        const { frame, close } = await refusal(agent);
        assert.deepEqual([frame.code, close.code], ["bad_name", 1008]);
      }
      await register("good");
    });

    for (const limit of [{ maxUnregistered: 2 }, { maxUnregisteredPerAddress: 2 }]) {
      it(`closes the oldest link for a new one at ${JSON.stringify(limit)}`, async () => {
        await restart({ json: limit });
        const first = await unregistered();
        const second = await unregistered();
        const third = await unregistered();
        assert.equal((await first.closed).code, 1013);
        for (const [agent, name] of [[third, "third"], [second, "second"]] as const) {
          agent.send({ type: "register", tunnel_id: name, agent_token: token });
          assert.equal((await agent.next()).type, "registered");
        }
        await register("fourth");
      });
    }

    it("registers an honest agent while strangers hold 300 links, and go on", async () => {
      const strangers = await Promise.all(Array.from({ length: 300 }, unregistered));
      const closed = { count: 0 };
      for (const { closed: end } of strangers) void end.then(({ code }) => closed.count += code === 1013 ? 1 : 0);
      // 256 stay, which is the share of an address.
      await eventually(() => closed.count === 300 - 256);
      await register("honest");
      const agent = await unregistered();
      await Promise.all(Array.from({ length: 100 }, unregistered));
      agent.send({ type: "register", tunnel_id: "second", agent_token: token });
      assert.equal((await agent.next()).type, "registered");
      for (const stranger of strangers) stranger.close();
    });

    it("leaves a name to an agent that answers, and gives it to a newcomer when it is silent for 3 s", async () => {
      const holder = await register("shop");
      const second = await unregistered();
      second.send({ type: "register", tunnel_id: "shop", agent_token: token });
      assert.equal((await refusal(second)).frame.code, "name_taken");
      const silent = sessionOf("shop");
      // A paused link answers no ping, as an agent behind a dead wire would not.
      holder.link.pause();
      const third = await unregistered();
      third.send({ type: "register", tunnel_id: "shop", agent_token: token });
      await eventually(() => clock.untilNext <= 3_000);
      clock.advance(3_000);
      assert.equal((await third.next()).type, "registered");
      assert.notEqual(sessionOf("shop"), silent);
    });

    it("gives a name over at once to who forces it", async () => {
      const holder = await register("shop");
      await register("shop", { force: true });
      const close = await holder.closed;
      assert.equal(close.code, 1001);
      assert.match(close.reason, /^Replaced/);
    });

    it("refuses to register an agent once it is closing", async () => {
      const agent = await unregistered();
      const closing = edge.close();
      agent.send({ type: "register", tunnel_id: "late", agent_token: token });
      assert.equal((await agent.closed).code, 1001);
      await closing;
      assert.equal(edge.tunnels.get("late"), undefined);
    });
  });
});
