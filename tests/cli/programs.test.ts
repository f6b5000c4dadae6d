/** Both programs from start to exit, one against the other. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import metadata from "../../package.json" with { type: "json" };
import { bytesOf, latin1, SocketReader, startTcpServer, type TcpServer } from "../support/net.ts";
import { dial } from "../../src/net/mod.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { pem } from "../support/tls.ts";
import { startTlsTerminator } from "../support/tls_terminator.ts";
import { withScratch } from "../support/scratch.ts";
import { type Event, ProgramRun, runToEnd, withoutEscapes } from "./program_run.ts";

const token = "a-token-of-the-tests";
const loopback = ["--listen", "127.0.0.1:0"];

interface StartedEdge {
  readonly run: ProgramRun;
  readonly ready: Event;
  /** For `--edge`. */
  readonly url: string;
}

async function startEdge(args: readonly string[] = ["--token", token]): Promise<StartedEdge> {
  const run = new ProgramRun(edgeProgram, ["serve", ...loopback, "--json", ...args]);
  const ready = await run.event("ready");
  return { run, ready, url: `http://${ready.listen}` };
}

/** An upstream that answers each request with `hello`. */
function startUpstream(): Promise<TcpServer> {
  return startTcpServer((socket) => {
    socket.handlers = {
      onData: () => void socket.write(bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")),
      onEnd: () => socket.end(),
      onDrain() {},
      onClose() {},
    };
    socket.resume();
  });
}

/** The whole answer of the edge to a visitor. */
async function visit(edge: StartedEdge, host: string, path: string): Promise<string> {
  const port = Number(String(edge.ready.listen).split(":")[1]);
  const reader = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
  reader.socket.write(bytesOf(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
  const answer = latin1(await reader.readAll());
  reader.socket.end();
  return answer;
}

describe("edge serve", () => {
  it("tells in three lines where it is, where its data are and how to connect when it has no flag", () =>
    withScratch(async (folder) => {
      const environment = { RUNNEL_LISTEN: "127.0.0.1:0", STATE_DIRECTORY: join(folder, "data") };
      const run = new ProgramRun(edgeProgram, ["serve"], { environment });
      await run.waitFor(() => run.stdout.split("\n").length > 3);
      const [listening, data, connect, ...more] = run.stdout.split("\n");
      const port = /127\.0\.0\.1:(\d+)/.exec(listening as string)?.[1];
      assert.deepEqual(more, [""]);
      assert.equal(listening, `Listening   127.0.0.1:${port}, and serving tunnels at http://NAME.localhost:${port}`);
      assert.equal(data, `Data        ${folder}/data`);
      const file = join(folder, "data", "token");
      assert.equal(connect, `Connect     agent http 3000 --edge http://127.0.0.1:${port} --token-file ${file}`);

      const args = ["http", "3000", "--edge", `http://127.0.0.1:${port}`, "--token-file", file, "--json"];
      const agent = new ProgramRun(agentProgram, args);
      await agent.event("ready");
      assert.equal(await agent.stop(), 0);
      assert.equal(await run.stop(), 0);
      const ownToken = (await readFile(file, "utf8")).trim();
      for (const text of [run.stdout, run.stderr, agent.stdout, agent.stderr]) assert.ok(!text.includes(ownToken));
    }));

  it("begins with ready and ends with exit when it prints JSON", async () => {
    const { run, ready } = await startEdge(["--token", token, "--data", "/nowhere/data", "--domain", "example.com"]);
    assert.equal(await run.stop(), 0);
    const { time, ...fields } = ready;
    assert.ok(!Number.isNaN(Date.parse(String(time))));
    const port = String(ready.listen).split(":")[1];
    assert.deepEqual(fields, {
      event: "ready",
      version: metadata.version,
      listen: `127.0.0.1:${port}`,
      admin: null,
      domain: "example.com",
      publicUrl: `http://example.com:${port}`,
      dataDir: "/nowhere/data",
    });
    const { time: _, ...exit } = run.events.at(-1) as Event;
    assert.deepEqual(exit, { event: "exit", code: 0, from: "signal" });
    assert.equal(run.subscriptions, 0);
  });

  const commands: readonly [string, string[], RegExp][] = [
    [
      "the domain is real",
      ["--domain", "example.com"],
      /--edge http:\/\/example\.com:\d+ --edge-insecure --token-file FILE$/,
    ],
    [
      "it is behind a proxy",
      ["--domain", "example.com", "--public-url", "https://example.com"],
      /--edge https:\/\/example\.com --token-file FILE$/,
    ],
    ["it listens everywhere", ["--listen", "0.0.0.0:0"], /--edge http:\/\/127\.0\.0\.1:\d+ --token-file FILE$/],
  ];
  for (const [name, args, command] of commands) {
    it(`tells the command that connects an agent when ${name}`, async () => {
      const listen = args[0] === "--listen" ? [] : loopback;
      const run = new ProgramRun(edgeProgram, ["serve", "--token", token, ...listen, ...args]);
      await run.waitFor(() => run.stdout.split("\n").length > 3);
      await run.stop();
      assert.match(run.stdout.split("\n")[2] as string, command);
    });
  }

  it("exits 5 and names the address when something listens there", async () => {
    const { run, ready } = await startEdge();
    const { exitCode, stderr } = await runToEnd(edgeProgram, [
      "serve",
      "--listen",
      String(ready.listen),
      "--token",
      token,
    ]);
    await run.stop();
    assert.equal(exitCode, 5);
    assert.match(
      stderr,
      new RegExp(`^error: .*${ready.listen}.*\nStop what listens there, or choose another --listen\n`),
    );
  });

  it("exits 1 and says what to do when its data folder cannot be made", () =>
    withScratch(async (folder) => {
      await writeFile(join(folder, "file"), "");
      const data = join(folder, "file", "data");
      const { exitCode, stderr } = await runToEnd(edgeProgram, ["serve", ...loopback, "--data", data]);
      assert.equal(exitCode, 1);
      assert.ok(stderr.startsWith(`error: The data folder ${data} cannot be used: `), stderr);
      assert.match(stderr, /\nName a folder that can be written with --data/);
    }));
});

describe("agent http", () => {
  let edge: StartedEdge;
  let upstream: TcpServer;
  before(async () => {
    [edge, upstream] = await Promise.all([startEdge(), startUpstream()]);
  });
  after(async () => {
    await Promise.all([edge.run.stop(), upstream.listener.close()]);
  });

  const target = () => `127.0.0.1:${upstream.listener.address.port}`;
  const call = (...args: string[]) => ["http", target(), "--edge", edge.url, ...args];
  const withToken = (...args: string[]) => call("--token", token, ...args);

  for (const protocol of ["v2", "json"]) {
    it(`prints ready, a request and exit when it prints JSON over ${protocol}`, async () => {
      const agent = new ProgramRun(agentProgram, withToken("--json", "--name", "shop", "--protocol", protocol));
      const { time: _, tunnelId, ...ready } = await agent.event("ready");
      assert.equal(agent.events[0]?.event, "ready");
      assert.equal(typeof tunnelId, "string");
      const url = edge.url.replace("127.0.0.1", "shop.localhost");
      assert.deepEqual(ready, { event: "ready", url, name: "shop", upstream: `http://${target()}`, protocol });

      assert.match(await visit(edge, "shop.localhost", "/a?secret=1"), /\r\n\r\nhello$/);
      const { time, id, firstByteMs, durationMs, ...request } = await agent.event("request");
      assert.ok(!Number.isNaN(Date.parse(String(time))));
      assert.deepEqual([typeof id, typeof firstByteMs, typeof durationMs], ["string", "number", "number"]);
      assert.deepEqual(request, { event: "request", method: "GET", path: "/a", status: 200, bytesIn: 0, bytesOut: 5 });

      assert.equal(await agent.stop(), 0);
      assert.deepEqual(agent.events.at(-1)?.event, "exit");
      assert.equal(agent.subscriptions, 0);
    });
  }

  it("prints the URL in its first line, then a line a request, when the output is no terminal", async () => {
    const agent = new ProgramRun(agentProgram, withToken("--name", "plain"));
    await agent.waitFor(() => agent.stdout.includes("\n"));
    const url = edge.url.replace("127.0.0.1", "plain.localhost");
    assert.equal(agent.stdout, `${url} -> http://${target()}\n`);
    await visit(edge, "plain.localhost", "/caf\u00c3\u00a9?secret=1");
    await agent.waitFor(() => agent.stdout.split("\n").length > 2);
    await agent.stop();
    assert.match(agent.stdout, /\n\d\d:\d\d:\d\d GET \/caf%C3%A9 200 5 B \d+ ms\n$/);
  });

  it("draws the live view, and leaves the cursor alone, when the output is a terminal", async () => {
    const terminal = { isTerminal: true, columns: 70, rows: 20 };
    const agent = new ProgramRun(agentProgram, withToken("--name", "live"), { terminal });
    await agent.waitFor(() => agent.stdout.includes("Online"));
    await visit(edge, "live.localhost", "/a?secret=1");
    await agent.waitFor(() => agent.stdout.includes("/a "));
    agent.terminal = { ...terminal, columns: 30 };
    agent.stdout = "";
    agent.signal("resize");
    const lines = withoutEscapes(agent.stdout).replaceAll("\r", "").split("\n");
    assert.ok(lines.every((line) => line.length < 30), agent.stdout);
    assert.equal(lines[0]?.slice(0, 21), "http://live.localhost");
    assert.equal(await agent.stop(), 0);
    assert.ok(!agent.stdout.includes("\x1b[?"));
    assert.ok(agent.stdout.endsWith("\n"));
    assert.equal(agent.subscriptions, 0);
  });

  for (const [variable, value] of [["NO_COLOR", "1"], ["TERM", "dumb"]] as const) {
    it(`uses no color when ${variable} is ${value}`, async () => {
      const terminal = { isTerminal: true, columns: 70, rows: 20 };
      const agent = new ProgramRun(agentProgram, withToken(), { terminal, environment: { [variable]: value } });
      await agent.waitFor(() => agent.stdout.includes("localhost"));
      await agent.stop();
      // deno-lint-ignore no-control-regex -- escape sequences are what must not be there
      assert.doesNotMatch(agent.stdout, /\x1b\[[0-9;]*m/);
      if (variable === "TERM") assert.ok(!agent.stdout.includes("\x1b"));
    });
  }

  it("takes edge and token from the file when it was logged in", () =>
    withScratch(async (home) => {
      const login = await runToEnd(agentProgram, ["login", edge.url, "--token-file", "-"], {
        home,
        stdin: `${token}\n`,
      });
      const file = join(home, ".config/runnel/agent.yaml");
      assert.deepEqual([login.exitCode, login.stderr], [0, ""]);
      assert.equal(login.stdout, `Edge and token are kept in ${file}\nTry        agent http 3000\n`);
      assert.equal(await readFile(file, "utf8"), `edge: ${edge.url}\ntoken: ${token}\n`);

      const agent = new ProgramRun(agentProgram, ["http", target(), "--json"], { home });
      await agent.event("ready");
      assert.equal(await agent.stop(), 0);
    }));

  it("asks for the token, and says nothing of it, when standard input is a terminal", () =>
    withScratch(async (home) => {
      for (const args of [[], ["--token-file", "-"]]) {
        const login = await runToEnd(agentProgram, ["login", edge.url, ...args], { home, typed: token });
        assert.deepEqual([login.exitCode, login.stderr], [0, "Token (not shown): "]);
        assert.ok(!login.stdout.includes(token));
        const file = join(home, ".config/runnel/agent.yaml");
        assert.equal(await readFile(file, "utf8"), `edge: ${edge.url}\ntoken: ${token}\n`);
      }
    }));

  it("keeps nothing when the edge refuses the token of a login, or is none, unless it is told not to try", () =>
    withScratch(async (home) => {
      const file = join(home, ".config/runnel/agent.yaml");
      const login = (url: string, ...args: string[]) => runToEnd(agentProgram, ["login", url, ...args], { home });
      const refused = await login(edge.url, "--token", "another-token");
      assert.equal(refused.exitCode, 3);
      const other = await ScriptedServer.answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
      const url = `http://127.0.0.1:${other.port}`;
      const none = await login(url, "--token", token);
      assert.equal(none.exitCode, 4);
      assert.match(none.stderr, /with 404\n.*\. --no-check keeps edge and token without trying them\n$/);
      await assert.rejects(readFile(file), { code: "ENOENT" });
      const sent = other.peers.length;
      assert.equal((await login(url, "--token", token, "--no-check")).exitCode, 0);
      assert.equal(other.peers.length, sent);
      assert.equal(await readFile(file, "utf8"), `edge: ${url}\ntoken: ${token}\n`);
      await other.close();
    }));

  it("tries an edge of a private authority, and keeps the authority, when it is logged in with --edge-ca", () =>
    withScratch(async (home) => {
      const terminator = await startTlsTerminator(Number(String(edge.ready.listen).split(":")[1]));
      const url = `https://127.0.0.1:${terminator.port}`;
      const ca = join(home, "ca.pem");
      await writeFile(ca, pem("authority"));
      const login = (...args: string[]) => runToEnd(agentProgram, ["login", url, "--token", token, ...args], { home });
      const untrusted = await login();
      assert.equal(untrusted.exitCode, 4);
      assert.match(untrusted.stderr, /unknown authority\nTrust the certificate's authority with --edge-ca FILE/);
      assert.equal((await login("--edge-ca", ca)).exitCode, 0);
      const agent = new ProgramRun(agentProgram, ["http", target(), "--json"], { home });
      await agent.event("ready");
      assert.equal(await agent.stop(), 0);
      await terminator.close();
    }));

  it("exits 2 and sends no token when the saved one is for another edge", () =>
    withScratch(async (home) => {
      const unchecked = ["login", "http://127.0.0.1:1", "--token-file", "-", "--no-check"];
      assert.equal((await runToEnd(agentProgram, unchecked, { home, stdin: token })).exitCode, 0);
      const { exitCode, stderr } = await runToEnd(agentProgram, call(), { home });
      assert.equal(exitCode, 2);
      const file = join(home, ".config/runnel/agent.yaml");
      assert.ok(
        stderr.startsWith(`error: No token for ${edge.url}: the one in ${file} is for http://127.0.0.1:1\n`),
        stderr,
      );
    }));

  it("exits 2 and says how to give it when there is no token", async () => {
    const { exitCode, stderr } = await runToEnd(agentProgram, call());
    assert.equal(exitCode, 2);
    const login = `agent login ${edge.url} --token-file -`;
    assert.equal(stderr, `error: The token is missing\nGive it with --token-file FILE, or keep it with '${login}'\n`);
  });

  it("exits 2 and names the place when the settings are wrong", () =>
    withScratch(async (home) => {
      await mkdir(join(home, ".config/runnel"), { recursive: true });
      await writeFile(join(home, ".config/runnel/agent.yaml"), "egde: x\n");
      const { exitCode, stderr } = await runToEnd(agentProgram, call(), { home });
      assert.equal(exitCode, 2);
      assert.match(stderr, /agent\.yaml:1:1: unknown key "egde"; did you mean edge\?/);
    }));

  for (const protocol of ["v2", "json"]) {
    it(`exits 3 when the edge refuses the token over ${protocol}`, async () => {
      const { exitCode, events } = await runToEnd(
        agentProgram,
        call("--token", "another-token", "--json", "--protocol", protocol),
      );
      assert.equal(exitCode, 3);
      assert.deepEqual(events.map(({ event }) => event), ["error", "exit"]);
      assert.equal(events[0]?.code, "unauthorized");
      assert.equal(events[1]?.code, 3);
    });

    it(`exits 5 when a live agent has the name over ${protocol}`, async () => {
      const first = new ProgramRun(agentProgram, withToken("--json", "--name", "mine", "--protocol", protocol));
      await first.event("ready");
      const args = withToken("--name", "mine", "--protocol", protocol);
      const { exitCode, stderr } = await runToEnd(agentProgram, args);
      await first.stop();
      assert.equal(exitCode, 5);
      assert.match(stderr, /^error: .*mine.*\nChoose another --name, or take it over with --force\n$/);
    });
  }

  it("exits 4 and says what to do when nothing listens there", async () => {
    const server = await startTcpServer();
    const url = `http://127.0.0.1:${server.listener.address.port}`;
    await server.listener.close();
    const args = ["http", "3000", "--edge", url, "--token", token, "--connect-timeout", "100ms"];
    const { exitCode, stderr } = await runToEnd(agentProgram, args);
    assert.equal(exitCode, 4);
    assert.match(stderr, /^error: .+: connection refused\nStart the edge there, or check host and port in --edge\n$/);
  });

  for (const protocol of ["v2", "json"]) {
    it(`exits 4 at once, and prints nothing before the error, when another program listens there (${protocol})`, async () => {
      const other = await ScriptedServer.answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
      const url = `http://127.0.0.1:${other.port}`;
      const args = ["http", "3000", "--edge", url, "--token", token, "--protocol", protocol, "--json"];
      const { exitCode, events, stderr } = await runToEnd(agentProgram, [...args, "--connect-timeout", "10h"]);
      await other.close();
      assert.equal(exitCode, 4);
      const [error, exit, ...more] = events;
      assert.deepEqual(more, []);
      assert.deepEqual([error?.event, error?.code, exit?.code], ["error", "edge_unreachable", 4]);
      assert.equal(error?.message, `Cannot reach the edge ${url}: it answered /agent with 404`);
      assert.match(String(error?.remedy), /proxy.*must pass \/agent/);
      assert.equal(stderr, `error: ${error?.message}\n${error?.remedy}\n`);
    });

    it(`comes up when its edge comes after it, with --connect-timeout off (${protocol})`, async () => {
      const server = await startTcpServer();
      const { port } = server.listener.address;
      await server.listener.close();
      const args = ["http", target(), "--edge", `http://127.0.0.1:${port}`, "--token", token, "--name", "late"];
      const agent = new ProgramRun(agentProgram, [
        ...args,
        "--protocol",
        protocol,
        "--json",
        "--connect-timeout",
        "off",
      ], {
        environment: { RUNNEL_LOG_LEVEL: "warn" },
      });
      await agent.waitFor(() => agent.stderr.includes("connection refused"));
      assert.equal(agent.stdout, "");
      const late = new ProgramRun(edgeProgram, ["serve", "--listen", `127.0.0.1:${port}`, "--token", token, "--json"]);
      await late.event("ready");
      await agent.event("ready");
      assert.equal(agent.events[0]?.event, "ready");
      assert.equal(agent.stderr.split("connection refused").length, 2, agent.stderr);
      assert.equal(await agent.stop(), 0);
      assert.equal(await late.stop(), 0);
    });

    it(`exits 5 when another agent takes its name by force (${protocol})`, async () => {
      const forced = withToken("--json", "--name", "both", "--protocol", protocol, "--force");
      const first = new ProgramRun(agentProgram, forced);
      await first.event("ready");
      const second = new ProgramRun(agentProgram, forced);
      await second.event("ready");
      assert.equal(await first.exitCode, 5);
      assert.deepEqual(first.events.map(({ event }) => event), ["ready", "disconnected", "error", "exit"]);
      assert.deepEqual([first.events[2]?.code, first.events[3]?.code], ["replaced", 5]);
      assert.equal(await second.stop(), 0);
      assert.deepEqual(second.events.map(({ event }) => event), ["ready", "exit"]);
    });
  }

  it("shows the cause and its remedy in the live view while it tries", async () => {
    const server = await startTcpServer();
    const url = `http://127.0.0.1:${server.listener.address.port}`;
    await server.listener.close();
    const terminal = { isTerminal: true, columns: 70, rows: 20 };
    const args = ["http", "3000", "--edge", url, "--token", token, "--connect-timeout", "off"];
    const agent = new ProgramRun(agentProgram, args, { terminal });
    const shown = () => withoutEscapes(agent.stdout).replaceAll(/\s+/g, " ");
    await agent.waitFor(() => shown().includes("connection refused. Start the edge there"));
    assert.equal(await agent.stop(), 0);
  });

  it("ends with an error below the view when the output is a terminal", async () => {
    const terminal = { isTerminal: true, columns: 70, rows: 20 };
    const { exitCode, stdout, stderr } = await runToEnd(agentProgram, call("--token", "wrong"), { terminal });
    assert.equal(exitCode, 3);
    assert.ok(withoutEscapes(stdout).endsWith(`Connecting to ${edge.url}\n`));
    assert.match(stderr, /^error: /);
  });
});
