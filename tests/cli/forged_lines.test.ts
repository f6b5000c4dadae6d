/**
 * Texts of others, in everything that the programs log and print: each must stay on its line and do nothing to a terminal.
 * Those here would forge a line, clear the screen, turn the direction of reading, or end a line for some readers.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { AgentError } from "../../src/agent/errors.ts";
import type { RequestReport } from "../../src/http/observer.ts";
import type { AgentDisplay } from "../../src/cli/agent_display.ts";
import { eventDisplay } from "../../src/cli/agent_display.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { Program } from "../../src/cli/command.ts";
import type { ProgramHost } from "../../src/cli/host.ts";
import { liveDisplay } from "../../src/cli/live_display.ts";
import { createOutput } from "../../src/cli/output.ts";
import { Screen } from "../../src/cli/screen.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { dial } from "../../src/net/mod.ts";
import { configureLog, logger } from "../../src/observe/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { bytesOf, SocketReader } from "../support/net.ts";
import { enterEdge, token } from "../support/tunnel.ts";
import { root } from "../docs/page.ts";
import { ProgramRun, runToEnd, withoutEscapes } from "./program_run.ts";

const FORGED = "2026-01-02T03:04:05.678Z [info] runnel.edge: Tunnel shop is online";
/** Long, since some inspectors break long texts at their line feeds. */
const evil = `bye{x}\r\n${FORGED}\x1b[2J\x1b]0;title\x07\x9b31m\x7f\u202egpj.exe\u2066\u200f\u061c\u2028\u2029\ud800.`;
/** What a WebSocket's close frame may hold of it: 123 bytes. */
const evilClose = `bye{x}\n${FORGED.slice(0, 50)}\x1b[2J\x9b1m\x7f\u202egpj\u2066\u200f\u2028\u2029`;

const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** The lines of `text`, each of them checked. */
function linesOf(text: string): string[] {
  const lines = text.split("\n");
  assert.equal(lines.pop(), "", "the last line is ended");
  for (const line of lines) {
    assert.doesNotMatch(line, unsafe);
    assert.ok(!line.startsWith(FORGED.slice(0, 40)), line);
  }
  return lines;
}

const view = { upstream: evil, edge: evil, protocol: "v2" };
const report: RequestReport = {
  id: evil,
  method: evil,
  path: evil,
  status: 502,
  bytesIn: 0,
  bytesOut: 5,
  firstByteMs: 1,
  durationMs: 2,
  code: evil,
  reason: evil,
};

/** Everything that an agent tells of, with texts of others. */
function tellAll(display: AgentDisplay): void {
  display.connecting(2, 250, evil, evil);
  display.connecting(3, 250, evil, evil);
  display.reconnecting(1, 250, null);
  display.reconnecting(2, 250, `${evil}2`);
  display.reconnecting(3, 250, `${evil}2`);
  display.ready({ url: evil, name: evil, tunnelId: evil, warnings: [evil] });
  display.request(report, false);
  display.disconnected(evil);
  display.stopping(1, 1000);
}

const host = (stage: { stdout: string; stderr: string }): ProgramHost => ({
  args: [],
  environment: (name) => name === "LANG" ? "C.UTF-8" : undefined,
  platform: "linux",
  home: "/nowhere",
  isRoot: false,
  hasReader: true,
  stdout: (text) => Boolean(stage.stdout += text),
  stderr: (text) => Boolean(stage.stderr += text),
  stdin: async function* () {},
  askHidden: () => Promise.resolve(null),
  flush: () => Promise.resolve(),
  terminal: () => ({ isTerminal: true, columns: 300, rows: 60 }),
  onResize: () => () => {},
  onSignal: () => () => {},
});

describe("a text of others", () => {
  let logged: string;
  let stage: { stdout: string; stderr: string };
  const log = (format: "text" | "json") =>
    configureLog({ level: "debug", format, write: (line) => void (logged += line) });
  beforeEach(() => {
    logged = "";
    stage = { stdout: "", stderr: "" };
  });
  after(() => configureLog({ level: "error", format: "text", write() {} }));

  it("stays in its line of the text log, whatever kind of value it is in", async () => {
    await log("text");
    const at = logger("edge");
    at.info("{evil}", { evil });
    at.warn("{list} and {object}", { list: [evil, evil], object: { [evil]: evil } });
    at.error("{error}", { error: new Error(evil, { cause: new Error(evil) }) });
    at.debug(evil);
    logger(evil).info("a category");
    const lines = linesOf(logged);
    assert.equal(lines.length, 5);
    for (const line of lines) assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z \[(?:info|warning|error|debug)\] runnel\./);
    assert.match(lines[0] as string, /"bye\{x\}\\r\\n2026-01-02T.*\\u202egpj\.exe/);
  });

  it("is exact in the JSON log, of which a line is a record", async () => {
    await log("json");
    logger("edge").warn("{evil}", { evil });
    const [line = "", ...others] = linesOf(logged);
    assert.deepEqual(others, []);
    assert.equal(JSON.parse(line).properties.evil, evil);
  });

  it("stays in its line of what an agent prints and logs", async () => {
    await log("text");
    tellAll(eventDisplay(view, createOutput(false, host(stage))));
    assert.deepEqual(linesOf(stage.stdout).length, 2);
    const lines = linesOf(logged);
    for (const line of lines) assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z \[\w+\] runnel\.agent: /);
    // What a peer says is a value, and no template of ours.
    assert.ok(lines.some((line) => line.includes("[warning]") && line.includes('"bye{x}')), logged);
  });

  it("is exact in an agent's events, of which a line is one, and stays in its line of the log beside them", async () => {
    await log("text");
    tellAll(eventDisplay(view, createOutput(true, host(stage))));
    const events = linesOf(stage.stdout).map((line) => JSON.parse(line));
    assert.deepEqual(events.map(({ event }) => event).filter((event) => event !== "reconnecting"), [
      "ready",
      "request",
      "disconnected",
    ]);
    const [request] = events.filter(({ event }) => event === "request");
    assert.deepEqual([request.path, request.reason, request.code], [evil, evil, evil]);
    linesOf(logged);
  });

  it("moves nothing in the live view, and stays in its line of the log above it", async () => {
    const values = { json: false, logLevel: "debug", logFormat: "text" } as const;
    const clock = new FakeClock();
    const display = await liveDisplay(view, { host: host(stage), values }, clock);
    tellAll(display);
    clock.advance(100);
    display.close();
    const known = withoutEscapes(stage.stdout).replaceAll("\r", "");
    for (const sequence of ["\x1b[2J", "\x1b]0", "\x9b"]) assert.ok(!stage.stdout.includes(sequence));
    linesOf(known);
    linesOf(stage.stderr);
    assert.match(stage.stderr, /warning.*"bye\{x\}/);
  });

  it("moves nothing on the screen, whoever made the line", () => {
    let written = "";
    const screen = new Screen({ write: (text) => void (written += text), columns: () => 80, isColored: true });
    screen.draw([[{ text: evil, style: "bad" }]]);
    linesOf(withoutEscapes(written).replaceAll("\r", ""));
  });

  for (const args of [["fail"], ["fail", "--json"]]) {
    for (const error of [new AgentError("refused", evil, undefined, { remedy: evil }), new Error(evil), evil]) {
      it(`stays in its line when ${args.join(" ")} ends by ${error instanceof Error ? error.name : "a text"}`, async () => {
        const program = failing(error);
        const { stdout, stderr } = await runToEnd(program, args);
        const lines = linesOf(stderr);
        assert.ok(lines[0]?.startsWith("error: "), stderr);
        const ours = linesOf(stdout).map((line) => JSON.parse(line).event);
        assert.deepEqual(ours, args.length === 1 ? [] : ["error", "exit"]);
      });
    }
  }

  it("stays in its line when it is an argument", async () => {
    for (const args of [[evil], ["serve", evil], ["serve", `--${evil}`], ["serve", "--listen", evil]]) {
      const { stderr, exitCode } = await runToEnd(edgeProgram, args);
      assert.equal(exitCode, 2);
      assert.equal(linesOf(stderr).length, 2, stderr);
    }
  });
});

/** A program whose only command rejects. */
function failing(error: unknown): Program {
  const command = {
    name: "fail",
    summary: "",
    options: {},
    positionals: {},
    examples: [],
    run: () => Promise.reject(error),
  };
  return {
    ...edgeProgram,
    commands: [{ ...edgeProgram.commands[0]!, ...command, options: edgeProgram.commands[0]!.options }],
  };
}

describe("an agent's text in the log of an edge", () => {
  /** An edge whose log is told, and what is in it. */
  async function start(...args: string[]) {
    const all = ["serve", "--listen", "127.0.0.1:0", "--token", token, "--log-level", "debug", ...args];
    const run = new ProgramRun(edgeProgram, all);
    await run.waitFor(() => run.stdout.includes("Connect "));
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(run.stdout)?.[1]);
    return { run, edge: { address: { port } } as unknown as Edge, port };
  }

  it("stays in its line when it closes with it, on the JSON protocol", async () => {
    const { run, edge } = await start();
    const agent = await JsonAgent.register(edge, "shop");
    agent.link.close(1000, evilClose);
    await run.waitFor(() => run.stderr.includes("is offline"));
    await run.stop();
    assert.match(linesOf(run.stderr).find((line) => line.includes("is offline")) ?? "", /"bye\{x\}\\n2026-01-02T/);
  });

  for (const how of ["close", "goodbye"] as const) {
    it(`stays in its line when it is the reason of its ${how}, on runnel.v2`, async () => {
      const { run, edge } = await start("--resume-timeout", "off");
      const { socket, rest } = await enterEdge(edge);
      const peer = new FramePeer(new WebSocketLink(socket, { role: "client", rest }));
      await peer.greet();
      peer.send((m) => {
        m.headers(1, [":method", "POST", ":scheme", "http", ":authority", "edge", ":path", "/api/agent/tunnels"], 0);
        m.data(1, bytesOf(JSON.stringify({ name: "shop", kind: "http", upstream: "" })), true);
      });
      await run.waitFor(() => run.stderr.includes("is online"));
      if (how === "close") peer.close(1000, evilClose);
      else peer.send((m) => m.goAway(0, 2, evil.replace("\ud800", "")));
      await run.waitFor(() => run.stderr.includes("is offline"));
      await run.stop();
      const line = linesOf(run.stderr).find((item) => item.includes("is offline")) ?? "";
      assert.match(line, /bye\{x\}(?:\\r)?\\n2026-01-02T/);
    });
  }

  it("stays in its line when it is why an answer broke off", async () => {
    const { run, edge, port } = await start();
    const agent = await JsonAgent.register(edge, "shop", { features: ["http_request_cancel"] });
    const visitor = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    visitor.socket.write(bytesOf("GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"));
    const { request_id } = await agent.next();
    agent.send({ type: "http_response_abort", request_id, message: evil, code: "upstream_failed" });
    await visitor.ended;
    visitor.socket.end();
    await run.waitFor(() => run.stderr.includes("Exchange failed"));
    agent.close();
    await run.stop();
    assert.match(
      linesOf(run.stderr).find((line) => line.includes("Exchange failed")) ?? "",
      /bye\{x\}\\r\\n2026-01-02T/,
    );
  });
});

describe("the sources", () => {
  /** Who may print, and what keeps it printable. */
  const printers: Readonly<Record<string, string>> = {
    "src/agent/expose.ts": "printableLines",
    "src/cli/access_log.ts": "lines of visible ASCII",
    "src/cli/completion.ts": "a script of ours",
    "src/cli/host.ts": "passes on",
    "src/cli/live_display.ts": "lines of the log, and a Screen",
    "src/cli/output.ts": "printable",
    "src/cli/program.ts": "printable; usages are ours",
    "src/net/process.ts": "passes on",
  };

  it("print in few places, which make texts printable", () => {
    const files = readdirSync(join(root, "src"), { recursive: true }).map(String).filter((name) =>
      name.endsWith(".ts")
    );
    assert.ok(files.length > 100);
    const printing = files.map((name) => `src/${name.replaceAll("\\", "/")}`).filter((path) => {
      const code = readFileSync(join(root, path), "utf8").replace(/^\s*(?:\/?\*|\/\/).*$/gm, "");
      return /\bconsole\.\w+\(|\.std(?:out|err)(?:\(|\.write)|\bwriteText\(/.test(code);
    });
    assert.deepEqual(printing.sort(), Object.keys(printers));
  });
});
