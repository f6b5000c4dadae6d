/** The face of `src/cli`. */
export { agentProgram } from "./agent.ts";
export { edgeProgram } from "./edge.ts";
export { main } from "./main.ts";
