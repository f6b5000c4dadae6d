/** The program `agent`. */
import { httpCommand } from "./agent_http.ts";
import { loginCommand } from "./agent_login.ts";
import { runCommand } from "./agent_run/mod.ts";
import type { Program } from "./command.ts";
import { completionCommand } from "./completion.ts";
import { versionLine } from "./version.ts";

export const agentProgram: Program = {
  name: "agent",
  summary: "The private side of Runnel, a self-hosted, streaming-first tunnel",
  version: () => versionLine("agent"),
  commands: [httpCommand, runCommand, loginCommand, completionCommand("agent")],
};
