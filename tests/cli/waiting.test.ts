/** What a person learns from the programs while requests are under way, and of agents that come and go. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { version } from "../../src/config/mod.ts";
import type { Edge } from "../../src/edge/mod.ts";
import type { Handler } from "../../src/http/message.ts";
import { dial } from "../../src/net/mod.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { protocols, startTestAgent, startTestEdge, token } from "../support/tunnel.ts";
import { ProgramRun, type RunOptions, withoutEscapes } from "./program_run.ts";

const events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

async function connectTo(port: number): Promise<SocketReader> {
  return new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
}

/** A visitor who has the first event of a stream that does not end. */
async function follow(port: number): Promise<SocketReader> {
  const visitor = await connectTo(port);
  visitor.socket.write(bytesOf("GET /events HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"));
  await visitor.readUntil("first");
  return visitor;
}

/** Runs `act` with the program `agent http`, one visitor of a stream behind it, and what ends that stream. */
async function withAgent(
  args: readonly string[],
  options: RunOptions,
  act: (agent: ProgramRun, endStream: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const upstream = await ScriptedServer.start(async (peer) => {
    await peer.readHead();
    await peer.send(`${events}5\r\nfirst\r\n`);
  });
  const edge = await startTestEdge({ version });
  const { target } = upstream;
  assert.ok(target.kind === "tcp");
  const url = `http://127.0.0.1:${edge.address.port}`;
  const call = ["http", `127.0.0.1:${target.port}`, "--edge", url, "--token", token, "--name", "shop"];
  const agent = new ProgramRun(agentProgram, [...call, ...args], options);
  try {
    await agent.waitFor(() => /Online|->|"ready"/.test(agent.stdout));
    const visitor = await follow(edge.address.port as number);
    await act(agent, async () => {
      const peer = await upstream.peer(0);
      await peer.send("0\r\n\r\n");
      await visitor.readUntil("0\r\n\r\n");
      visitor.socket.end();
    });
    assert.equal(await agent.exitCode, 0);
  } finally {
    await edge.close();
    await upstream.close();
  }
}

const informed = { environment: { RUNNEL_LOG_LEVEL: "info" } };
const terminal = { isTerminal: true, columns: 90, rows: 20 };

describe("agent http", () => {
  for (const protocol of protocols) {
    it(`says at Ctrl-C for how many requests it waits, over ${protocol}`, () =>
      withAgent(["--protocol", protocol], informed, async (agent, endStream) => {
        agent.signal("SIGINT");
        assert.match(agent.stderr, /Waiting for 1 request, at most 30 s; Ctrl-C again ends it\n/);
        await endStream();
      }));
  }

  for (const protocol of protocols) {
    it(`says at a second Ctrl-C that it ended the request, and not that it failed, over ${protocol}`, () =>
      withAgent(["--protocol", protocol], informed, async (agent) => {
        agent.signal("SIGINT");
        agent.signal("SIGINT");
        await agent.exitCode;
        assert.match(agent.stderr, /Ended 1 request under way, at the second signal\n/);
        assert.match(agent.stdout, / GET \/events 200 5 B \d.* The agent was stopped, at the second signal\n/);
        assert.doesNotMatch(agent.stdout + agent.stderr, /agent_lost|failed|was lost/);
      }));

    it(`keeps code and events where the timeout of the drain ends a request, over ${protocol}`, () =>
      withAgent(["--protocol", protocol, "--json", "--drain-timeout", "50ms"], informed, async (agent) => {
        agent.signal("SIGTERM");
        await agent.exitCode;
        const { status, code, reason } = await agent.event("request");
        assert.deepEqual([status, code, reason], [200, "agent_lost", "The agent was stopped, after 50 ms of waiting"]);
        assert.deepEqual(agent.events.map(({ event }) => event), ["ready", "request", "exit"]);
        assert.match(agent.stderr, /Ended 1 request under way, after 50 ms of waiting\n/);
        assert.doesNotMatch(agent.stderr, /failed/);
      }));

    it(`shows in the live view what a second Ctrl-C ended, in no red, over ${protocol}`, () =>
      withAgent(["--protocol", protocol], { terminal }, async (agent) => {
        agent.signal("SIGINT");
        agent.signal("SIGINT");
        await agent.exitCode;
        const view = agent.stdout.split("\x1b[J").at(-1) as string;
        assert.match(withoutEscapes(view), /\nEnded 1 request under way, at the second signal\n1 request, 5 B sent\n/);
        assert.match(withoutEscapes(view), / {2}\/events {2}200 .* ended by the stop\n$/);
        assert.ok(!view.includes("\x1b[31m"), view);
      }));
  }

  it("shows a stream in the live view while it lasts, and at Ctrl-C that it waits for it", () =>
    withAgent([], { terminal }, async (agent, endStream) => {
      const lines = () => withoutEscapes(agent.stdout.split("\x1b[J").at(-1) as string);
      await agent.waitFor(() => /1 open \(\d moving\)/.test(lines()));
      assert.match(lines(), /\nopen {6}GET {2}\/events {2}200 {9}5 B {5}\d\.\d s {2}(moving|idle \d\.\d s)\n/);
      agent.signal("SIGINT");
      await agent.waitFor(() => lines().includes("Waiting for 1 request, at most 30 s; Ctrl-C again ends it"));
      await endStream();
      await agent.waitFor(() => lines().includes("Ended"));
      assert.ok(!lines().includes("open"), lines());
    }));
});

const stream: Handler = () => {
  let isFirst = true;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (isFirst) controller.enqueue(bytesOf("first"));
      isFirst = false;
    },
  }, { highWaterMark: 0 });
  return Promise.resolve({ status: 200, fields: ["Content-Type", "text/event-stream"], body });
};

describe("edge serve", () => {
  for (const protocol of protocols) {
    it(`logs where an agent comes from and which version it is, and at Ctrl-C for what it waits, over ${protocol}`, async () => {
      const edge = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", "--token", token], informed);
      await edge.waitFor(() => edge.stdout.includes("Connect "));
      const port = Number(/127\.0\.0\.1:(\d+)/.exec(edge.stdout)?.[1]);
      const agent = await startTestAgent({} as Edge, stream, "shop", protocol, port);
      const visitor = await follow(port);
      const other = await follow(port);
      edge.signal("SIGINT");
      assert.match(edge.stderr, /Waiting for 2 requests, at most 30 s; Ctrl-C again ends them\n/);
      agent.close();
      await edge.waitFor(() => edge.stderr.includes("is offline"));
      assert.equal(await edge.exitCode, 0);
      visitor.socket.reset();
      other.socket.reset();
      const who = "agent .0\\.0\\.0. from .127\\.0\\.0\\.1., session .s1.";
      assert.match(edge.stderr, new RegExp(`Tunnel .shop. is online: ${who} \\(.${protocol}.\\)\n`));
      assert.match(edge.stderr, new RegExp(`Tunnel .shop. is offline: ${who} ended: `));
    });
  }

  for (const protocol of protocols) {
    it(`says at a second Ctrl-C, and after the timeout, how many requests it ended, over ${protocol}`, async () => {
      for (const [again, args] of [[true, []], [false, ["--drain-timeout", "50ms"]]] as const) {
        const call = ["serve", "--listen", "127.0.0.1:0", "--token", token, ...args];
        const edge = new ProgramRun(edgeProgram, call, informed);
        await edge.waitFor(() => edge.stdout.includes("Connect "));
        const port = Number(/127\.0\.0\.1:(\d+)/.exec(edge.stdout)?.[1]);
        const agent = await startTestAgent({} as Edge, stream, "shop", protocol, port);
        const visitors = [await follow(port), await follow(port)];
        edge.signal("SIGINT");
        if (again) edge.signal("SIGINT");
        assert.equal(await edge.exitCode, 0);
        const why = again ? "at the second signal" : "after 50 ms of waiting";
        assert.match(edge.stderr, new RegExp(`Ended 2 requests under way, ${why}\n`));
        agent.close();
        for (const { socket } of visitors) socket.reset();
        // The log is the process's: later lines would be the next program's.
        await eventually(() => edge.stderr.includes("is offline"));
      }
    });

    it(`does not call a tunnel offline whose agent leaves behind the next one, over ${protocol}`, async () => {
      const edge = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", "--token", token], informed);
      await edge.waitFor(() => edge.stdout.includes("Connect "));
      const port = Number(/127\.0\.0\.1:(\d+)/.exec(edge.stdout)?.[1]);
      const leaving = await startTestAgent({} as Edge, stream, "shop", protocol, port);
      const visitor = await follow(port);
      const drained = leaving.drain();
      const next = await startTestAgent({} as Edge, stream, "shop", protocol, port);
      visitor.socket.reset();
      await drained;
      const who = (id: string) => `agent .0\\.0\\.0. from .127\\.0\\.0\\.1., session .${id}. ended: `;
      await edge.waitFor(() => /session .s1. ended/.test(edge.stderr));
      assert.match(edge.stderr, new RegExp(`Tunnel .shop. goes on with another session: ${who("s1")}`));
      assert.ok(!edge.stderr.includes("is offline"), edge.stderr);
      next.close();
      await edge.waitFor(() => edge.stderr.includes("is offline"));
      assert.match(edge.stderr, new RegExp(`Tunnel .shop. is offline: ${who("s2")}`));
      assert.equal(await edge.stop(), 0);
    });
  }

  it("says that it waits for nothing when nothing is under way", async () => {
    const edge = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", "--token", token], informed);
    await edge.waitFor(() => edge.stdout.includes("Connect "));
    assert.equal(await edge.stop(), 0);
    assert.match(edge.stderr, /Stopping: no request is under way\n/);
  });
});
