/** The commands of `edge` that ask an edge's admin API. */
import type { Command } from "../command.ts";
import { backupCommands } from "./backup_commands.ts";
import { deployCommands } from "./deploy_commands.ts";
import { eventsCommand } from "./events_command.ts";
import { nodeCommands } from "./node_commands.ts";
import { pushCommand } from "./push_command.ts";
import { statusCommand } from "./status_command.ts";
import { tokenCommands } from "./token_commands.ts";
import { tunnelCommands } from "./tunnel_commands.ts";

export { AdminClient } from "./client.ts";

// deno-lint-ignore no-explicit-any -- each command has its own options
export const adminCommands: readonly Command<any>[] = [
  ...nodeCommands,
  ...tunnelCommands,
  ...tokenCommands,
  ...deployCommands,
  ...backupCommands,
  pushCommand,
  statusCommand,
  eventsCommand,
];
