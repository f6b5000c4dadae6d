/** What runs in Docker and under systemd, as far as it can be checked without them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { parse } from "yaml";
import { edgeProgram } from "../../src/cli/edge.ts";
import { agentProgram } from "../../src/cli/agent.ts";
import type { Program } from "../../src/cli/command.ts";
import { agentHttpOptions, edgeServeOptions } from "../../src/config/mod.ts";
import type { OptionSpec } from "../../src/config/option.ts";
import { parseListenTarget } from "../../src/net/mod.ts";
import { isOnPath } from "../../scripts/lib/peers.mjs";
import { programOf } from "../../scripts/lib/toolchain.mjs";
import { withScratch } from "../support/scratch.ts";
import { pem, serverKey } from "../support/tls.ts";
import { root, run, succeed } from "./stage.ts";

const read = (file: string) => readFile(join(root, file), "utf8");

/** The instructions of a Dockerfile, without comments and with continued lines joined. */
function instructions(text: string): { name: string; value: string }[] {
  return text.replace(/^#.*\n/gm, "").replace(/\\\n\s*/g, "").split("\n").filter((line) => line !== "").map((line) => {
    const [name, ...words] = line.split(" ");
    return { name, value: words.join(" ") };
  });
}

/** The programs' own flags: what a line passes must be among them. */
function assertCall(program: Program, words: readonly string[]): void {
  const command = program.commands.find(({ name }) => name === words[0]);
  assert.ok(command, `${program.name} ${words[0]}`);
  const flags = Object.values<OptionSpec>(command.options).map(({ name }) => `--${name}`);
  for (const word of words.filter((word) => word.startsWith("--"))) assert.ok(flags.includes(word), word);
}

describe("Dockerfile", () => {
  it("ends in a small image without root, with volume, health check and the edge", async () => {
    const all = instructions(await read("Dockerfile"));
    const stages = all.filter(({ name }) => name === "FROM");
    assert.equal(stages.length, 2);
    for (const { value } of stages) assert.match(value, /^[a-z]+:[\w.-]*slim/);
    const last = all.slice(all.lastIndexOf(stages[1] as typeof all[number]));
    const valueOf = (wanted: string) => last.filter(({ name }) => name === wanted).map(({ value }) => value);
    assert.deepEqual(valueOf("USER"), ["65532:65532"]);
    assert.deepEqual(valueOf("VOLUME"), ["/var/lib/runnel"]);
    assert.deepEqual(valueOf("EXPOSE"), ["8080"]);
    const check = "/usr/local/lib/runnel/health_check.mjs";
    assert.match(valueOf("HEALTHCHECK").join(), new RegExp(`CMD BUN_BE_BUN=1 edge ${check}$`));
    assert.ok(valueOf("COPY").includes(`scripts/lib/health_check.mjs ${check}`));
    assert.deepEqual(JSON.parse(valueOf("CMD").join()), ["edge", "serve"]);
    assert.ok(last.findIndex(({ name }) => name === "USER") > last.findIndex(({ name }) => name === "RUN"));
    // Every program of the image gets these: RUNNEL_LISTEN would also be an agent's.
    assert.deepEqual(valueOf("ENV"), ["RUNNEL_DATA=/var/lib/runnel"]);
    assert.equal(edgeServeOptions.listen.default, "0.0.0.0:8080");
  });

  it("copies only what is there, and leaves out what is installed or built", async () => {
    for (const { name, value } of instructions(await read("Dockerfile"))) {
      if (name !== "COPY" || value.startsWith("--from")) continue;
      for (const path of value.split(" ").slice(0, -1)) assert.ok(existsSync(join(root, path)), path);
    }
    const ignored = (await read(".dockerignore")).trim().split("\n");
    for (const path of [".git", "node_modules", "dist"]) assert.ok(ignored.includes(path));
  });
});

/** A server that answers /healthz with `status`. */
async function serving(status: number, listen: { port: number; host: string } | { path: string }) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.headers.host}${request.url}`);
    response.writeHead(status).end("ok");
  });
  server.listen(listen);
  await once(server, "listening");
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { asked, close, port: (server.address() as AddressInfo).port };
}

describe("the image's health check", { skip: programOf("bun") === null ? "there is no bun" : false }, () => {
  /** Its exit code for a container whose first process was called with `words`. */
  const check = (words: readonly string[], env: Record<string, string> = {}) =>
    withScratch(async (folder) => {
      const file = join(folder, "cmdline");
      await writeFile(file, words.map((word) => `${word}\0`).join(""));
      const script = join(root, "scripts", "lib", "health_check.mjs");
      // Not spawnSync: the server that it asks is in this process.
      const child = spawn(programOf("bun")!, [script, file], { env: { ...process.env, ...env }, stdio: "ignore" });
      const [code] = await once(child, "close");
      return code;
    });

  it("asks an edge where it listens, however it is called", async () => {
    const { asked, close, port } = await serving(200, { port: 0, host: "127.0.0.1" });
    const calls: [words: string[], env?: Record<string, string>][] = [
      [["edge", "serve", "--listen", `0.0.0.0:${port}`]],
      [["edge", "serve", `--listen=127.0.0.1:${port}`, "--domain", "example.com"]],
      [["/sbin/docker-init", "--", "edge", "serve", "--listen", `[::]:${port}`]],
      [["/bin/sh", "-c", `exec /usr/local/bin/edge serve --listen ${port}`]],
      [["edge", "serve", "--listen", `http://:${port}`]],
      [["edge", "serve", "--listen", `http://127.0.0.1:${port}/`]],
      [["edge", "serve", "--listen", `*:${port}`]],
      [["edge", "serve"], { RUNNEL_LISTEN: `0.0.0.0:${port}` }],
      [["edge", "serve", "--listen", `127.0.0.1:${port}`], { RUNNEL_LISTEN: "127.0.0.1:1" }],
    ];
    const beside = [
      "edge",
      "serve",
      "--listen",
      "https://[::]:1",
      "--listen",
      `http://[::]:${port}`,
      "--tls-self-signed",
    ];
    calls.push([beside], [["edge", "serve"], { RUNNEL_LISTEN: `https://[::]:1, http://[::]:${port}` }]);
    for (const [words, env] of calls) assert.equal(await check(words, env), 0, words.join(" "));
    close();
    assert.deepEqual(asked, calls.map(() => "localhost/healthz"));
    for (const [words, env] of calls) assert.equal(await check(words, env), 1, words.join(" "));
  });

  it("asks at port 8080 when --listen names a host alone, and by IPv6 with and without brackets", async () => {
    const script = join(root, "scripts", "lib", "health_check.mjs");
    const { target } = await import(pathToFileURL(script).href) as { target: (listen: string) => unknown };
    const targets: readonly [listen: string, host: string, port: number][] = [
      ["127.0.0.1", "127.0.0.1", 8080],
      ["localhost", "localhost", 8080],
      ["*", "127.0.0.1", 8080],
      ["::", "127.0.0.1", 8080],
      ["::1", "::1", 8080],
      ["[::1]", "::1", 8080],
      ["[fd00::1]:80", "fd00::1", 80],
    ];
    for (const [listen, host, port] of targets) {
      assert.deepEqual(target(listen), { host, port });
      assert.equal(parseListenTarget(listen, 8080).kind, "tcp", "the edge takes it, too");
    }
  });

  it("asks with TLS when the edge has no other listener, whatever its certificate says", async () => {
    const server = createTlsServer({ cert: pem("other_name"), key: serverKey }, (_, response) => response.end("ok"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    assert.equal(await check(["edge", "serve", "--listen", `https://127.0.0.1:${port}`, "--tls-self-signed"]), 0);
    server.close();
    server.closeAllConnections();
  });

  it("asks by a unix socket when the edge listens on one", () =>
    withScratch(async (folder) => {
      const path = join(folder, "edge.sock");
      const { close } = await serving(200, { path });
      assert.equal(await check(["edge", "serve", "--listen", `unix:${path}`]), 0);
      close();
    }));

  it("fails when the edge answers anything but 200", async () => {
    const { close, port } = await serving(503, { port: 0, host: "127.0.0.1" });
    assert.equal(await check(["edge", "serve", "--listen", `127.0.0.1:${port}`]), 1);
    close();
  });

  it("calls an agent healthy, whatever listens", async () => {
    for (
      const words of [["agent", "http", "3000"], ["/sbin/docker-init", "--", "agent", "http", "edge:8080"], ["edge"]]
    ) {
      assert.equal(await check(words, { RUNNEL_LISTEN: "127.0.0.1:1" }), 0, words.join(" "));
    }
  });
});

describe("compose.yaml", () => {
  it("runs edge, agent and a private service of which only the edge can be reached", async () => {
    const { services, volumes } = parse(await read("compose.yaml"), { merge: true });
    assert.deepEqual(Object.keys(services), ["edge", "upstream", "agent"]);
    assert.deepEqual(services.edge.ports, ["127.0.0.1:8080:8080"]);
    assert.equal(services.upstream.ports, undefined);
    assert.equal(services.agent.ports, undefined);
    assert.equal(services.agent.network_mode, "service:upstream");
    assert.equal(services.agent.depends_on.edge.condition, "service_healthy");
    // The edge has the image's check, an agent has nothing to ask.
    assert.equal(services.edge.healthcheck, undefined);
    assert.deepEqual(services.agent.healthcheck, { disable: true });
    const words: string[] = services.agent.command;
    assert.equal(words[words.indexOf("--edge") + 1], "http://edge:8080");
    assert.ok(words.includes("--edge-insecure"));
    assert.ok("edge-data" in volumes);
    for (const [name, service] of Object.entries<Record<string, unknown>>(services)) {
      assert.deepEqual([service.read_only, service.cap_drop], [true, ["ALL"]], name);
      assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
    }
    for (const [program, service] of [[edgeProgram, services.edge], [agentProgram, services.agent]] as const) {
      const [name, ...words] = service.command;
      assert.equal(name, program.name);
      assertCall(program, words);
    }
    for (const mount of services.upstream.volumes) assert.ok(existsSync(join(root, mount.split(":")[0])), mount);
  });
});

describe("the systemd units", () => {
  const hardening = [
    ...["DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateDevices=yes"],
    ...["RestrictSUIDSGID=yes", "SystemCallFilter=@system-service", "LockPersonality=yes"],
  ];

  for (const program of [edgeProgram, agentProgram]) {
    it(`${program.name}.service is hardened and calls ${program.name} as it can be called`, async () => {
      const lines = (await read(`systemd/${program.name}.service`)).split("\n");
      const capability = program === edgeProgram ? "CAP_NET_BIND_SERVICE" : "";
      const capabilities = [`CapabilityBoundingSet=${capability}`, `AmbientCapabilities=${capability}`];
      for (const line of [...hardening, ...capabilities]) assert.ok(lines.includes(line), line);
      const [path, ...words] = lines.find((line) => line.startsWith("ExecStart="))!.slice(10).split(" ");
      assert.equal(path, `/usr/local/bin/${program.name}`);
      assertCall(program, words);
      // A JavaScript engine needs memory that is written and run.
      assert.ok(!lines.some((line) => line.startsWith("MemoryDenyWriteExecute=")));
    });
  }

  it("edge.service listens on the descriptor of edge.socket, and keeps its data in its state folder", async () => {
    const service = await read("systemd/edge.service");
    for (const line of ["Requires=edge.socket", "Environment=RUNNEL_LISTEN=fd:3", "StateDirectory=runnel"]) {
      assert.match(service, new RegExp(`^${line}$`, "m"));
    }
    assert.match(await read("systemd/edge.socket"), /^ListenStream=8080$/m);
  });

  it("ask for the network that they wait for, since After= alone asks for nothing", async () => {
    for (const unit of (await readdir(join(root, "systemd"))).filter((name) => name.endsWith(".service"))) {
      const lines = (await read(`systemd/${unit}`)).split("\n");
      for (const kind of ["After", "Wants"]) {
        assert.ok(lines.some((line) => line.startsWith(`${kind}=`) && / ?network-online\.target/.test(line)), unit);
      }
    }
  });

  it("edge@.service gives every instance the same sockets and data, and an edge that leaves its time", async () => {
    const lines = (await read("systemd/edge@.service")).split("\n");
    for (
      const line of ["Sockets=edge.socket", "Environment=RUNNEL_LISTEN=fd:3", "StateDirectory=runnel", "User=runnel"]
    ) {
      assert.ok(lines.includes(line), line);
    }
    const stopMs = Number(lines.find((line) => line.startsWith("TimeoutStopSec="))!.slice(15)) * 1_000;
    const { handoverTimeout } = edgeServeOptions;
    assert.ok(stopMs > handoverTimeout.parse(handoverTimeout.default!));
    // But for what the two are there for, they are the same.
    const known = new Set((await read("systemd/edge.service")).split("\n"));
    const own = lines.filter((line) => !known.has(line) && !line.startsWith("#")).map((line) => line.split("=")[0]);
    assert.deepEqual(own, ["Description", "Sockets", "ExecStartPost", "TimeoutStartSec", "TimeoutStopSec", "User"]);
  });

  it(
    "edge@.service is started once its edge has written its number down",
    { skip: process.platform === "win32" },
    () =>
      withScratch(async (folder) => {
        const line = (await read("systemd/edge@.service")).split("\n").find((line) =>
          line.startsWith("ExecStartPost=")
        )!;
        const [, script] = /^ExecStartPost=\/bin\/sh -c '(.*)'$/.exec(line)!;
        const env = { ...process.env, MAINPID: "4711", STATE_DIRECTORY: folder };
        const child = spawn("sh", ["-c", script!], { env, stdio: "ignore" });
        const ended = once(child, "close");
        const serving = join(folder, "serving.json");
        await writeFile(serving, '{"id":"a","pid":471,"listeners":[]}');
        assert.equal(child.exitCode, null);
        await writeFile(serving, '{"id":"b","pid":4711,"listeners":[]}');
        assert.equal((await ended)[0], 0);
      }),
  );

  it("scripts/examples/handover.sh starts a free instance, then stops the one that runs", () =>
    withScratch(async (folder) => {
      const states = { a: "deactivating", b: "active", c: "failed", d: "inactive" };
      const cases = Object.entries(states).map(([name, state]) => `*edge@${name}.service) echo ${state} ;;`).join(" ");
      const fake = `#!/bin/sh\nif [ "$1" = show ]; then case "$*" in ${cases} *) echo inactive ;; esac\n` +
        `else echo "$*" >> "${folder}/calls"; fi\n`;
      await writeFile(join(folder, "systemctl"), fake, { mode: 0o755 });
      const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
      const child = spawn("sh", [join(root, "scripts/examples/handover.sh")], { env, stdio: "ignore" });
      assert.equal((await once(child, "close"))[0], 0);
      assert.deepEqual((await readFile(join(folder, "calls"), "utf8")).trim().split("\n"), [
        "start edge@c.service",
        "enable --quiet edge@c.service",
        "disable --quiet edge@b.service",
        "stop --no-block edge@b.service",
      ]);
    }));

  it("agent.service waits for ever for an edge that is not there yet", async () => {
    const lines = (await read("systemd/agent.service")).split("\n");
    const [, value] = lines.find((line) => line.startsWith("Environment=RUNNEL_CONNECT_TIMEOUT="))!.slice(12).split(
      "=",
    );
    assert.equal(agentHttpOptions.connectTimeout.parse(value), Infinity);
  });

  it("agent-run.service gives the token as a credential, keeps its data, and reloads by SIGHUP", async () => {
    const service = await read("systemd/agent-run.service");
    const lines = ["LoadCredential=token:/etc/runnel/agent-token", "Environment=RUNNEL_TOKEN_FILE=%d/token"];
    lines.push("StateDirectory=runnel-agent", "ExecStart=/usr/local/bin/agent run", "Restart=on-failure");
    for (const line of lines) assert.ok(service.split("\n").includes(line), line);
    assert.match(service, /^ExecReload=.* -HUP \$MAINPID$/m);
  });

  const skip = isOnPath("systemd-analyze") ? false : "systemd is not installed";
  it("pass systemd-analyze verify, and its judgement of exposure", { skip }, () =>
    withScratch(async (folder) => {
      const units = await readdir(join(root, "systemd"));
      for (const unit of units) {
        // It looks whether the programs are there, and on the machine of a test they are not.
        const text = (await read(`systemd/${unit}`)).replaceAll("/usr/local/bin/edge", "/bin/true")
          .replaceAll("/usr/local/bin/agent", "/bin/true");
        await writeFile(join(folder, unit), text);
      }
      for (const unit of units) {
        const { stderr } = succeed("systemd-analyze", ["verify", join(folder, unit)]);
        assert.doesNotMatch(stderr, new RegExp(folder));
      }
      for (const unit of units.filter((name) => name.endsWith(".service"))) {
        const { status, stdout } = run("systemd-analyze", [
          ...["security", "--offline=yes", "--threshold=25", join(folder, unit)],
        ]);
        assert.equal(status, 0, stdout);
      }
    }));
});
