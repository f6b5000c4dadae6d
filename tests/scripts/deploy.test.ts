/** scripts/examples/deploy.sh, with the programs of this checkout. */
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

const example = join(root, "scripts", "examples", "deploy.sh");

describe("deploy.sh", { skip: missingPeer("curl") || missingPeer("dash") }, () => {
  const servers: Server[] = [];
  let targets: string[];

  before(async () => {
    for (const text of ["first version\n", "next version\n"]) {
      const server = createServer((_, response) => void response.end(text));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      servers.push(server);
    }
    targets = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });

  after(() => {
    for (const server of servers) server.close();
  });

  /** Not by spawnSync: the services live in this process. */
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
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => output += text);
      }
      const [status] = await once(child, "close");
      return { status, output, left: await readdir(temporary) };
    });
  }

  it("deploys, changes and rolls back, and leaves nothing behind, when dash runs it", async () => {
    const { status, output, left } = await run(targets);
    assert.equal(status, 0, output);
    assert.equal(output.split("\n").length, 7, output);
    assert.deepEqual(left, []);
  });

  it("passes on the exit code of what failed when something does", async () => {
    assert.equal((await run([])).status, 2);
    const noEdge = await run(targets, { EDGE: "no-such-program" });
    assert.equal(noEdge.status, 127, noEdge.output);
    const noTarget = await run(["/srv", targets[1]!]);
    assert.equal(noTarget.status, 2, noTarget.output);
    for (const { left } of [noEdge, noTarget]) assert.deepEqual(left, []);
  });
});
