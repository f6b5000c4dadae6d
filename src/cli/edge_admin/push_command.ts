/** `edge push`: tells agents something now. */
import { pushOptions, UsageError } from "../../config/mod.ts";
import { pushTypes } from "../../push/mod.ts";
import { adminCommand } from "./command.ts";

export const pushCommand = adminCommand<typeof pushOptions>({
  name: "push",
  summary: "Tell the agents of a node, or of all nodes, something now",
  options: pushOptions,
  positionals: { NODE: "the node", TYPE: pushTypes.join(", ") },
  insteadOfFirst: "all",
  choices: { TYPE: pushTypes },
  examples: [
    "edge push web-1 config_changed",
    `edge push web-1 action --payload '{"action":"reconnect"}'`,
    `edge push --all poll_interval --payload '{"pollIntervalMs":30000}'`,
  ],
  check({ positionals: { NODE, TYPE }, values: { all } }) {
    if (NODE !== undefined && all) throw new UsageError("RUNNEL_ALL stands beside a node", "Take one of them away");
    if (pushTypes.some((type) => type === TYPE)) return;
    throw new UsageError(`The type ${JSON.stringify(TYPE)} is none of ${pushTypes.join(", ")}`);
  },
  async ask(client, { positionals: { NODE: node, TYPE: type }, values: { payload }, output }) {
    const whom = node === undefined ? { all: true } : { node };
    const pushed = await client.ask("POST", "/api/v1/push", { ...whom, type, payload }) as { readonly streams: number };
    const { streams } = pushed;
    const who = streams === 1 ? "1 agent" : `${streams} agents`;
    output.result({ ...pushed }, streams === 0 ? "No agent listens now" : `Told        ${who}`);
  },
});
