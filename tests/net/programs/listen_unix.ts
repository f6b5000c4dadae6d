/** Listens on the unix socket given, says so, and lives until it is killed. */
import { listen, programArguments } from "../../../src/net/mod.ts";

await listen({ kind: "unix", path: programArguments()[0] }, () => {});
console.log("listening");
