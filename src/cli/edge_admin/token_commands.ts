/** `edge token`: tokens of nodes, and those that open tunnels by name. */
import { adminOptions, tokenAddOptions, UsageError } from "../../config/mod.ts";
import type { Command } from "../command.ts";
import { adminCommand, listAll, recordPath } from "./command.ts";
import { tableLines } from "./table.ts";

interface Token {
  readonly id: string;
  readonly node: string | null;
  readonly names: string | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

const add = adminCommand<typeof tokenAddOptions>({
  name: "token add",
  summary: "Make a token that opens tunnels by name, and print it",
  options: tokenAddOptions,
  positionals: {},
  examples: ["edge token add --name 'pr-*' --for 90d"],
  check({ values }) {
    if (values.name !== undefined) return;
    throw new UsageError("The option --name is missing", "Say which names the token opens, such as --name 'pr-*'");
  },
  async ask(client, { values, output }) {
    const body = { names: values.name, expiresInMs: values.for ?? null };
    const issued = await client.ask("POST", "/api/v1/tokens", body) as Token & { readonly token: string };
    output.result({ ...issued }, `Token       ${issued.token}`, "            It is shown this once.");
  },
});

const list = adminCommand<typeof adminOptions>({
  name: "token list",
  summary: "List the tokens, without their secrets",
  options: adminOptions,
  positionals: {},
  examples: ["edge token list"],
  async ask(client, { output }) {
    const tokens = await listAll<Token>(client, "tokens", "id");
    const rows = tokens.map((token) => [
      token.id,
      token.node === null ? `names ${token.names}` : `node ${token.node}`,
      token.expiresAt ?? "never",
    ]);
    output.result({ tokens }, ...tableLines(["ID", "OPENS", "EXPIRES"], rows));
  },
});

const remove = adminCommand<typeof adminOptions>({
  name: "token remove",
  summary: "End a token, and the sessions that it opened",
  options: adminOptions,
  positionals: { ID: "the token's id, as token list shows it" },
  examples: ["edge token remove k3m9x2p7q4w8r5t6"],
  async ask(client, { positionals, output }) {
    await client.ask("DELETE", recordPath("tokens", positionals.ID!));
    output.result({ id: positionals.ID }, `Ended the token ${positionals.ID}`);
  },
});

// deno-lint-ignore no-explicit-any -- each command has its own options
export const tokenCommands: readonly Command<any>[] = [add, list, remove];
