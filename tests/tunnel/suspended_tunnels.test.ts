/** What visitors of a tunnel see while the link of its agent is lost, and who may have the tunnel meanwhile. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Agent } from "../../src/agent/agent.ts";
import { AgentError } from "../../src/agent/errors.ts";
import type { V2DialOptions } from "../../src/agent/v2_dial.ts";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import type { Handler } from "../../src/http/message.ts";
import { bodyText, FedBody } from "../support/client_requests.ts";
import { FakeClock } from "../support/clock.ts";
import { bytesOf, eventually, type SocketReader } from "../support/net.ts";
import { assertProblem, get, getRequest, send } from "../support/public_client.ts";
import { Relay } from "../support/relay.ts";
import { publicSide, startTestEdge, startV2Agent } from "../support/tunnel.ts";

const saying = (text: string): Handler => async (_head, body) => {
  const received = await bodyText(body);
  return { status: 200, fields: [], body: bytesOf(`${text}${received === "" ? "" : ` ${received.length}`}`) };
};

/** An edge, and agents that come by a relay, which can lose their links. */
class Stage {
  readonly agents: Agent[] = [];
  readonly replaced: string[] = [];

  private constructor(readonly edge: Edge, readonly relay: Relay) {}

  static async start(options: Partial<EdgeOptions> = {}): Promise<Stage> {
    const events = { ...options.events, onReplaced: (_: string, why: string) => void stage.replaced.push(why) };
    const edge = await startTestEdge({ ...options, events });
    const stage = new Stage(edge, await Relay.start({ kind: "tcp", host: "127.0.0.1", port: edge.address.port }));
    return stage;
  }

  async enter(upstream: Handler, options: Partial<V2DialOptions> & { port?: number } = {}): Promise<Agent> {
    const agent = await startV2Agent(this.edge, upstream, options);
    this.agents.push(agent);
    return agent;
  }

  /** One whose link is that of the relay. */
  enterByRelay(upstream: Handler, options: Partial<V2DialOptions> = {}): Promise<Agent> {
    return this.enter(upstream, { port: this.relay.port, ...options });
  }

  get visitor() {
    return publicSide(this.edge, "shop");
  }

  /** Cuts the links of the relay, and waits until the edge has noticed. */
  async lose(): Promise<void> {
    this.relay.block();
    await eventually(() => this.edge.sessions().some(({ isSuspended }) => isSuspended));
  }

  /** A visitor's request that the edge has received, and does not answer yet. */
  async ask(request = getRequest(this.visitor)): Promise<SocketReader> {
    const before = this.edge.active;
    const client = await send(this.visitor, request);
    await eventually(() => this.edge.active === before + 1);
    return client;
  }

  async close(): Promise<void> {
    for (const agent of this.agents) agent.close();
    await this.relay.close();
    await this.edge.close();
  }
}

let stage: Stage;
afterEach(() => stage.close());

describe("A visitor of a suspended tunnel", () => {
  it("waits, and is answered by the agent that comes back", async () => {
    stage = await Stage.start();
    await stage.enterByRelay(saying("back"));
    await stage.lose();
    const visitors = [await stage.ask(), await stage.ask(getRequest(stage.visitor, "/two"))];
    stage.relay.unblock();
    for (const visitor of visitors) await visitor.readUntil("back");
    assert.equal(stage.edge.sessions().length, 1);
    for (const { socket } of visitors) socket.reset();
  });

  it("is answered by another agent that gets the tunnel, at once where it is of the same machine", async () => {
    stage = await Stage.start();
    await stage.enterByRelay(saying("first"), { instance: "machine", version: "0.0.0" });
    await stage.lose();
    const visitor = await stage.ask();
    const since = performance.now();
    await stage.enter(saying("second"), { instance: "machine", version: "0.0.0" });
    await visitor.readUntil("second");
    assert.ok(performance.now() - since < 1_000, `${performance.now() - since} ms`);
    visitor.socket.reset();
    const side = String.raw`s\d \(127\.0\.0\.1, version 0\.0\.0, instance machine\)`;
    assert.match(
      stage.replaced[0]!,
      new RegExp(`^${side} by ${side}: its link was lost, and an agent of the same machine`),
    );
    await eventually(() => stage.edge.sessions().length === 1);
  });

  it("gets 503 with Retry-After when nobody has come back in time", async () => {
    stage = await Stage.start({ resumeWaitMs: 30 });
    await stage.enterByRelay(saying("back"));
    await stage.lose();
    const answer = await get(stage.visitor);
    assertProblem(answer, 503, "tunnel_offline");
    assert.match(answer, /\r\nRetry-After: 5\r\n/);
    assert.match(answer, /did not come back/);
  });

  it("gets 503 at once where nobody may wait", async () => {
    stage = await Stage.start({ resumeWaitMs: 0 });
    await stage.enterByRelay(saying("back"));
    await stage.lose();
    assertProblem(await get(stage.visitor), 503, "tunnel_offline");
  });

  it("gets 503 at once where 256 wait already", async () => {
    stage = await Stage.start();
    await stage.enterByRelay(saying("back"));
    await stage.lose();
    const visitors = await Promise.all(
      Array.from({ length: 256 }, () => send(stage.visitor, getRequest(stage.visitor))),
    );
    await eventually(() => stage.edge.active === 256);
    assertProblem(await get(stage.visitor), 503, "tunnel_offline");
    visitors[0]!.socket.reset();
    await eventually(() => stage.edge.active === 255);
    const late = await stage.ask();
    stage.relay.unblock();
    for (const visitor of [...visitors.slice(1), late]) await visitor.readUntil("back");
    for (const { socket } of [...visitors, late]) socket.reset();
  });

  it("is told at once that the edge shuts down", async () => {
    stage = await Stage.start();
    await stage.enterByRelay(saying("back"));
    await stage.lose();
    const visitor = await stage.ask();
    const drained = stage.edge.drain();
    await visitor.readUntil("tunnel_offline");
    visitor.socket.reset();
    for (const agent of stage.agents) agent.close();
    stage.edge.close();
    await drained;
  });

  it("keeps its request's body to itself meanwhile, which is passed on whole afterwards", async () => {
    stage = await Stage.start();
    await stage.enterByRelay(saying("took"));
    await stage.lose();
    const bytes = 8 * 1024 * 1024;
    const head = `POST / HTTP/1.1\r\nHost: ${stage.visitor.host}\r\nContent-Length: ${bytes}\r\n\r\n`;
    const visitor = await stage.ask(head);
    for (let sent = 0; sent < bytes; sent += 65_536) visitor.socket.write(new Uint8Array(65_536));
    // What was read ahead of the handler's first read is bounded.
    await eventually(() => stage.edge.bufferedBytes > 0);
    assert.ok(stage.edge.bufferedBytes < 2 * 1024 * 1024, String(stage.edge.bufferedBytes));
    stage.relay.unblock();
    await visitor.readUntil(`took ${bytes}`);
    visitor.socket.reset();
  });

  it("waits without the timeout of the first byte", async () => {
    const clock = new FakeClock();
    stage = await Stage.start({ clock, timeouts: { firstByteMs: 2_000 }, resumeTimeoutMs: 1_000_000 });
    await stage.enterByRelay(saying("back"));
    await stage.lose();
    const visitor = await stage.ask();
    clock.advance(9_999);
    stage.relay.unblock();
    await visitor.readUntil("back");
    const other = await send(stage.visitor, getRequest(stage.visitor));
    await other.readUntil("back");
    await stage.lose();
    const late = await stage.ask();
    clock.advance(10_000);
    assert.match(await late.readUntil("tunnel_offline"), /^HTTP\/1\.1 503 /);
    for (const { socket } of [visitor, other, late]) socket.reset();
  });
});

describe("An exchange on a suspended session", () => {
  for (const kind of ["head", "body"] as const) {
    it(`has no timeout for the time in which its ${kind} could not come`, async () => {
      const clock = new FakeClock();
      const fed = new FedBody();
      const isAsked = Promise.withResolvers<void>();
      const go = Promise.withResolvers<void>();
      stage = await Stage.start({
        clock,
        timeouts: { firstByteMs: 5_000, idleMs: 5_000 },
        resumeTimeoutMs: 1_000_000,
      });
      await stage.enterByRelay(async () => {
        isAsked.resolve();
        if (kind === "head") await go.promise;
        return { status: 200, fields: ["Content-Length", "9"], body: fed.stream };
      });
      const visitor = await stage.ask();
      await isAsked.promise;
      fed.push("one");
      if (kind === "body") await visitor.readUntil("one");
      clock.advance(3_000);
      await stage.lose();
      clock.advance(600_000);
      stage.relay.unblock();
      await eventually(() => stage.edge.sessions().every(({ isSuspended }) => !isSuspended));
      // It has run for 3 s of 5 s, and is looked after once a second.
      clock.advance(900);
      go.resolve();
      fed.push("two");
      await visitor.readUntil("two");
      clock.advance(4_000);
      fed.push("all");
      await visitor.readUntil("all");
      fed.end();
      visitor.socket.reset();
    });

    it(`ends when its ${kind} does not come within the rest of its time`, async () => {
      const clock = new FakeClock();
      const isAsked = Promise.withResolvers<void>();
      const fed = new FedBody();
      stage = await Stage.start({
        clock,
        timeouts: { firstByteMs: 5_000, idleMs: 5_000 },
        resumeTimeoutMs: 1_000_000,
      });
      await stage.enterByRelay(async (_head, _body, signal) => {
        isAsked.resolve();
        signal.addEventListener("abort", () => fed.fail(signal.reason));
        if (kind === "head") {
          await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        }
        return { status: 200, fields: ["Content-Length", "9"], body: fed.stream };
      });
      const visitor = await stage.ask();
      await isAsked.promise;
      fed.push("one");
      if (kind === "body") await visitor.readUntil("one");
      clock.advance(3_000);
      await stage.lose();
      clock.advance(600_000);
      stage.relay.unblock();
      await eventually(() => stage.edge.sessions().every(({ isSuspended }) => !isSuspended));
      clock.advance(3_001);
      if (kind === "head") assert.match(await visitor.readUntil("upstream_timeout"), /^HTTP\/1\.1 504 /);
      else await visitor.closed;
      visitor.socket.reset();
    });
  }

  it("keeps a half-closed visitor, who has 30 s without a byte otherwise", async () => {
    const clock = new FakeClock();
    const fed = new FedBody();
    // The clock passes the heartbeat's times, too, and its answers do not.
    const link = { pingAfterMs: 900_000, idlePingAfterMs: 900_000, deadAfterMs: 1_000_000 };
    stage = await Stage.start({ clock, resumeTimeoutMs: 1_000_000, link });
    await stage.enterByRelay(() => Promise.resolve({ status: 200, fields: [], body: fed.stream }));
    const visitor = await stage.ask();
    fed.push("one");
    await visitor.readUntil("one");
    visitor.socket.end();
    await stage.lose();
    clock.advance(100_000);
    stage.relay.unblock();
    await eventually(() => stage.edge.sessions().every(({ isSuspended }) => !isSuspended));
    fed.push("two");
    await visitor.readUntil("two");
    // The time begins anew where the timeout finds that there was no link.
    clock.advance(60_000);
    await visitor.closed;
  });
});

describe("A claim of a suspended tunnel", () => {
  it("gets it after 3 s where it comes from another machine, and the old session ends", async () => {
    stage = await Stage.start({ tunnels: { challengeMs: 40 } });
    await stage.enterByRelay(saying("first"), { instance: "one" });
    await stage.lose();
    await stage.enter(saying("second"), { instance: "two" });
    assert.match(await get(stage.visitor), /second$/);
    assert.match(stage.replaced[0]!, /another agent came before it was back$/);
    await eventually(() => stage.edge.sessions().length === 1);
  });

  it("is refused where its agent is back in time", async () => {
    stage = await Stage.start({ tunnels: { challengeMs: 20_000 } });
    await stage.enterByRelay(saying("first"), { instance: "one" });
    await stage.lose();
    const second = stage.enter(saying("second"), { instance: "two" });
    second.catch(() => {});
    stage.relay.unblock();
    await assert.rejects(second, (error) => error instanceof AgentError && error.code === "name_taken");
    assert.match(await get(stage.visitor), /first$/);
  });

  it("is refused to an agent of the same machine while the first one lives", async () => {
    stage = await Stage.start();
    await stage.enterByRelay(saying("first"), { instance: "one" });
    await assert.rejects(stage.enter(saying("second"), { instance: "one" }), (error) => {
      assert.ok(error instanceof AgentError && error.code === "name_taken");
      assert.match(
        error.reason,
        /another agent serves it, s1 \(127\.0\.0\.1, .*instance one\): stop it, start both with/,
      );
      return true;
    });
  });
});
