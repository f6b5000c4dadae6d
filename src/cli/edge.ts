/** The program `edge`. */
import type { Program } from "./command.ts";
import { completionCommand } from "./completion.ts";
import { adminCommands } from "./edge_admin/mod.ts";
import { serveCommand } from "./edge_serve/mod.ts";
import { versionLine } from "./version.ts";

export const edgeProgram: Program = {
  name: "edge",
  summary: "The public side of Runnel, a self-hosted, streaming-first tunnel",
  version: () => versionLine("edge"),
  commands: [serveCommand, ...adminCommands, completionCommand("edge")],
};
