// The first module of the package that is evaluated. An older Node lacks functions that Runnel calls, and would fail at
// the first of them, which tells nobody what to do.
import process from "node:process";

const { bun, deno, node } = process.versions;
if (bun === undefined && deno === undefined && Number.parseInt(node) < 22) {
  throw new Error(`runnel needs Node 22 or later, this is ${node}`);
}
