import { edgeProgram, main } from "../src/cli/mod.ts";

await main(edgeProgram);
