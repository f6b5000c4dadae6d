/** Deployments to agents that follow the edge's config, all of them processes: what `--wait` promises. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { Program } from "../../scripts/lib/program.mjs";
import { AdminApi } from "../support/admin_api.ts";
import {
  agentRuntime,
  connectTo,
  type EdgeProcess,
  edgeRuntime,
  exited,
  killAll,
  spawnEdge,
} from "../support/processes.ts";
import { get } from "../support/public_client.ts";

const isSoak = process.env.RUNNEL_SOAK === "1";
const AGENTS = isSoak ? 10 : 3;
const APPLIES = isSoak ? 50 : 6;

let folder: string;
/** Each answers its own number. */
const upstreams: Server[] = [];

before(async () => {
  for (const text of ["0", "1"]) {
    const server = createServer((_, response) => void response.end(text));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    upstreams.push(server);
  }
});
after(() => {
  for (const server of upstreams) server.close();
});
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "runnel-"))));
afterEach(async () => {
  await killAll();
  await rm(folder, { recursive: true, force: true });
});

const names = Array.from({ length: AGENTS }, (_, index) => `web-${index}`);
const targetOf = (index: number) => `http://127.0.0.1:${(upstreams[index]!.address() as AddressInfo).port}`;
const publicSide = ({ port }: EdgeProcess, name: string) => ({
  host: `${name}.localhost`,
  connect: () => connectTo(port),
});

function startAgent(edge: EdgeProcess, name: string, token: string): Program {
  const flags = ["--edge", `http://127.0.0.1:${edge.port}`, "--token", token, "--data", join(folder, name)];
  return new Program("agent", agentRuntime, "bin/agent.ts", ["run", "--json", "--log-level", "error", ...flags]);
}

/** A tunnel of each agent that leads to `target`, and one that never changes. */
function fileOf(target: string): string {
  const tunnels = names.map((name) => [`of-${name}`, { node: name, upstream: target }]);
  const calm = { calm: { node: names[0], upstream: targetOf(0) } };
  return JSON.stringify({ version: 1, project: "shop", tunnels: { ...Object.fromEntries(tunnels), ...calm } });
}

/** Runs `edge apply --wait` on standard input's file; resolves to the exit code. */
async function apply(edge: EdgeProcess, path: string): Promise<number | null> {
  const flags = ["--wait", "--timeout", "60s", "--json", "--log-level", "error"];
  const places = ["--admin", `http://${edge.ready.admin}`, "--data", join(folder, "edge")];
  const program = new Program("apply", edgeRuntime, "bin/edge.ts", ["apply", path, ...flags, ...places]);
  return await exited(program);
}

describe("edge apply --wait", () => {
  it("ends when each agent serves what was declared, and no request of another tunnel fails meanwhile", async () => {
    const edge = await spawnEdge(0, "--admin-listen", "127.0.0.1:0", "--data", join(folder, "edge"));
    const admin = await AdminApi.of(String(edge.ready.admin), join(folder, "edge"));
    const file = join(folder, "shop.json");
    for (const name of names) startAgent(edge, name, await admin.addNode(name));
    await writeFile(file, fileOf(targetOf(0)));
    assert.equal(await apply(edge, file), 0);
    let isOver = false;
    const calm = (async () => {
      let count = 0;
      for (; !isOver; count++) assert.match(await get(publicSide(edge, "calm")), /^HTTP\/1\.1 200 [^]*0$/);
      return count;
    })();
    for (let round = 1; round <= APPLIES; round++) {
      await writeFile(file, fileOf(targetOf(round % 2)));
      assert.equal(await apply(edge, file), 0);
      for (const name of names) {
        assert.match(await get(publicSide(edge, `of-${name}`)), new RegExp(`${round % 2}$`), `${name}, round ${round}`);
      }
    }
    isOver = true;
    assert.ok(await calm > 0);
  });
});
