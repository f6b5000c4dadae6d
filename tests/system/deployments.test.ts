/** Deployments to an edge that is killed in the middle of them. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { AdminApi } from "../support/admin_api.ts";
import { exited, killAll, signal, spawnEdge } from "../support/processes.ts";

let folder: string;

beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "runnel-"))));
afterEach(async () => {
  await killAll();
  await rm(folder, { recursive: true, force: true });
});

async function startEdge() {
  const edge = await spawnEdge(0, "--admin-listen", "127.0.0.1:0", "--data", folder);
  return { edge, admin: await AdminApi.of(String(edge.ready.admin), folder) };
}

const TUNNELS = 5;

/** Applies one version of a project after the other, each with another upstream for all of its tunnels. */
class Deployer {
  readonly #project: string;
  /** The last version that was acknowledged. */
  acknowledged = 0;
  /** The last one that was sent. */
  #sent = 0;

  constructor(project: string) {
    this.#project = project;
  }

  /** Resolves to false where no answer came. */
  async apply(admin: AdminApi): Promise<boolean> {
    const version = ++this.#sent;
    const upstream = `http://127.0.0.1:${version}`;
    const tunnels = Object.fromEntries(
      Array.from({ length: TUNNELS }, (_, index) => {
        const hostnames = [`${version}.${index}.${this.#project}.test`];
        return [`${this.#project}-${index}`, { nodes: ["web-1"], upstream, hostnames }];
      }),
    );
    const answer = await admin.ask("POST", "apply", { project: this.#project, tunnels }).catch(() => null);
    if (answer === null) return false;
    assert.equal(answer.status, 200, JSON.stringify(answer));
    this.acknowledged = version;
    return true;
  }

  /** All tunnels have one version: the last that was acknowledged, or a later one, of which no answer came. */
  assertStored(tunnels: readonly { project: string | null; upstream: string; hostnames: string[] }[]): void {
    const own = tunnels.filter(({ project }) => project === this.#project);
    const versions = new Set(own.map(({ upstream }) => Number(upstream.split(":").at(-1))));
    const [version = 0] = versions;
    assert.ok(versions.size <= 1, `${this.#project} is half of one version: ${[...versions]}`);
    assert.equal(own.length, version === 0 ? 0 : TUNNELS);
    assert.ok(version >= this.acknowledged && version <= this.#sent, `${version}, not ${this.acknowledged}`);
    for (const { hostnames } of own) assert.equal(Number(hostnames[0]!.split(".")[0]), version);
  }
}

describe("an edge that is killed", () => {
  it("has whole deployments, and lost none that was acknowledged, at whatever moments of 200 it was", async () => {
    const APPLIES = 200;
    const KILLS = 5;
    const killAt = Array.from({ length: KILLS }, () => 1 + Math.floor(Math.random() * APPLIES)).sort((a, b) => a - b);
    const deployers = ["a", "b", "c", "d"].map((project) => new Deployer(project));
    let count = 0;
    const assertStored = async (admin: AdminApi) => {
      const { tunnels } = await admin.do("GET", "tunnels");
      for (const deployer of deployers) deployer.assertStored(tunnels as never);
    };
    const { edge: first, admin } = await startEdge();
    await admin.addNode("web-1");
    signal(first.program, "SIGKILL");
    await exited(first.program);
    for (const at of [...killAt, Infinity]) {
      const { edge, admin } = await startEdge();
      await assertStored(admin);
      // Several are under way at any moment, all of which write the same node.
      await Promise.all(deployers.map(async (deployer) => {
        while (count < APPLIES) {
          const applied = deployer.apply(admin);
          if (++count === at) signal(edge.program, "SIGKILL");
          if (!await applied || count >= at) return;
        }
      }));
      if (!edge.program.exited && edge.program.exitCode === null) signal(edge.program, "SIGKILL");
      await exited(edge.program);
    }
    const { admin: last } = await startEdge();
    await assertStored(last);
    const node = await last.do("GET", "nodes/web-1");
    assert.equal((node.tunnels as unknown[]).length, deployers.length * TUNNELS);
  });
});
