import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import type { JsonEdgeSession } from "../../src/session/wsproto/edge_session.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { eventually, patternBytes, SocketReader } from "../support/net.ts";
import { assertProblem, get, send } from "../support/public_client.ts";
import { publicSide, startTestEdge } from "../support/tunnel.ts";

const MIB = 1024 * 1024;
/** Of a body that waits, beyond its bytes: the rest of its last block, and what the request itself costs. */
const SLACK_BYTES = 64 * 1024;

/** Agents that read slowly, or not at all, at a real edge: what waits for them is bounded. */
describe("an edge whose JSON agent does not read its link", () => {
  let edge: Edge;
  let agents: JsonAgent[];
  let visitors: SocketReader[];

  const start = async (options: Partial<EdgeOptions>) => void (edge = await startTestEdge(options));
  const register = async (name: string) => {
    const more = { features: ["http_request_cancel"], max_body_bytes: 10 * MIB };
    const agent = await JsonAgent.register(edge, name, more);
    agents.push(agent);
    return agent;
  };
  const at = (name: string) => publicSide(edge, name);
  const sessionOf = (name: string) => edge.tunnels.get(name)?.session as JsonEdgeSession;
  /** A visitor that sends a POST, its body of `bytes` bytes included. */
  const upload = async (name: string, bytes: number, path = "/") => {
    const head =
      `POST ${path} HTTP/1.1\r\nHost: ${name}.localhost\r\nContent-Length: ${bytes}\r\nConnection: close\r\n`;
    const visitor = await send(at(name), `${head}\r\n`);
    visitors.push(visitor);
    visitor.socket.write(patternBytes(bytes));
    return visitor;
  };
  const answerOf = async (visitor: SocketReader) => {
    const text = Buffer.from(await visitor.readAll()).toString("latin1");
    visitor.socket.end();
    return text;
  };
  const lengthOf = (body: unknown) => Buffer.from(body as string, "base64").length;
  const serveLengths = (agent: JsonAgent) =>
    agent.serve(({ body_b64 }) => ({ status: 200, headers: {}, body_b64: btoa(`${lengthOf(body_b64)} bytes`) }));

  beforeEach(() => {
    agents = [];
    visitors = [];
  });
  afterEach(async () => {
    for (const agent of agents) agent.close();
    for (const visitor of visitors) visitor.socket.reset();
    await edge.close();
  });

  it("holds as many bytes of uploads as it may, answers 503 past them, and serves the others when it reads", async () => {
    const limit = 4 * MIB;
    await start({ json: { session: { collectLimitBytes: limit } } });
    const agent = await register("slow");
    agent.link.pause();
    const answers: string[] = [];
    const count = 30;
    for (let index = 0; index < count; index++) {
      void answerOf(await upload("slow", MIB)).then((answer) => answers.push(answer), () => {});
    }
    const session = sessionOf("slow");
    await eventually(() => answers.length + session.pending.size === count && answers.length > 0, {
      deadlineMs: 20_000,
    });
    for (const answer of answers) assertProblem(answer, 503, "overloaded");
    assert.ok(session.bufferedBytes <= limit + count * 2048, `${session.bufferedBytes} bytes are held`);
    assert.ok(session.bufferedBytes > limit / 2, `only ${session.bufferedBytes} bytes are held`);
    const refused = answers.length;
    agent.link.resume();
    void serveLengths(agent);
    await eventually(() => answers.length === count, { deadlineMs: 20_000 });
    for (const answer of answers.slice(refused)) assert.match(answer, new RegExp(`\r\n\r\n${MIB} bytes$`));
    assert.equal(session.bufferedBytes, 0);
  });

  it("sends a short request in front of the uploads that wait", async () => {
    await start({});
    const agent = await register("slow");
    agent.link.pause();
    const count = 14;
    for (let index = 0; index < count; index++) await upload("slow", 2 * MIB, `/upload/${index}`);
    await eventually(() => sessionOf("slow").pending.size === count, { deadlineMs: 20_000 });
    const short = get(at("slow"), "/short");
    await eventually(() => sessionOf("slow").pending.size === count + 1);
    const paths: string[] = [];
    agent.link.resume();
    void agent.serve(({ path }) => {
      paths.push(path as string);
      return { status: 200, headers: {}, body_b64: btoa("done") };
    });
    assert.match(await short, /\r\n\r\ndone$/);
    await eventually(() => paths.length === count + 1, { deadlineMs: 20_000 });
    const behind = count - paths.indexOf("/short");
    assert.ok(behind >= 4, `it was sent in front of ${behind} of ${count} uploads`);
  });

  it("forgets the uploads of visitors who have left, but for the one that it has begun to send", async () => {
    await start({});
    const agent = await register("slow");
    agent.link.pause();
    const count = 14;
    for (let index = 0; index < count; index++) await upload("slow", 2 * MIB);
    const session = sessionOf("slow");
    await eventually(() => session.pending.size === count, { deadlineMs: 20_000 });
    assert.ok(session.bufferedBytes > 4 * MIB);
    for (const visitor of visitors) visitor.socket.reset();
    await eventually(() => session.active === 0);
    assert.ok(session.bufferedBytes <= 2 * MIB + SLACK_BYTES, `${session.bufferedBytes} bytes are held`);
    agent.link.resume();
    const answer = get(at("slow"), "/last");
    let uploads = 0;
    for (;;) {
      const frame = await agent.next();
      if (frame.type !== "http_request") continue;
      if (frame.path === "/last") {
        agent.send({ type: "http_response", request_id: frame.request_id, status: 200, headers: {}, body_b64: "" });
        break;
      }
      assert.equal(lengthOf(frame.body_b64), 2 * MIB);
      uploads++;
    }
    assert.ok(uploads <= count - 3, `the agent got ${uploads} of ${count} uploads`);
    assert.match(await answer, /^HTTP\/1\.1 200 /);
    assert.equal(session.bufferedBytes, 0);
  });

  it("counts an answer that came whole until its visitor has it", async () => {
    await start({ maxHeldBytes: 64 * MIB });
    const agent = await register("slow");
    const body_b64 = Buffer.from(patternBytes(20 * MIB)).toString("base64");
    void agent.serve(() => ({ status: 200, headers: {}, body_b64 }));
    const session = sessionOf("slow");
    const ask = async () => {
      const visitor = await send(at("slow"), "GET / HTTP/1.1\r\nHost: slow.localhost\r\nConnection: close\r\n\r\n");
      visitors.push(visitor);
      visitor.socket.pause();
      return visitor;
    };
    const first = await ask();
    await eventually(() => session.bufferedBytes === 20 * MIB);
    await ask();
    await ask();
    await eventually(() => session.bufferedBytes === 60 * MIB);
    assert.ok(edge.bufferedBytes >= 60 * MIB);
    // The edge may hold three of them: one of four is given up.
    const fourth = await ask();
    await eventually(() => session.active === 3, { deadlineMs: 20_000 });
    assert.equal(session.bufferedBytes, 60 * MIB);
    for (const visitor of [fourth, ...visitors.slice(1, 3)]) visitor.socket.reset();
    await eventually(() => session.bufferedBytes <= 20 * MIB);
    if (session.bufferedBytes > 0) {
      first.socket.resume();
      assert.equal((await answerOf(first)).split("\r\n\r\n")[1].length, 20 * MIB);
    }
    await eventually(() => session.bufferedBytes === 0 && session.active === 0);
  });

  it("counts what it holds against what all agents may hold together", async () => {
    await start({ maxHeldBytes: 4 * MIB });
    const slow = await register("slow");
    const other = await register("other");
    void serveLengths(other);
    slow.link.pause();
    const refused: string[] = [];
    for (let index = 0; index < 20; index++) {
      void answerOf(await upload("slow", MIB)).then((answer) => refused.push(answer), () => {});
    }
    await eventually(() => refused.length + sessionOf("slow").pending.size === 20 && refused.length > 0, {
      deadlineMs: 20_000,
    });
    assert.ok(sessionOf("slow").bufferedBytes > 2 * MIB);
    assertProblem(await answerOf(await upload("other", 2 * MIB)), 503, "overloaded");
    assert.match(await get(at("other")), /\r\n\r\n0 bytes$/);
    slow.link.resume();
    void serveLengths(slow);
    await eventually(() => sessionOf("slow").active === 0, { deadlineMs: 20_000 });
    assert.match(await answerOf(await upload("other", 2 * MIB)), /\r\n\r\n2097152 bytes$/);
  });
});
