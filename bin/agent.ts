import { agentProgram, main } from "../src/cli/mod.ts";

await main(agentProgram);
