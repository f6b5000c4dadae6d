/** The names of errors, which programs and logs tell them apart by. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { bunProgram, outputOf } from "../../scripts/lib/bundle.mjs";
import * as library from "../../mod.ts";
import { libraryHosts, LibraryProgram } from "../support/library.ts";
import { withScratch } from "../support/scratch.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Prints the name of each error that the library exports as an instance has it and, for consoles, as the class has. */
const program = `
import * as library from ${JSON.stringify(join(root, "mod.ts"))};
for (const [name, value] of Object.entries(library)) {
  if (!(value.prototype instanceof library.RunnelError)) continue;
  const error = new value({ code: "a", reason: "b" }, "c");
  console.log(name, error.name, error.constructor.name);
}
`;

const exported = Object.entries(library)
  .filter(([, value]) => (value as { prototype?: unknown }).prototype instanceof library.RunnelError)
  .map(([name]) => name);

describe("the names of errors", () => {
  for (const host of libraryHosts()) {
    it(`are those of the exports on ${host.name} when a bundler has shortened the names of classes`, {
      skip: host.skip,
    }, () =>
      withScratch(async (folder) => {
        await writeFile(join(folder, "names.js"), program);
        const args = ["build", "--target=node", "--minify", "--outfile", join(folder, "minified.mjs")];
        outputOf(bunProgram(), [...args, join(folder, "names.js")], "bun could not bundle");
        const run = new LibraryProgram(host, folder, "minified.mjs");
        assert.equal(await run.exitCode, 0, run.stderr);
        assert.ok(exported.length > 0);
        assert.deepEqual(
          run.stdout.trim().split("\n").sort(),
          exported.map((name) => `${name} ${name} ${name}`).sort(),
        );
      }));
  }
});
