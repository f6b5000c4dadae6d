/** scripts/examples/managed_agent.py, an agent of another make that was written from docs/push.md. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { Program } from "../../scripts/lib/program.mjs";
import { root } from "../../scripts/lib/toolchain.mjs";
import { AdminApi } from "../support/admin_api.ts";
import { missingPeer } from "../support/peers.ts";
import {
  connectTo,
  type EdgeProcess,
  edgeRuntime,
  exited,
  killAll,
  type Line,
  spawnEdge,
} from "../support/processes.ts";
import { get } from "../support/public_client.ts";

const example = join(root, "scripts", "examples", "managed_agent.py");

describe("managed_agent.py", { skip: missingPeer("python3") }, () => {
  const upstreams: Server[] = [];
  let folder: string;
  let edge: EdgeProcess;
  let agent: ChildProcess;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "runnel-"));
    for (const text of ["first", "second"]) {
      const server = createServer((_, response) => void response.end(text));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      upstreams.push(server);
    }
    edge = await spawnEdge(0, "--admin-listen", "127.0.0.1:0", "--data", join(folder, "edge"));
    const admin = await AdminApi.of(String(edge.ready.admin), join(folder, "edge"));
    const token = await admin.addNode("web-1");
    // A group of its own: its agents end with it.
    const words = [example, `http://127.0.0.1:${edge.port}`, token, "a"];
    agent = spawn("python3", words, { stdio: "ignore", detached: true });
  });
  after(async () => {
    const closed = once(agent, "close");
    process.kill(-agent.pid!, "SIGKILL");
    await closed;
    await killAll();
    for (const server of upstreams) server.close();
    await rm(folder, { recursive: true, force: true });
  });

  const targetOf = (index: number) => `http://127.0.0.1:${(upstreams[index]!.address() as AddressInfo).port}`;
  const answerOf = (name: string) => get({ host: `${name}.localhost`, connect: () => connectTo(edge.port) });

  /** Runs `edge apply --wait`. Resolves to its exit code and the code of its error. */
  async function apply(tunnels: Record<string, object>): Promise<[exitCode: number | null, code: unknown]> {
    const file = join(folder, "shop.json");
    const named = Object.entries(tunnels).map(([name, tunnel]) => [name, { node: "web-1", ...tunnel }]);
    await writeFile(file, JSON.stringify({ version: 1, project: "shop", tunnels: Object.fromEntries(named) }));
    const flags = ["--wait", "--timeout", "60s", "--json", "--prune"];
    const places = ["--admin", `http://${edge.ready.admin}`, "--data", join(folder, "edge")];
    const program = new Program("apply", edgeRuntime, "bin/edge.ts", ["apply", file, ...flags, ...places]);
    let code: unknown;
    program.on("line", (line: Line) => code ??= line.code);
    return [await exited(program), code];
  }

  it("serves what a deployment declares before its --wait ends, at once and after each change", async () => {
    assert.deepEqual(await apply({ shop: { upstream: targetOf(0) }, blog: { upstream: targetOf(1) } }), [0, undefined]);
    assert.match(await answerOf("shop"), /^HTTP\/1\.1 200 [^]*first$/);
    assert.match(await answerOf("blog"), /^HTTP\/1\.1 200 [^]*second$/);
    assert.deepEqual(await apply({ shop: { upstream: targetOf(1) } }), [0, undefined]);
    assert.match(await answerOf("shop"), /^HTTP\/1\.1 200 [^]*second$/);
    assert.match(await answerOf("blog"), /^HTTP\/1\.1 404 /);
  });

  it("goes on with what it has where it cannot serve a config, and says why", async () => {
    assert.deepEqual(await apply({ shop: { upstream: targetOf(1) } }), [0, undefined]);
    const refused = { shop: { upstream: "https://192.0.2.1" } };
    assert.deepEqual(await apply(refused), [1, "rollout_incomplete"]);
    assert.match(await answerOf("shop"), /^HTTP\/1\.1 200 [^]*second$/);
  });
});
