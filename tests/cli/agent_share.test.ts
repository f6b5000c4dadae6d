/** `--share` and `share: true`, and the id by which an edge knows the next process of an agent. */
import assert from "node:assert/strict";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { version } from "../../src/config/mod.ts";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { startTestEdge, token } from "../support/tunnel.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

const flags = ["--token", token, "--json"];

async function withEdge(use: (edge: Edge, url: string) => Promise<void>, options: Partial<EdgeOptions> = {}) {
  const edge = await startTestEdge({ version, ...options });
  try {
    await use(edge, `http://127.0.0.1:${edge.address.port}`);
  } finally {
    await edge.close();
  }
}

const instancesOf = (edge: Edge, name: string) => {
  return (edge.tunnels.get(name)?.holders ?? []).map(({ claimant }) => claimant.instance);
};

describe("agent http --share", () => {
  it("is refused without a name, and on the JSON protocol", async () => {
    for (
      const [words, message] of [[[], /--share needs --name/], [
        ["--protocol", "json"],
        /--share needs --protocol v2/,
      ]] as const
    ) {
      const { exitCode, stdout } = await runToEnd(agentProgram, ["http", "3000", "--share", ...flags, ...words]);
      assert.equal(exitCode, 2);
      assert.match(stdout, message);
    }
  });

  it("serves the tunnel beside another agent with it, and ends with 5 beside one without", () =>
    withEdge(async (edge, url) => {
      const http = ["http", "3000", "--edge", url, "--name", "shop", ...flags];
      const agents: ProgramRun[] = [];
      for (const _ of [1, 2]) {
        const agent = new ProgramRun(agentProgram, [...http, "--share"]);
        agents.push(agent);
        await agent.event("ready");
      }
      assert.equal(edge.tunnels.get("shop")!.holders.length, 2);
      const alone = await runToEnd(agentProgram, http);
      assert.equal(alone.exitCode, 5);
      assert.match(alone.stdout, /2 agents share the tunnel: start this one with --share, too/);
      for (const agent of agents) assert.equal(await agent.stop(), 0);
    }));
});

describe("agent run --config with share", () => {
  it("serves a tunnel together with other agents, until the file says otherwise", () =>
    withScratch((folder) =>
      withEdge(async (edge, url) => {
        const file = (share: boolean) => `edge: ${url}\ntunnels:\n  shop: { upstream: 3000, share: ${share} }\n`;
        const paths = ["a", "b"].map((name) => join(folder, `${name}.yaml`));
        for (const path of paths) await writeFile(path, file(true));
        const agents: ProgramRun[] = [];
        for (const path of paths) {
          const agent = new ProgramRun(agentProgram, ["run", "--config", path, ...flags]);
          agents.push(agent);
          await agent.event("ready");
        }
        await eventually(() => edge.tunnels.get("shop")!.holders.length === 2);
        await writeFile(paths[0]!, file(false));
        const refused = await agents[0]!.waitFor(() =>
          agents[0]!.events.find(({ error }) => typeof error === "string")
        );
        assert.match(String(refused.error), /it shares the tunnel|agents share the tunnel/);
        assert.equal(await agents[1]!.stop(), 0);
        // What was refused is tried again, and nobody else is there now.
        await eventually(() => edge.tunnels.get("shop")!.holders.every(({ isShared }) => !isShared));
        assert.equal(await agents[0]!.stop(), 0);
      })
    ));
});

describe("The instance of an agent", () => {
  it("is kept in the folder of the settings, for nobody else to read, and told in each handshake", () =>
    withScratch((home) =>
      withEdge(async (edge, url) => {
        const path = join(home, ".config", "runnel", "agent-instance");
        const told: unknown[] = [];
        for (const protocol of ["v2", "json"]) {
          const words = ["http", "3000", "--edge", url, "--name", "shop", "--protocol", protocol, ...flags];
          const agent = new ProgramRun(agentProgram, words, { home });
          await agent.event("ready");
          told.push(...instancesOf(edge, "shop"));
          assert.equal(await agent.stop(), 0);
          await eventually(() => edge.tunnels.online === 0);
        }
        const kept = (await readFile(path, "utf8")).trim();
        assert.match(kept, /^[0-9a-f]{12}$/);
        assert.deepEqual(told, [kept, kept]);
        assert.equal((await stat(path)).mode & 0o777, 0o600);
      })
    ));

  it("lasts as long as the process where the folder cannot be written", () =>
    withScratch((folder) =>
      withEdge(async (edge, url) => {
        const home = join(folder, "home");
        await writeFile(home, "no folder");
        await chmod(home, 0o400);
        const agent = new ProgramRun(agentProgram, ["http", "3000", "--edge", url, "--name", "shop", ...flags], {
          home,
        });
        await agent.event("ready");
        assert.match(String(instancesOf(edge, "shop")[0]), /^[0-9a-f]{12}$/);
        assert.equal(await agent.stop(), 0);
      })
    ));
});
