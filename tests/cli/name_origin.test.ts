/** An edge knows whether the name of a tunnel was chosen, or drawn at random. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { version } from "../../src/config/version.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { answering } from "../support/control_stage.ts";
import { eventually } from "../support/net.ts";
import { protocols, startTestEdge, token } from "../support/tunnel.ts";
import { ProgramRun } from "./program_run.ts";

/** Runs `use` with an edge; `told` has the tunnels of sessions, with `random` behind those whose names were drawn. */
async function withEdge(use: (port: number, told: string[]) => Promise<void>): Promise<void> {
  const told: string[] = [];
  const edge = await startTestEdge({
    version,
    events: { onSession: (_id, tunnel, _protocol, peer) => told.push(`${tunnel} ${peer.hasRandomName}`) },
  });
  try {
    await use(edge.address.port, told);
  } finally {
    await edge.close();
  }
}

describe("The origin of a tunnel's name", () => {
  for (const protocol of protocols) {
    it(`is told to the edge by agent http when that draws it, and else not, on ${protocol}`, () =>
      withEdge(async (port, told) => {
        for (const chosen of [["--name", "shop"], []]) {
          const args = ["http", "3000", "--edge", `http://127.0.0.1:${port}`, "--token", token, "--json"];
          const agent = new ProgramRun(agentProgram, [...args, "--protocol", protocol, ...chosen]);
          const { name } = await agent.event("ready");
          await eventually(() => told.includes(`${name} ${chosen.length === 0}`));
          await agent.stop();
        }
        assert.equal(told.length, 2);
      }));
  }

  it("is known to the edge when it draws the name itself", () =>
    withEdge(async (port, told) => {
      const options = {
        edge: parseEdgeUrl(`http://127.0.0.1:${port}`),
        token,
        upstream: answering("x"),
        version: "0.0.0",
      };
      const tunnel = await openV2Tunnel(options, new AbortController().signal);
      assert.deepEqual(told, [`${tunnel.name} true`]);
      tunnel.session.close("The test is over");
    }));
});
