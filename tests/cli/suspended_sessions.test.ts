/** What `edge serve` shows of an agent that has lost its link: in `edge status`, in its feed and in its log. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { FedBody } from "../support/client_requests.ts";
import { eventually } from "../support/net.ts";
import { getRequest, send } from "../support/public_client.ts";
import { Relay } from "../support/relay.ts";
import { publicSide, startV2Agent } from "../support/tunnel.ts";
import { sharedToken, withOperatedEdge } from "./operated_edge.ts";
import { type Event, ProgramRun } from "./program_run.ts";

describe("A session that is suspended", () => {
  it("is shown in edge status, in edge events and in the log, and so is that it goes on", () =>
    withOperatedEdge(async (edge) => {
      const port = Number(new URL(edge.url).port);
      const relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port });
      const feed = edge.start("events", "--json");
      await feed.event("connected");
      // The log is the process's, and goes where the program that was started last has it.
      const environment = { RUNNEL_ADMIN_TOKEN: edge.adminToken, RUNNEL_LOG_LEVEL: "info" };
      const listen = async () => {
        const run = new ProgramRun(edgeProgram, ["events", "--admin", edge.admin], { environment });
        await run.waitFor(() => run.stderr.includes("Listening to what happens"));
        return run;
      };
      const first = await listen();
      const fed = new FedBody();
      const upstream = () => Promise.resolve({ status: 200, fields: [], body: fed.stream });
      const agent = await startV2Agent({} as Edge, upstream, { port: relay.port, token: sharedToken });
      const visitor = publicSide({ address: { port } } as Edge, "shop");
      const client = await send(visitor, getRequest(visitor));
      fed.push("first");
      await client.readUntil("first");

      relay.block();
      const suspended = await feed.waitFor(() => feed.events.find(({ event }) => event === "session_suspended"));
      const id = String(suspended.session);
      assert.deepEqual([suspended.protocol, suspended.streams], ["v2", 1]);
      await first.waitFor(() =>
        new RegExp(`Session .?${id}.? of .?shop.? lost its link .1 stream waits.`).test(first.stderr)
      );
      await first.waitFor(() => first.stdout.includes("session_suspended"));
      const shown = await edge.command("status", "--check");
      assert.equal(shown.exitCode, 0);
      assert.match(shown.stdout, /^- +suspended +0\.0\.0 +v2 .* 1 +1 +\d+ B +\d+ B +-$/m);
      assert.match(shown.stdout, /^shop +http\S+ +- +suspended$/m);
      assert.match(shown.stdout, new RegExp(`\n\nSession ${id} of shop has lost its link, .*: 1 stream waits\n$`));
      const [status] = (await edge.command("status", "--json")).events as [{ sessions: Event[]; tunnels: Event[] }];
      assert.deepEqual(status.sessions.map(({ id, state, streams }) => [id, state, streams]), [[id, "suspended", 1]]);
      assert.deepEqual(status.tunnels.map(({ state, session, sessions }) => [state, session, sessions]), [[
        "suspended",
        id,
        [id],
      ]]);

      const second = await listen();
      relay.unblock();
      const resumed = await feed.waitFor(() => feed.events.find(({ event }) => event === "session_resumed"));
      assert.deepEqual([resumed.session, resumed.streams, resumed.address], [id, 1, "127.0.0.1"]);
      assert.ok(Number.isInteger(resumed.suspendedMs) && Number(resumed.suspendedMs) >= 0);
      await second.waitFor(() => /Session .?s\d+.? of .?shop.? resumed after .?\d+(\.\d)?.? s/.test(second.stderr));
      await second.waitFor(() => second.stdout.includes("session_resumed"));
      assert.match(first.stdout, new RegExp(`session_suspended +${id}: lost its link, with 1 stream$`, "m"));
      assert.match(second.stdout, new RegExp(`session_resumed +${id}: resumed after \\S+ \\S+, with 1 stream$`, "m"));
      const after = await edge.command("status");
      assert.match(after.stdout, /^- +online /m);
      assert.doesNotMatch(after.stdout, /lost its link/);
      client.socket.reset();
      agent.close();
      await eventually(async () => !(await edge.command("status")).stdout.includes("v2"));
      for (const run of [first, second, feed]) await run.stop();
      await relay.close();
    }));
});
