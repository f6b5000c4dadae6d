// @ts-check
/** The same flood at an nginx between visitor and upstream: what does a neighbor feel of it there? */
import { NginxFarm, streamed } from "../bench/nginx.mjs";
import { startTool } from "./processes.mjs";
import { flood, floodedName, neighborName, startVisitor, taskOf } from "./stage.mjs";

/** @typedef {import("./processes.mjs").Talker} Talker */
/** @typedef {import("./scenarios/mod.mjs").Scenario} Scenario */

/** Uploads pass as they come, as they do in a tunnel. */
const settings = `${streamed} proxy_request_buffering off; client_max_body_size 0;`;

/**
 * The neighbor's latency beside the flood.
 * @param {string} program @param {Scenario} scenario
 */
export async function playOnNginx(program, scenario) {
  const farm = new NginxFarm(program);
  /** @type {Talker[]} */
  const tools = [];
  const programs = {
    /** @template {Talker} T @param {T} tool @returns {T} */
    add(tool) {
      tools.push(tool);
      return tool;
    },
  };
  try {
    const [quiet, loud] = [neighborName, floodedName].map((name) =>
      programs.add(startTool(`upstream of ${name}`, "upstream.mjs", {}))
    );
    const other = { host: `${neighborName}.localhost`, port: (await quiet.told("ready")).port };
    const proxy = await farm.startProxy("proxy", (await loud.told("ready")).port, settings, other);
    const visitor = programs.add(await startVisitor(proxy.port));
    const { flooded } = await flood(programs, visitor, taskOf(scenario, false, { port: proxy.port, token: "" }), false);
    return flooded;
  } finally {
    for (const tool of tools.toReversed()) tool.child.kill();
    await farm.stop();
  }
}
