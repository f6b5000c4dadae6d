/** What runs in Docker and under systemd, as far as it can be checked without them. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { edgeProgram } from "../../src/cli/edge.ts";
import { agentProgram } from "../../src/cli/agent.ts";
import type { Program } from "../../src/cli/command.ts";
import { agentHttpOptions } from "../../src/config/mod.ts";
import type { OptionSpec } from "../../src/config/option.ts";
import { isOnPath } from "../../scripts/lib/peers.mjs";
import { withScratch } from "../support/scratch.ts";
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
    assert.match(valueOf("HEALTHCHECK").join(), /\/healthz/);
    assert.deepEqual(JSON.parse(valueOf("CMD").join()), ["edge", "serve"]);
    assert.ok(last.findIndex(({ name }) => name === "USER") > last.findIndex(({ name }) => name === "RUN"));
    assert.match(valueOf("ENV").join(), /RUNNEL_LISTEN=0\.0\.0\.0:8080 RUNNEL_DATA=\/var\/lib\/runnel/);
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

describe("compose.yaml", () => {
  it("runs edge, agent and a private service of which only the edge can be reached", async () => {
    const { services, volumes } = parse(await read("compose.yaml"), { merge: true });
    assert.deepEqual(Object.keys(services), ["edge", "upstream", "agent"]);
    assert.deepEqual(services.edge.ports, ["127.0.0.1:8080:8080"]);
    assert.equal(services.upstream.ports, undefined);
    assert.equal(services.agent.ports, undefined);
    assert.equal(services.agent.network_mode, "service:upstream");
    assert.equal(services.agent.depends_on.edge.condition, "service_healthy");
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
    ...["CapabilityBoundingSet=", "RestrictSUIDSGID=yes", "SystemCallFilter=@system-service", "LockPersonality=yes"],
  ];

  for (const program of [edgeProgram, agentProgram]) {
    it(`${program.name}.service is hardened and calls ${program.name} as it can be called`, async () => {
      const lines = (await read(`systemd/${program.name}.service`)).split("\n");
      for (const line of hardening) assert.ok(lines.includes(line), line);
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

  it("agent.service waits for ever for an edge that is not there yet", async () => {
    const lines = (await read("systemd/agent.service")).split("\n");
    const [, value] = lines.find((line) => line.startsWith("Environment=RUNNEL_CONNECT_TIMEOUT="))!.slice(12).split(
      "=",
    );
    assert.equal(agentHttpOptions.connectTimeout.parse(value), Infinity);
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
