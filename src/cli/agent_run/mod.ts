/** The command `agent run`. */
export { runCommand } from "./run.ts";
