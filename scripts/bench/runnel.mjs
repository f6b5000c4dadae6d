// @ts-check
/** Runnel as it is deployed: an edge and an agent, each a process of its own, started from bin/. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { programOf, root, runArguments } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";
import { freePort, untilAnswering } from "./ports.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */

/**
 * Starts a program of Runnel.
 * @param {string} name @param {Runtime} runtime @param {string} file an absolute path @param {string[]} args
 * @param {NodeJS.ProcessEnv} environment as of `Child`
 */
export function start(name, runtime, file, args, environment = {}) {
  const program = programOf(runtime);
  if (program === null) throw new Error(`there is no ${runtime} on this machine`);
  return new Child(`${name} (${runtime})`, program, runArguments(runtime, file, args), {}, environment);
}

/**
 * Starts both in front of `originPort`; resolves once requests for `host` are answered.
 * @param {{ edge: Runtime, agent: Runtime, protocol: string, originPort: number, name?: string, checkout?: string,
 *   environment?: NodeJS.ProcessEnv, edgeArguments?: readonly string[], agentArguments?: (port: number) => string[] | Promise<string[]> }} options
 *   `checkout` is the folder whose programs are started, by default this one; `environment` is the edge's;
 *   `edgeArguments` are further ones; `agentArguments` say where the edge is that listens on `port`, by default there
 */
export async function startRunnel(options) {
  const { edge: edgeRuntime, agent: agentRuntime, protocol, originPort, name = "bench", checkout = root, environment } =
    options;
  const { edgeArguments = [], agentArguments = (port) => ["--edge", `http://127.0.0.1:${port}`] } = options;
  const token = randomBytes(16).toString("hex");
  const port = await freePort();
  const edge = start("edge", edgeRuntime, join(checkout, "bin/edge.ts"), [
    ...["serve", "--listen", `127.0.0.1:${port}`, "--token", token, ...edgeArguments],
  ], environment);
  // Its line for each request goes to /dev/null, and is made all the same; nginx runs with its access log off.
  const agent = start("agent", agentRuntime, join(checkout, "bin/agent.ts"), [
    ...["http", String(originPort), ...await agentArguments(port), "--token", token],
    ...["--name", name, "--protocol", protocol],
  ]);
  const host = `${name}.localhost`;
  await Promise.race([untilAnswering(port, host), edge.lost, agent.lost]);
  return {
    edge,
    agent,
    port,
    host,
    async stop() {
      await agent.stop();
      await edge.stop();
    },
  };
}
