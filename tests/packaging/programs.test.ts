/** The programs that build.sh compiles for this machine. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { AdminApi } from "../support/admin_api.ts";
import { missingPeer } from "../support/peers.ts";
import { withScratch } from "../support/scratch.ts";
import { commit, root, run, script, Service, succeed, version } from "./stage.ts";

const pipeline = join(root, "scripts", "examples", "pipeline.sh");

describe("the compiled programs", () => {
  let folder: string;
  let edge: string;
  let agent: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "runnel-programs-"));
    script("build.sh", "--out", folder, "--commit", commit);
    [edge, agent] = [join(folder, "edge"), join(folder, "agent")];
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it("print their version when there is no runtime on PATH and the environment is empty", () => {
    for (const [name, program] of [["edge", edge], ["agent", agent]]) {
      const { stdout } = succeed("/usr/bin/env", ["-i", program, "--version"], { cwd: "/" });
      assert.match(stdout, new RegExp(`^${name} ${version} \\(${commit}, bun \\d+\\.\\d+\\.\\d+, \\w+-\\w+\\)\\n$`));
    }
  });

  const rules: readonly { args: string[]; environment?: Record<string, string>; status: number; says: RegExp }[] = [
    { args: ["edge", "--no-such-flag"], status: 2, says: /--no-such-flag/ },
    { args: ["edge", "serv"], status: 2, says: /Unknown command serv; did you mean serve\?/ },
    { args: ["edge", "serve", "--lisen", "x"], status: 2, says: /Unknown flag --lisen; did you mean --listen\?/ },
    { args: ["edge", "serve", "--listen"], status: 2, says: /--listen/ },
    { args: ["edge", "serve", "surplus"], status: 2, says: /"surplus" is one too many/ },
    { args: ["edge", "serve", "--domain", "a", "--domain", "b"], status: 2, says: /--domain/ },
    { args: ["edge", "serve", "--idle-timeout", "5"], status: 2, says: /--idle-timeout "5"/ },
    {
      args: ["edge", "serve"],
      environment: { RUNNEL_IDLE_TIMEOUT: "soon" },
      status: 2,
      says: /RUNNEL_IDLE_TIMEOUT "soon"/,
    },
    { args: ["agent", "http"], status: 2, says: /TARGET is missing/ },
    { args: ["agent", "http", "3000", "--edg", "x"], status: 2, says: /did you mean --edge\?/ },
    { args: ["agent", "http", "3000", "--json=yes"], status: 2, says: /--json/ },
    { args: ["agent", "http", "3000", "--name", "Shop!"], status: 2, says: /--name "Shop!"/ },
    {
      args: ["agent", "http", "3000", "--connect-timeout", "1ms", "--token", "t", "--edge", "http://127.0.0.1:9"],
      environment: { RUNNEL_CONNECT_TIMEOUT: "1h" },
      status: 4,
      says: /cannot|not/i,
    },
  ];
  for (const { args: [program, ...args], environment = {}, status, says } of rules) {
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value} `).join("");
    it(`exit ${status} when they are called as ${variables}${program} ${args.join(" ")}`, () => {
      const env = { HOME: folder, PATH: "/usr/bin:/bin", ...environment };
      const output = run(program === "edge" ? edge : agent, args, { env });
      assert.equal(output.status, status, output.stderr);
      assert.match(output.stderr, says);
    });
  }

  it("take nothing from .env and bunfig.toml when they stand in the folder they are called from", () =>
    withScratch(async (here) => {
      await writeFile(join(here, ".env"), "RUNNEL_LOG_LEVEL=nonsense\n");
      await writeFile(join(here, "bunfig.toml"), 'preload = ["./preload.js"]\n');
      await writeFile(join(here, "preload.js"), 'throw new Error("preloaded")\n');
      for (const program of [edge, agent]) succeed(program, ["completion", "bash"], { cwd: here });
    }));

  it("are the same bytes when they are built again elsewhere", () =>
    withScratch(async (again) => {
      script("build.sh", "--out", again, "--commit", commit);
      for (const name of ["edge", "agent"]) {
        assert.ok((await readFile(join(folder, name))).equals(await readFile(join(again, name))), name);
      }
    }));

  it("are under 150 MB each", async () => {
    for (const program of [edge, agent]) assert.ok((await stat(program)).size < 150e6);
  });

  it("answer the health check of the Dockerfile when the edge serves, and not when nothing does", () =>
    withScratch(async (here) => {
      const service = new Service(edge, ["serve", "--listen", "127.0.0.1:0", "--token", "secret", "--json"]);
      const listen = String((await service.first()).listen);
      // In place of the command line of the container's first process.
      const commandLine = join(here, "cmdline");
      await writeFile(commandLine, ["edge", "serve", "--listen", listen, ""].join("\0"));
      const dockerfile = await readFile(join(root, "Dockerfile"), "utf8");
      const check = /^HEALTHCHECK [^\n]*\\\n\s+CMD (.*)$/m.exec(dockerfile)?.[1]
        .replace("/usr/local/lib/runnel/", join(root, "scripts", "lib") + "/");
      assert.ok(check);
      const env = { PATH: `${folder}:/usr/bin:/bin` };
      succeed("/bin/sh", ["-c", `${check} ${commandLine}`], { env });
      await service.stop();
      assert.notEqual(run("/bin/sh", ["-c", `${check} ${commandLine}`], { env }).status, 0);
    }));

  it("keep nodes over a restart", () =>
    withScratch(async (data) => {
      const flags = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", data, "--json"];
      const withEdge = async (use: (admin: AdminApi) => Promise<void>) => {
        const service = new Service(edge, flags);
        try {
          await use(await AdminApi.of(String((await service.first()).admin), data));
        } finally {
          await service.stop();
        }
      };
      await withEdge(async (admin) => {
        assert.match(await admin.addNode("web-1"), /^rnl_node_/);
      });
      await withEdge(async (admin) => {
        assert.equal((await admin.do("GET", "nodes/web-1")).name, "web-1");
      });
    }));

  describe("in pipeline.sh", () => {
    let upstream: Server;
    let target: string;

    before(async () => {
      upstream = createServer((request, response) => {
        if (request.url === "/missing") response.statusCode = 404;
        response.end(`from ${request.headers.host}, ${request.url}\n`);
      });
      upstream.listen(0, "127.0.0.1");
      await once(upstream, "listening");
      target = String((upstream.address() as AddressInfo).port);
    });

    after(() => void upstream.close());

    /** Not by spawnSync: the upstream lives in this process. */
    async function runPipeline(shell: string, env: Record<string, string>, ...args: string[]) {
      const child = spawn(shell, [pipeline, ...args], {
        env: { ...process.env, PATH: `${folder}:${process.env.PATH}`, ...env },
      });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
      child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
      const [status] = await once(child, "close");
      return { status, stdout, stderr };
    }

    const skip = missingPeer("curl") || missingPeer("dash");

    it("serve one request and end, with exit code 0, when dash runs it", { skip }, async () => {
      const { status, stdout, stderr } = await runPipeline("dash", {}, target, "/a?b=c");
      assert.equal(status, 0, stderr);
      assert.match(stdout, /^from [a-z0-9-]+\.localhost\S*, \/a\?b=c\n$/);
      assert.equal(stderr, "");
    });

    it("pass on the exit code of what failed when something does", { skip }, async () => {
      assert.equal((await runPipeline("dash", {}, target, "/missing")).status, 22);
      assert.equal((await runPipeline("dash", {}, "x:y:z")).status, 2);
      const refused = await runPipeline("dash", { AGENT: `${agent} --no-such-flag` }, target);
      assert.equal(refused.status, 2);
      const noEdge = await runPipeline("dash", { EDGE: join(folder, "nothing") }, target);
      assert.equal(noEdge.status, 127);
    });
  });
});

describe("build.sh", () => {
  it("says what is missing when Deno cannot have the base of its programs", () =>
    withScratch((folder) => {
      const env = { ...process.env, DENORT_BIN: join(folder, "no-denort") } as Record<string, string>;
      const { status, stderr } = run(join(root, "scripts", "build.sh"), ["--runtime", "deno", "--out", folder], {
        env,
      });
      assert.equal(status, 1);
      assert.match(stderr, /^build: deno could not compile edge\. .*dl\.deno\.land.*set DENORT_BIN/);
      assert.ok(!existsSync(join(folder, "edge")));
      return Promise.resolve();
    }));

  it("exits 2 when target, runtime or commit is none", () => {
    for (const args of [["--target", "plan9-x64"], ["--runtime", "node"], ["--commit", "main"], ["surplus"]]) {
      const { status, stderr } = run(join(root, "scripts", "build.sh"), args);
      assert.equal(status, 2);
      assert.match(stderr, new RegExp(args.at(-1) as string));
    }
  });
});
