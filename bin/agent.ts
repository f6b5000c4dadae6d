import { agentProgram } from "../src/cli/agent.ts";
import { main } from "../src/cli/main.ts";

await main(agentProgram);
