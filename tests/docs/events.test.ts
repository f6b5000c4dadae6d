/** docs/events.md beside what the programs are: its tables are compared with theirs, and with what they print. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { AgentError, type AgentErrorCode } from "../../src/agent/errors.ts";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { ExitCode, exitCodeMeanings, exitCodeOf, remedyOf } from "../../src/cli/exit_codes.ts";
import { nameErrorClass, RunnelError } from "../../src/base/errors.ts";
import { problemKinds } from "../../src/http/problems.ts";
import { dial } from "../../src/net/mod.ts";
import { type Event, ProgramRun, runToEnd } from "../cli/program_run.ts";
import { SocketReader, startTcpServer } from "../support/net.ts";
import { assertProblem, get } from "../support/public_client.ts";
import { Relay } from "../support/relay.ts";
import { withScratch } from "../support/scratch.ts";
import { inlineCode, readPage, tableRows } from "./page.ts";

const page = readPage("docs/events.md");
const codesIn = (cell: string) => inlineCode({ prose: [cell] });

/** The documented keys of each event of a program; those behind "if" are there only then. */
function documentedKeys(program: string): Map<string, { always: string[]; sometimes: string[] }> {
  const rows = tableRows(page, "program").filter(([who]) => who === program || who === "both");
  return new Map(rows.map(([, event = "", keys = ""]) => {
    const conditional = (cell: string) => cell.includes(" if ");
    const parts = keys.split(";")[0]!.split(",");
    const pick = (wanted: boolean) => parts.filter((part) => conditional(part) === wanted).flatMap(codesIn).sort();
    return [codesIn(event)[0] as string, { always: pick(false), sometimes: pick(true) }];
  }));
}

/** An error of this code, of the class that exit codes are looked up by. */
function errorOf(code: string): RunnelError {
  const asAgents = new AgentError(code as AgentErrorCode, "");
  return exitCodeOf(asAgents) === ExitCode.failure ? new AnyError({ code, reason: "", initiator: "user" }) : asAgents;
}

class AnyError extends RunnelError {
  static {
    nameErrorClass(this, "AnyError");
  }
}

const inlineText = (cell: string) => cell.replaceAll("`", "");

function assertDocumented(program: string, events: readonly Event[]): void {
  const documented = documentedKeys(program);
  for (const { event, time, ...fields } of events) {
    const keys = documented.get(String(event));
    assert.ok(keys !== undefined, `${program} prints ${event}, which is not documented`);
    assert.ok(!Number.isNaN(Date.parse(String(time))));
    const given = Object.keys(fields).sort();
    const optional = keys.sometimes.filter((key) => given.includes(key));
    assert.deepEqual(given, [...keys.always, ...optional].sort(), `${program} ${event}`);
  }
}

describe("docs/events.md", () => {
  it("has each problem's code, status, remedy and advice when visitors are told of it", () => {
    const rows = tableRows(page, "problem");
    const documented = rows.map(([code = "", status, _, remedy = "", advice]) => {
      return [codesIn(code)[0], Number(status), inlineText(remedy), advice];
    });
    const known = Object.entries(problemKinds).map(([code, { status, remedy, visitorAdvice }]) => {
      return [code, status, remedy, visitorAdvice];
    });
    assert.deepEqual(documented, known);
  });

  it("has each exit code and its meaning when a program ends", () => {
    const documented = tableRows(page, "exit code").map(([code, meaning]) => [Number(code), meaning]);
    assert.deepEqual(documented, Object.values(ExitCode).map((code) => [code, exitCodeMeanings[code]]));
  });

  it("has the exit code and the remedy of each error when a program tells of it", () => {
    const rows = tableRows(page, "error");
    assert.ok(rows.length > 0);
    for (const [cell = "", exitCode, remedy] of rows) {
      const code = codesIn(cell)[0] as string;
      assert.equal(Number(exitCode), exitCodeOf(errorOf(code)), code);
      assert.equal(inlineText(remedy as string), remedyOf(code), code);
    }
  });

  it("names every event and its keys when both programs have printed all of them", async () => {
    const upstream = await startTcpServer();
    await upstream.close();
    const token = "a-token-of-the-tests";
    const edge = new ProgramRun(edgeProgram, [
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--token",
      token,
      "--json",
      "--access-log",
      "-",
    ]);
    const url = `http://${(await edge.event("ready")).listen}`;
    // The agent comes by it, so that its link can be cut.
    const relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port: Number(new URL(url).port) });
    const near = `http://127.0.0.1:${relay.port}`;
    const args = ["http", String(upstream.port), "--edge", near, "--json", "--name", "shop"];
    const agent = new ProgramRun(agentProgram, [...args, "--token", token]);
    await agent.event("ready");
    const port = Number(new URL(url).port);
    const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    assertProblem(await get({ host: "shop.localhost", connect }), 502, "upstream_refused");
    await agent.event("request");
    relay.cut();
    await agent.event("resumed");
    await edge.waitFor(() => edge.events.some(({ tunnel }) => tunnel === "shop"));
    const several = await withScratch(async (folder) => {
      const file = join(folder, "tunnels.yaml");
      await writeFile(file, `tunnels: { blog: { upstream: "${upstream.port}" } }`);
      const run = new ProgramRun(agentProgram, ["run", "--config", file, "--edge", url, "--token", token, "--json"]);
      await run.event("config");
      assertProblem(await get({ host: "blog.localhost", connect }), 502, "upstream_refused");
      await run.event("request");
      await writeFile(file, "tunnels: 3");
      run.signal("SIGHUP");
      await run.waitFor(() => run.events.some(({ ok }) => ok === false));
      assert.equal(await run.stop(), 0);
      return run.events;
    });
    assert.equal(await edge.stop(), 0);
    await agent.waitFor(() =>
      agent.events.findLastIndex(({ event }) => event === "reconnecting") >
        agent.events.findIndex(({ event }) => event === "resumed")
    );
    assert.equal(await agent.stop(), 0);
    await relay.close();
    const failed = await runToEnd(agentProgram, [...args, "--token", token, "--connect-timeout", "10ms"]);

    const agentEvents = [...agent.events, ...several, ...failed.events];
    assertDocumented("edge", edge.events);
    assertDocumented("agent", agentEvents);
    const printed = new Set(agentEvents.map(({ event }) => event));
    assert.deepEqual([...documentedKeys("agent").keys()].filter((event) => !printed.has(event)), []);
  });
});
