/** `edge push`, and what other commands show of agents that listen. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edgeProgram } from "../../src/cli/edge.ts";
import { eventually } from "../support/net.ts";
import { PushClient } from "../support/push_client.ts";
import { type OperatedEdge, withOperatedEdge } from "./operated_edge.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

/** Enrols a node, and listens with its token. */
async function enrol(edge: OperatedEdge, name: string): Promise<{ client: PushClient; token: string }> {
  const token = String((await edge.command("node", "add", name, "--json")).events[0]!.token);
  const client = new PushClient();
  assert.equal(await client.connect(`${edge.url}/api/agent/push?instance=a`, token), 200);
  return { client, token };
}

const acknowledge = (edge: OperatedEdge, token: string, body: object) =>
  fetch(`${edge.url}/api/agent/ack`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
    body: JSON.stringify({ checksum: "c", instance: "a", ...body }),
  });

describe("edge push", () => {
  it("tells the agents of one node, or of all nodes, and prints how many they are", () =>
    withOperatedEdge(async (edge) => {
      const [one, two] = [await enrol(edge, "web-1"), await enrol(edge, "web-2")];
      const push = async (...words: string[]) => {
        const { exitCode, stdout, stderr } = await edge.command("push", ...words);
        assert.deepEqual([exitCode, stderr], [0, ""], words.join(" "));
        return stdout;
      };
      assert.equal(await push("web-1", "config_changed"), "Told        1 agent\n");
      const reconnect = ["--payload", '{"action":"reconnect"}'];
      assert.equal(await push("--all", "action", ...reconnect), "Told        2 agents\n");
      const json = await push("poll_interval", "--payload", '{"pollIntervalMs":5000}', "--all", "--json");
      assert.deepEqual(JSON.parse(json), { type: "poll_interval", streams: 2 });
      await eventually(() => one.client.events.length === 3 && two.client.events.length === 2);
      const told = ({ client }: { client: PushClient }) => client.events.map(({ type, data }) => [type, data.action]);
      assert.deepEqual(told(one), [["config_changed", undefined], ["action", "reconnect"], [
        "poll_interval",
        undefined,
      ]]);
      assert.deepEqual(told(two), [["action", "reconnect"], ["poll_interval", undefined]]);
      one.client.close();
      await eventually(async () => await push("web-1", "config_changed") === "No agent listens now\n");
      two.client.close();
    }));

  it("keeps for an agent that is away all but actions", () =>
    withOperatedEdge(async (edge) => {
      const { client, token } = await enrol(edge, "web-1");
      await edge.command("push", "web-1", "config_changed");
      await eventually(() => client.events.length === 1);
      client.close();
      await edge.command("push", "web-1", "action", "--payload", '{"action":"shutdown"}');
      await edge.command("push", "web-1", "poll_interval", "--payload", '{"pollIntervalMs":5000}');
      await client.connect(`${edge.url}/api/agent/push?instance=a`, token);
      await eventually(() => client.events.length > 1);
      assert.deepEqual(client.events.map(({ type }) => type), ["config_changed", "poll_interval"]);
      client.close();
    }));

  it("ends with 2 for a wrong call, and names the mistake", async () => {
    const cases: readonly [words: string[], message: RegExp][] = [
      [[], /The argument NODE is missing/],
      [["web-1"], /The argument TYPE is missing/],
      [["--all"], /The argument TYPE is missing/],
      [["--all", "web-1", "action"], /"action" is one too many/],
      [["web-1", "action", "more"], /"more" is one too many/],
      [["web-1", "reboot"], /The type "reboot" is none of config_changed, action, poll_interval/],
      [["web-1", "action", "--payload", "reconnect"], /--payload "reconnect" is no object such as/],
      [["web-1", "action", "--payload", "[1]"], /is no object such as/],
    ];
    for (const [words, message] of cases) {
      const { exitCode, stderr } = await runToEnd(edgeProgram, ["push", ...words]);
      assert.equal(exitCode, 2, words.join(" "));
      assert.match(stderr, message);
    }
    const environment = { RUNNEL_ALL: "1" };
    const both = await runToEnd(edgeProgram, ["push", "web-1", "action"], { environment });
    assert.equal(both.exitCode, 2);
    assert.match(both.stderr, /RUNNEL_ALL stands beside a node/);
  });

  it("tells what the edge refuses", () =>
    withOperatedEdge(async (edge) => {
      const unknown = await edge.command("push", "web-1", "config_changed");
      assert.equal(unknown.exitCode, 1);
      assert.match(unknown.stderr, /^error: There is no node web-1\nSee edge node list\n/);
      await edge.command("node", "add", "web-1");
      const wrong = await edge.command("push", "web-1", "action", "--payload", '{"action":"reboot"}');
      assert.equal(wrong.exitCode, 2);
      assert.match(wrong.stderr, /`payload\.action`/);
    }));

  it("has NODE and --all in its usage", async () => {
    const { stdout } = await runToEnd(edgeProgram, ["push", "--help"]);
    assert.match(stdout, /^Usage: edge push NODE\|--all TYPE \[OPTIONS\]$/m);
  });
});

describe("What agents acknowledge", () => {
  it("is a line of edge events, and CONFIG of edge status", () =>
    withOperatedEdge(async (edge) => {
      const environment = { RUNNEL_ADMIN_TOKEN: edge.adminToken, RUNNEL_LOG_LEVEL: "info" };
      const events = new ProgramRun(edgeProgram, ["events", "--admin", edge.admin], { environment });
      await events.waitFor(() => events.stderr.includes("Listening to what happens"));
      const { client, token } = await enrol(edge, "web-1");
      const config = async () => / (\S+)$/m.exec((await edge.command("status")).stdout.split("\n")[1]!)![1];
      assert.equal(await config(), "-/1");
      await acknowledge(edge, token, { version: 1, ok: true });
      assert.equal(await config(), "1/1");
      await edge.command("tunnel", "add", "db", "--node", "web-1", "--upstream", "3000", "--kind", "tcp");
      await acknowledge(edge, token, { version: 2, ok: false, error: "tcp is \x1b[2J not known" });
      assert.equal(await config(), "1/2");
      await events.waitFor(() => events.stdout.includes("not known"));
      const lines = events.stdout.split("\n").filter((line) => line.includes("config_acknowledged"));
      assert.match(lines[0]!, /^\d\d:\d\d:\d\d {2}config_acknowledged {2}web-1 \(a\) applied version 1$/);
      assert.match(lines[1]!, /web-1 \(a\) could not apply version 2: tcp is \S+ not known$/);
      assert.ok(!events.stdout.includes("\x1b"));
      assert.equal(await events.stop(), 0);
      client.close();
    }));
});
