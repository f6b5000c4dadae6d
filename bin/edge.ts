import { edgeProgram } from "../src/cli/edge.ts";
import { main } from "../src/cli/main.ts";

await main(edgeProgram);
