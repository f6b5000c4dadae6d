/** The feed of docs/events.md: each event is told, with the keys that stand there. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { DEFAULT_MAX_EVENTS, DEFAULT_MAX_SUBSCRIBERS } from "../../src/events/feed.ts";
import { dial } from "../../src/net/mod.ts";
import { withOperatedEdge, withUpstream } from "../cli/operated_edge.ts";
import { ProgramRun, runToEnd } from "../cli/program_run.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { bytesOf, SocketReader } from "../support/net.ts";
import { Relay } from "../support/relay.ts";
import { inlineCode, readPage, tableRows } from "./page.ts";

const page = readPage("docs/events.md");
const codesIn = (text: string) => inlineCode({ prose: [text] });

/** The documented keys of each event; those behind "if" and "where" are there only then. */
const documented = new Map(
  tableRows(page, "event of the feed").map(([event = "", keys = ""]) => {
    const parts = keys.replace(/\([^)]*\)/g, "").split(";");
    const isConditional = (part: string) => / (?:if|where) /.test(part);
    const pick = (wanted: boolean) => parts.filter((part) => isConditional(part) === wanted).flatMap(codesIn);
    return [codesIn(event)[0]!, { always: pick(false), sometimes: pick(true) }];
  }),
);
// "The same" as the row above it.
const begun = documented.get("request_started")!;
documented.set("request", {
  always: [...begun.always, ...documented.get("request")!.always],
  sometimes: [...begun.sometimes, ...documented.get("request")!.sometimes],
});

describe("The feed of docs/events.md", () => {
  it("has every event with its keys when an edge has told of all of them", () =>
    withUpstream((upstream) =>
      withOperatedEdge(async (edge) => {
        const events = edge.start("events", "--json", "--since", "another-1");
        await events.event("gap");
        const { token } = (await edge.command("node", "add", "web-1", "--json")).events[0]!;
        await edge.command("tunnel", "add", "shop", "--node", "web-1", "--upstream", "3000");
        const port = Number(new URL(edge.url).port);
        // The agent comes by it, so that its link can be cut.
        const relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port });
        const near = `http://127.0.0.1:${relay.port}`;
        const args = [
          "http",
          String(upstream.port),
          "--edge",
          near,
          "--json",
          "--name",
          "shop",
          "--token",
          String(token),
        ];
        const agent = new ProgramRun(agentProgram, args);
        await agent.event("ready");
        relay.cut();
        await agent.event("resumed");
        const visit = async (request: string) => {
          const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
          client.socket.write(bytesOf(request));
          await client.readAll();
        };
        const fields = "Host: shop.localhost\r\nUser-Agent: tester\r\nConnection: close\r\n";
        await visit(`GET / HTTP/1.1\r\n${fields}\r\n`);
        await visit("GARBAGE\r\n\r\n");
        await runToEnd(agentProgram, ["http", "3000", "--edge", edge.url, "--token", "wrong"]);
        const json = await JsonAgent.dial(port);
        await json.ask({ type: "register", tunnel_id: "old", agent_token: "a-token-of-the-tests" });
        const asked = visit("GET / HTTP/1.1\r\nHost: old.localhost\r\nConnection: close\r\n\r\n");
        const { request_id } = await json.next();
        json.send({ type: "http_response", request_id, status: "no number", headers: {}, body_b64: "" });
        await asked;
        assert.equal(await agent.stop(), 0);
        await relay.close();
        await fetch(`${edge.url}/api/agent/ack`, {
          method: "POST",
          headers: { Authorization: `Bearer ${token}` },
          body: JSON.stringify({ version: 1, checksum: "c", ok: false, error: "It cannot be" }),
        });
        await events.event("config_acknowledged");
        await events.event("bad_frame");
        await events.event("session_ended");
        const told = events.events;
        assert.equal(await events.stop(), 0);

        for (const { event, eventId, time, ...rest } of told) {
          const keys = documented.get(String(event));
          assert.ok(keys !== undefined, `${event} is not documented`);
          assert.match(String(eventId), /^[a-z0-9]+-\d+$/);
          assert.ok(!Number.isNaN(Date.parse(String(time))));
          const given = Object.keys(rest).sort();
          const optional = keys.sometimes.filter((key) => given.includes(key));
          assert.deepEqual(given, [...keys.always, ...optional].sort(), String(event));
        }
        const names = new Set(told.map(({ event }) => event));
        // Only readers of the stream itself see the last one; the others are told with --acme, in acme.test.ts.
        const elsewhere = ["certificate_issued", "certificate_failed", "keepalive"];
        assert.deepEqual([...documented.keys()].filter((name) => !names.has(name)).sort(), elsewhere.sort());
      })
    ));

  it("has the numbers of the code", () => {
    assert.ok(page.text.includes(`newest ${DEFAULT_MAX_EVENTS.toLocaleString("en-US")} are kept`));
    assert.ok(page.text.includes(`${DEFAULT_MAX_SUBSCRIBERS} may listen at one time`));
  });
});
