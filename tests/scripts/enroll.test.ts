/** scripts/examples/enroll.sh, with the programs of this checkout. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { root } from "../../scripts/lib/toolchain.mjs";
import { missingPeer } from "../support/peers.ts";
import { agentRuntime, edgeRuntime } from "../support/processes.ts";
import { writeProgram } from "../support/programs.ts";
import { withScratch } from "../support/scratch.ts";

const example = join(root, "scripts", "examples", "enroll.sh");

describe("enroll.sh", { skip: missingPeer("curl") || missingPeer("dash") }, () => {
  const hosts = new Set<string | undefined>();
  let upstream: Server;
  let target: string;

  before(async () => {
    upstream = createServer((request, response) => {
      hosts.add(request.headers.host);
      response.end("from the private service\n");
    });
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    target = String((upstream.address() as AddressInfo).port);
  });

  after(() => void upstream.close());

  /** Not by spawnSync: the upstream lives in this process. */
  function run(args: readonly string[], environment: Record<string, string> = {}) {
    return withScratch(async (folder) => {
      const temporary = join(folder, "temporary");
      await mkdir(temporary);
      await writeProgram(join(folder, "edge"), "bin/edge.ts", edgeRuntime);
      await writeProgram(join(folder, "agent"), "bin/agent.ts", agentRuntime);
      const PATH = `${folder}:${process.env.PATH}`;
      const child = spawn("dash", [example, ...args], {
        env: { ...process.env, PATH, HOME: folder, TMPDIR: temporary, ...environment },
      });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
      child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
      const [status] = await once(child, "close");
      return { status, stdout, stderr, left: await readdir(temporary) };
    });
  }

  it("goes through the life of a node, and leaves nothing behind, when dash runs it", async () => {
    const { status, stdout, stderr, left } = await run([target]);
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.equal(stderr, "");
    assert.equal(stdout.split("\n").length, 7, stdout);
    const names = ["shop.localhost", "shop.example.com", "shop.example.net", "eu.shop.example.com"];
    assert.deepEqual([...hosts].map((host) => host?.replace(/:\d+$/, "")).sort(), names.sort());
    assert.deepEqual(left, []);
  });

  it("passes on the exit code of what failed when something does", async () => {
    assert.equal((await run([])).status, 2);
    const noEdge = await run([target], { EDGE: "no-such-program" });
    assert.equal(noEdge.status, 127, noEdge.stderr);
    const noAgent = await run([target], { AGENT: "agent --no-such-flag" });
    assert.equal(noAgent.status, 2, noAgent.stderr);
    const noUpstream = await run(["127.0.0.1:1"]);
    assert.equal(noUpstream.status, 22, noUpstream.stderr);
    for (const { left } of [noEdge, noAgent, noUpstream]) assert.deepEqual(left, []);
  });
});
