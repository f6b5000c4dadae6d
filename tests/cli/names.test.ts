/** Names, and what a token may have, as options of `edge serve`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { protocols, token } from "../support/tunnel.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

async function withEdge(args: readonly string[], act: (edge: Edge, port: number) => Promise<void>): Promise<void> {
  const run = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", "--token", token, ...args]);
  await run.waitFor(() => run.stdout.includes("Connect "));
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(run.stdout)?.[1]);
  await act({ address: { port } } as unknown as Edge, port);
  await run.stop();
}

async function answerTo(edge: Edge, name: string): Promise<unknown> {
  const agent = await JsonAgent.dial(edge);
  const answer = await agent.ask({ type: "register", tunnel_id: name, agent_token: token });
  agent.close();
  return answer.type === "registered" ? "registered" : answer.code;
}

describe("edge serve --reserved-name", () => {
  it("reserves the usual names without it", () =>
    withEdge([], async (edge) => {
      for (const name of ["www", "wpad", "mail", "localhost"]) assert.equal(await answerTo(edge, name), "bad_name");
      assert.equal(await answerTo(edge, "intranet"), "registered");
    }));

  it("reserves further names, and frees usual ones", () =>
    withEdge(["--reserved-name", "intranet", "--reserved-name=-mail"], async (edge) => {
      const names = ["intranet", "wpad", "mail"];
      assert.deepEqual(await Promise.all(names.map((name) => answerTo(edge, name))), [
        "bad_name",
        "bad_name",
        "registered",
      ]);
    }));

  for (
    const [args, message] of [
      [["--reserved-name", "_x"], /--reserved-name "_x" must be one lower-case DNS label/],
      [["--reserved-name=-shop"], /--reserved-name "-shop" frees a name that is not reserved/],
      [["--names-per-token", "0"], /--names-per-token "0" is not between 1 and 100000/],
      [["--sessions-per-token", "many"], /--sessions-per-token "many" is no whole number/],
      [
        ["--default-tunnel", "mail"],
        /--default-tunnel mail names a tunnel that cannot be opened.*\n.*--reserved-name=-mail/,
      ],
    ] as const
  ) {
    it(`ends with 2 when it is called with ${args.join(" ")}`, async () => {
      const { exitCode, stderr } = await runToEnd(edgeProgram, ["serve", "--token", token, ...args]);
      assert.equal(exitCode, 2);
      assert.match(stderr, message);
    });
  }
});

for (const protocol of protocols) {
  describe(`agent http on ${protocol}`, () => {
    const agent = (port: number, ...args: string[]) =>
      runToEnd(agentProgram, [
        ...["http", "1", "--edge", `http://127.0.0.1:${port}`, "--token", token, "--protocol", protocol],
        ...args,
      ], { environment: { RUNNEL_LOG_LEVEL: "warn" } });

    it("ends with 2 and the option that frees the name when that is reserved", () =>
      withEdge([], async (_edge, port) => {
        const { exitCode, stderr } = await agent(port, "--name", "wpad");
        assert.equal(exitCode, 2);
        assert.match(
          stderr,
          /The name wpad is reserved: edge serve --reserved-name=-wpad frees it\nChoose another --name/,
        );
      }));

    for (const flag of ["--names-per-token", "--sessions-per-token"]) {
      it(`ends with 1 and names ${flag} when its token has as many already, which the edge logs`, async () => {
        await withEdge([flag, "1"], async (edge, port) => {
          const first = await JsonAgent.register(edge, "first");
          const { exitCode, stderr } = await agent(port, "--name", "second");
          assert.equal(exitCode, 1);
          // The two programs of this process have one log.
          assert.match(stderr, new RegExp(`\\[warning\\] runnel\\.edge: Refused an agent: "The token has 1 .*${flag}`));
          assert.match(stderr, new RegExp(`\nerror: The token has 1 .*${flag}.*\n.*raise ${flag} at the edge`));
          first.close();
        });
      });
    }
  });
}
