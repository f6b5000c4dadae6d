/** `edge node`: the machines that run agents. */
import { adminOptions, nodeAddOptions, nodeRotateOptions, UsageError } from "../../config/mod.ts";
import type { Command } from "../command.ts";
import { adminCommand, listAll, recordPath } from "./command.ts";
import { tableLines } from "./table.ts";

interface Node {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly tunnels: readonly string[];
}

interface Issued {
  readonly id: string;
  readonly name: string;
  readonly token: string;
}

const add = adminCommand<typeof nodeAddOptions>({
  name: "node add",
  summary: "Enrol a node, and print its token",
  options: nodeAddOptions,
  positionals: { NAME: "the node, such as web-1" },
  examples: ["edge node add web-1", "edge node add web-1 --label site=fra --json"],
  check({ values: { label } }) {
    const keys = label.map(([key]) => key);
    const repeated = keys.find((key, index) => keys.indexOf(key) < index);
    if (repeated !== undefined) throw new UsageError(`--label gives ${JSON.stringify(repeated)} two values`);
  },
  async ask(client, { positionals, values, output }) {
    const labels = Object.fromEntries(values.label);
    const issued = await client.ask("POST", "/api/v1/nodes", { name: positionals.NAME, labels }) as Issued;
    output.result({ ...issued }, ...tokenLines(issued));
  },
});

const list = adminCommand<typeof adminOptions>({
  name: "node list",
  summary: "List the nodes",
  options: adminOptions,
  positionals: {},
  examples: ["edge node list"],
  async ask(client, { output }) {
    const nodes = await listAll<Node>(client, "nodes", "name");
    const rows = nodes.map((node) => [node.name, labelText(node), node.tunnels.join(", ") || "none"]);
    output.result({ nodes }, ...tableLines(["NODE", "LABELS", "TUNNELS"], rows));
  },
});

const show = adminCommand<typeof adminOptions>({
  name: "node show",
  summary: "Show one node",
  options: adminOptions,
  positionals: { NAME: "the node" },
  examples: ["edge node show web-1"],
  async ask(client, { positionals, output }) {
    const node = await client.ask("GET", recordPath("nodes", positionals.NAME!)) as Node;
    output.result(
      { ...node },
      `Node        ${node.name}`,
      `Labels      ${labelText(node)}`,
      `Enrolled    ${node.createdAt}`,
      `Tunnels     ${node.tunnels.join(", ") || "none"}`,
    );
  },
});

const rotate = adminCommand<typeof nodeRotateOptions>({
  name: "node rotate",
  summary: "Give a node a new token",
  options: nodeRotateOptions,
  positionals: { NAME: "the node" },
  examples: ["edge node rotate web-1 --grace 10m"],
  async ask(client, { positionals, values, output }) {
    const path = `${recordPath("nodes", positionals.NAME!)}/rotate`;
    const issued = await client.ask("POST", path, { graceMs: values.grace }) as Issued;
    output.result({ ...issued }, ...tokenLines(issued));
  },
});

const remove = adminCommand<typeof adminOptions>({
  name: "node remove",
  summary: "Remove a node, and end its tokens and sessions",
  options: adminOptions,
  positionals: { NAME: "the node" },
  examples: ["edge node remove web-1"],
  async ask(client, { positionals, output }) {
    const answer = await client.ask("DELETE", recordPath("nodes", positionals.NAME!)) as {
      readonly tunnelsWithoutNode: readonly string[];
    };
    const { tunnelsWithoutNode } = answer;
    const left = tunnelsWithoutNode.length === 0 ? [] : [`Without a node now: ${tunnelsWithoutNode.join(", ")}`];
    output.result({ name: positionals.NAME, tunnelsWithoutNode }, `Removed the node ${positionals.NAME}`, ...left);
  },
});

function labelText({ labels }: Node): string {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(", ") || "none";
}

/** What a person does with a new token. */
function tokenLines({ name, token }: Issued): string[] {
  return [`Token       ${token}`, `            It is shown this once: ${name} connects with it, by --token-file FILE`];
}

// deno-lint-ignore no-explicit-any -- each command has its own options
export const nodeCommands: readonly Command<any>[] = [add, list, show, rotate, remove];
