/** The two programs, and the call that runs one as this process. */
export { agentProgram } from "./agent.ts";
export { edgeProgram } from "./edge.ts";
export { main } from "./main.ts";
