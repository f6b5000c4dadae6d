/** Both programs from start to exit, one against the other. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import metadata from "../../package.json" with { type: "json" };
import { bytesOf, latin1, missingIPv6, SocketReader, startTcpServer, type TcpServer } from "../support/net.ts";
import { dial, listen, type Socket } from "../../src/net/mod.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { withScratch } from "../support/scratch.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { pem } from "../support/tls.ts";
import { startTlsTerminator } from "../support/tls_terminator.ts";
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

/**
 * An upstream that answers each request with `hello`: one for `/fields/N` with N fields, one for `/head/N` with a head of
 * more than N bytes.
 */
function startUpstream(): Promise<TcpServer> {
  return startTcpServer(answerHello);
}

function answerHello(socket: Socket): void {
  socket.handlers = {
    onData: (chunk) => {
      const [, what, count] = /^GET \/(fields|head)\/(\d+) /.exec(latin1(chunk)) ?? [];
      const fields = what === "fields"
        ? "X: 1\r\n".repeat(Number(count) - 1)
        : `X: ${"x".repeat(Number(count ?? 0))}\r\n`;
      socket.write(bytesOf(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n${what === undefined ? "" : fields}\r\nhello`));
    },
    onEnd: () => socket.end(),
    onDrain() {},
    onClose() {},
  };
  socket.resume();
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
  it("tells in four lines where it is, where its data are and how to connect when it has no flag", () =>
    withScratch(async (folder) => {
      const environment = { RUNNEL_LISTEN: "127.0.0.1:0", STATE_DIRECTORY: join(folder, "data") };
      const run = new ProgramRun(edgeProgram, ["serve"], { environment });
      await run.waitFor(() => run.stdout.split("\n").length > 4);
      const [listening, admin, data, connect, ...more] = run.stdout.split("\n");
      const port = /127\.0\.0\.1:(\d+)/.exec(listening as string)?.[1];
      assert.deepEqual(more, [""]);
      assert.equal(listening, `Listening   127.0.0.1:${port}, and serving tunnels at http://NAME.localhost:${port}`);
      assert.equal(admin, "Admin API   none");
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

  it("begins with ready and ends with exit when it prints JSON", () =>
    withScratch(async (folder) => {
      const { run, ready } = await startEdge(["--token", token, "--data", folder, "--domain", "example.com"]);
      assert.equal(await run.stop(), 0);
      const { time, ...fields } = ready;
      assert.ok(!Number.isNaN(Date.parse(String(time))));
      const port = String(ready.listen).split(":")[1];
      assert.deepEqual(fields, {
        event: "ready",
        version: metadata.version,
        listen: `127.0.0.1:${port}`,
        listeners: [`127.0.0.1:${port}`],
        admin: null,
        domain: "example.com",
        publicUrl: `http://example.com:${port}`,
        dataDir: folder,
      });
      const { time: _, ...exit } = run.events.at(-1) as Event;
      assert.deepEqual(exit, { event: "exit", code: 0, from: "signal" });
      assert.equal(run.subscriptions, 0);
    }));

  it("goes on without what it would keep where its token is given and nobody named the folder", async () => {
    const options = { home: "/dev/null", environment: { RUNNEL_LOG_LEVEL: "warn" } };
    const run = new ProgramRun(edgeProgram, ["serve", ...loopback, "--token", token, "--json"], options);
    const ready = await run.event("ready");
    assert.deepEqual([ready.admin, ready.dataDir], [null, null]);
    assert.match(
      run.stderr,
      /Without nodes, declared tunnels and admin API: .The data folder .* cannot be used: .* --data/,
    );
    assert.equal(await run.stop(), 0);
  });

  for (const listen of ["0", "http://127.0.0.1:0", "HTTP://0.0.0.0:0", "http://127.0.0.1:0/"]) {
    it(`listens where it was meant to when --listen is ${listen}`, async () => {
      const run = new ProgramRun(edgeProgram, ["serve", "--listen", listen, "--token", token, "--json"]);
      const { listen: bound } = await run.event("ready");
      assert.match(String(bound), listen.includes("127") ? /^127\.0\.0\.1:\d+$/ : /^0\.0\.0\.0:\d+$/);
      assert.equal(await run.stop(), 0);
    });
  }

  it("exits 2 and names the remedy when --listen may mean two ports", async () => {
    const { exitCode, stderr } = await runToEnd(edgeProgram, ["serve", "--listen", "http://127.0.0.1"]);
    assert.equal(exitCode, 2);
    assert.match(
      stderr,
      /^error: --listen "http:\/\/127\.0\.0\.1" names no port: write http:\/\/127\.0\.0\.1:8080, or another port$/m,
    );
  });

  it("exits 2 and says where a certificate comes from when --listen is https", async () => {
    const { exitCode, stderr } = await runToEnd(edgeProgram, ["serve", "--listen", "https://0.0.0.0:443"]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /^error: --listen https:\/\/ needs a certificate\n.*--tls-cert FILE.*proxy/);
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
      await run.waitFor(() => run.stdout.split("\n").length > 4);
      await run.stop();
      assert.match(run.stdout.split("\n")[3] as string, command);
    });
  }

  it("logs where wrong tokens came from, and not what they were", async () => {
    const edge = new ProgramRun(edgeProgram, ["serve", ...loopback, "--json", "--token", token, "--log-level", "warn"]);
    const { listen } = await edge.event("ready");
    const port = Number(String(listen).split(":")[1]);
    const reader = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    const handshake = `${upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: runnel.v2\r\n`;
    reader.socket.write(
      bytesOf(`GET /agent HTTP/1.1\r\nHost: 127.0.0.1\r\n${handshake}Authorization: Bearer wrong-one\r\n\r\n`),
    );
    assert.match(await reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 401 /);
    reader.socket.reset();
    await edge.stop();
    assert.match(edge.stderr, /Refused a wrong token from .127\.0\.0\.1./);
    assert.ok(!edge.stderr.includes("wrong-one"), edge.stderr);
  });

  it("logs which key of an agent's answer cannot be taken", async () => {
    const edge = new ProgramRun(edgeProgram, ["serve", ...loopback, "--json", "--token", token, "--log-level", "warn"]);
    const { listen } = await edge.event("ready");
    const port = Number(String(listen).split(":")[1]);
    const agent = await JsonAgent.dial(port);
    await agent.ask({ type: "register", tunnel_id: "shop", agent_token: token });
    const visitor = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    visitor.socket.write(bytesOf("GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"));
    const { request_id } = await agent.next();
    agent.send({ type: "http_response", request_id, status: 200, headers: { "X-Count": 1 } });
    assert.match(await visitor.readUntil("\r\n\r\n"), /^HTTP\/1\.1 502 /);
    visitor.socket.reset();
    agent.close();
    await edge.stop();
    assert.match(edge.stderr, /Tunnel .shop.: session .* cannot be taken: .*key `headers`.*X-Count/);
  });

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
      new RegExp(
        `^error: .*${ready.listen}.*\nStop what listens there, or choose another --listen or --admin-listen\n`,
      ),
    );
  });

  it("reads requests of as many fields and bytes as its flags say", async () => {
    const edge = await startEdge(["--token", token, "--field-limit", "16", "--head-limit", "8KiB"]);
    const ask = (fields: string) => visit(edge, `127.0.0.1\r\n${fields}X: y`, "/healthz");
    // Beside Host, X and Connection.
    assert.match(await ask("A: 1\r\n".repeat(13)), /^HTTP\/1\.1 200 /);
    assert.match(await ask("A: 1\r\n".repeat(14)), /^HTTP\/1\.1 431 /);
    assert.match(await ask(`A: ${"x".repeat(8_000)}\r\n`), /^HTTP\/1\.1 200 /);
    assert.match(await ask(`A: ${"x".repeat(8_192)}\r\n`), /^HTTP\/1\.1 431 /);
    await edge.run.stop();
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
      assert.deepEqual(ready, {
        event: "ready",
        url,
        urls: [url],
        name: "shop",
        upstream: `http://${target()}`,
        protocol,
      });

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

  for (const protocol of ["v2", "json"]) {
    it(`reads answers of as many fields and bytes as its flags say over ${protocol}`, async () => {
      const limits = ["--field-limit", "16", "--head-limit", "8KiB"];
      const agent = new ProgramRun(agentProgram, withToken("--name", "limited", "--protocol", protocol, ...limits));
      await agent.waitFor(() => agent.stdout.includes("\n"));
      for (
        const [path, status] of [["/fields/16", 200], ["/fields/17", 502], ["/head/8000", 200], ["/head/9000", 502]]
      ) {
        assert.match(await visit(edge, "limited.localhost", String(path)), new RegExp(`^HTTP/1\\.1 ${status} `));
      }
      await agent.stop();
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

  it("reaches a service on ::1 when the target is its port or localhost", { skip: missingIPv6 }, async () => {
    const service = await listen({ kind: "tcp", host: "::1", port: 0 }, answerHello);
    const { port } = service.address;
    for (const target of [String(port), `localhost:${port}`, `http://localhost:${port}`]) {
      const args = ["http", target, "--edge", edge.url, "--token", token, "--name", "six", "--json"];
      const agent = new ProgramRun(agentProgram, args);
      assert.equal((await agent.event("ready")).upstream, `http://localhost:${port}`);
      assert.match(await visit(edge, "six.localhost", "/"), /hello$/);
      assert.equal(await agent.stop(), 0);
    }
    await service.close();
  });

  describe("when a request fails", () => {
    const port = async () => {
      const gone = await startTcpServer();
      await gone.close();
      return gone.port;
    };
    const cause = (port: number) =>
      `Cannot connect to localhost:${port}: connection refused; start the service, or check the port in TARGET`;
    const started = async (name: string, ...more: string[]) => {
      const gone = await port();
      const args = ["http", String(gone), "--edge", edge.url, "--token", token, "--name", name, ...more];
      return { gone, args };
    };

    it("tells the cause and what to do in the event and in the log, and only the code to the visitor", async () => {
      const { gone, args } = await started("failing", "--json");
      const agent = new ProgramRun(agentProgram, args, { environment: { RUNNEL_LOG_LEVEL: "warn" } });
      assert.equal((await agent.event("ready")).upstream, `http://localhost:${gone}`);
      const answer = await visit(edge, "failing.localhost", "/a?secret=1");
      const { status, code, reason } = await agent.event("request");
      assert.deepEqual([status, code, reason], [502, "upstream_refused", cause(gone)]);
      assert.match(answer, /"detail":"The upstream refused the connection"/);
      assert.ok(!answer.includes(String(gone)));
      await agent.waitFor(() => agent.stderr.includes("failed"));
      assert.match(
        agent.stderr,
        /\[warning\] runnel\.agent: Request .+ failed, .GET. .\/a.: .Cannot connect to .*TARGET. \(.upstream_refused.\)/,
      );
      assert.equal(await agent.stop(), 0);
      assert.ok(!`${agent.stdout}${agent.stderr}`.includes("secret=1"));
    });

    it("tells both behind the request's line when the output is no terminal", async () => {
      const { gone, args } = await started("plainly");
      const agent = new ProgramRun(agentProgram, args);
      await agent.waitFor(() => agent.stdout.includes("\n"));
      await visit(edge, "plainly.localhost", "/");
      await agent.waitFor(() => agent.stdout.includes("upstream_refused"));
      assert.match(agent.stdout, new RegExp(`\\n[\\d:]{8} GET / 502 0 B [^\\n]* upstream_refused: ${cause(gone)}\\n$`));
      await agent.stop();
    });

    it("shows both in the live view", async () => {
      const { gone, args } = await started("alive");
      const terminal = { isTerminal: true, columns: 70, rows: 20 };
      const agent = new ProgramRun(agentProgram, args, { terminal });
      await agent.waitFor(() => agent.stdout.includes("Online"));
      await visit(edge, "alive.localhost", "/");
      await agent.waitFor(() => agent.stdout.includes("TARGET"));
      assert.match(
        withoutEscapes(agent.stdout).replace(/[ \r\n]+/g, " "),
        new RegExp(`upstream_refused: ${cause(gone)}`),
      );
      await agent.stop();
    });
  });

  for (const protocol of ["v2", "json"]) {
    it(`asks for its own first-byte timeout over ${protocol}, and reports it as what it is`, async () => {
      const silent = await startTcpServer((socket) => socket.resume());
      const args = ["http", `127.0.0.1:${silent.port}`, "--edge", edge.url, "--token", token, "--protocol", protocol];
      const agent = new ProgramRun(agentProgram, [...args, "--name", "slow", "--first-byte-timeout", "50ms", "--json"]);
      await agent.event("ready");
      assert.match(await visit(edge, "slow.localhost", "/"), /^HTTP\/1\.1 504 [^]*X-Runnel-Error: upstream_timeout/);
      const { status, code, reason } = await agent.event("request");
      assert.deepEqual([status, code], [504, "upstream_timeout"]);
      assert.match(String(reason), /raise it with the agent's --first-byte-timeout, and with the edge's --max-/);
      assert.equal(await agent.stop(), 0);
      await silent.close();
    });

    it(`says over ${protocol} that the edge bounds its first-byte timeout`, async () => {
      const bounded = await startEdge(["--token", token, "--max-first-byte-timeout", "50ms"]);
      const silent = await startTcpServer((socket) => socket.resume());
      const flags = ["--token", token, "--protocol", protocol, "--name", "slow", "--first-byte-timeout", "off"];
      const args = ["http", `127.0.0.1:${silent.port}`, "--edge", bounded.url, ...flags];
      const agent = new ProgramRun(agentProgram, [...args, "--json"], { environment: { RUNNEL_LOG_LEVEL: "warn" } });
      await agent.event("ready");
      const warning = "The edge waits 50ms for an answer, its --max-first-byte-timeout, not --first-byte-timeout off";
      await agent.waitFor(() => agent.stderr.includes(warning));
      assert.match(await visit(bounded, "slow.localhost", "/"), /^HTTP\/1\.1 504 /);
      const terminal = { isTerminal: true, columns: 70, rows: 20 };
      const live = new ProgramRun(agentProgram, [...args, "--force"], { terminal });
      await live.waitFor(() => withoutEscapes(live.stdout).replace(/[ \r\n]+/g, " ").includes(warning));
      for (const run of [live, agent, bounded.run]) await run.stop();
      await silent.close();
    });
  }

  for (const value of ["0s", "60", "never", ""]) {
    it(`exits 2 when --first-byte-timeout is ${JSON.stringify(value)}`, async () => {
      const { exitCode, stderr } = await runToEnd(agentProgram, withToken("--first-byte-timeout", value));
      assert.equal(exitCode, 2);
      assert.match(stderr, /--first-byte-timeout .*is neither off nor a duration over 0 such as 500ms, 30s, 5m, 1h/);
    });
  }

  for (const value of ["json", "a/b/c", "a/", "*/*", "text/a b", "te*t/a"]) {
    it(`exits 2 when the edge's --live-type is ${JSON.stringify(value)}`, async () => {
      const { exitCode, stderr } = await runToEnd(edgeProgram, ["serve", ...loopback, "--live-type", value]);
      assert.equal(exitCode, 2);
      assert.match(stderr, /--live-type .*is no media type such as application\/x-stream/);
    });
  }

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

  it("gives the upstream the Host of --host-header, of RUNNEL_HOST_HEADER and of hostHeader in the settings", () =>
    withScratch(async (home) => {
      const upstream = await ScriptedServer.start(async (peer) => {
        for (;;) {
          const host = /^host: (.*)\r$/im.exec(await peer.readHead())![1]!;
          peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${host.length}\r\n\r\n${host}`);
        }
      });
      const hostOf = async (flags: readonly string[], environment: Record<string, string> = {}) => {
        const args = ["http", `127.0.0.1:${upstream.port}`, "--edge", edge.url, "--token", token, "--json"];
        const agent = new ProgramRun(agentProgram, [...args, "--name", "host", ...flags], { environment, home });
        await agent.event("ready");
        const answer = await visit(edge, "host.localhost:8080", "/");
        assert.equal(await agent.stop(), 0);
        return answer.slice(answer.indexOf("\r\n\r\n") + 4);
      };
      assert.equal(await hostOf([]), "host.localhost:8080");
      assert.equal(await hostOf(["--host-header", "preserve"]), "host.localhost:8080");
      assert.equal(await hostOf(["--host-header", "rewrite"]), `127.0.0.1:${upstream.port}`);
      assert.equal(await hostOf([], { RUNNEL_HOST_HEADER: "app.local" }), "app.local");
      await mkdir(join(home, ".config/runnel"), { recursive: true });
      await writeFile(join(home, ".config/runnel/agent.yaml"), "hostHeader: rewrite\n");
      assert.equal(await hostOf([]), `127.0.0.1:${upstream.port}`);
      await upstream.close();
    }));

  it("exits 2 and says what a Host is when --host-header is none", async () => {
    const wrong = [
      "a b",
      "a\r\nX: y",
      "a\tb",
      "http://a",
      "a/b",
      "user@a",
      "a:x",
      "a:65536",
      ":80",
      "[::1",
      "\u00e9",
      "*",
      "a,b",
    ];
    for (const text of wrong) {
      const { exitCode, stderr } = await runToEnd(agentProgram, [...withToken(), "--host-header", text]);
      assert.equal(exitCode, 2, text);
      const fault = `${JSON.stringify(text)} is none of preserve, rewrite and a Host such as localhost:3000`;
      assert.ok(stderr.startsWith(`error: --host-header ${fault}\n`), stderr);
    }
  });

  it("exits 2 and names the right spelling when --host-header has a mode in another case", async () => {
    for (const text of ["Rewrite", "PRESERVE"]) {
      const { exitCode, stderr } = await runToEnd(agentProgram, [...withToken(), "--host-header", text]);
      assert.equal(exitCode, 2, text);
      assert.ok(
        stderr.startsWith(`error: --host-header "${text}" is a mode, which is written ${text.toLowerCase()}\n`),
        stderr,
      );
    }
  });

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
