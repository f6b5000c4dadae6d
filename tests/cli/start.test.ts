/** What a program loads before it knows what it is asked for: `--version` and `--help` must not wait for it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Packages of the admin API, which take as long to load as all the rest. */
const lateImports = ["@hono/zod-openapi", "prom-client"];

/** What `file` imports whenever it is loaded: neither types alone nor `import()`. */
function staticImports(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8").replace(/^\s*(?:\/\*|\*|\/\/).*$/gm, "");
  const statements = /^(?:import|export)\s(?!type\s)(?:[^;"']*?\sfrom\s*)?["']([^"']+)["']/gm;
  return [...text.matchAll(statements)].map(([, specifier]) => specifier as string);
}

/** Every file and package that `file` loads. */
function loadedBy(file: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  for (const specifier of staticImports(file)) {
    if (!specifier.startsWith(".")) loaded.add(specifier);
    else if (specifier.endsWith(".ts")) loadedBy(relative(root, join(root, dirname(file), specifier)), loaded);
  }
  return loaded;
}

for (const program of ["edge", "agent"]) {
  describe(`bin/${program}.ts`, () => {
    it("loads the packages of the admin API only where that is served", () => {
      const loaded = loadedBy(`bin/${program}.ts`);
      assert.ok(loaded.has("src/cli/edge_serve/serve.ts") && loaded.has("hono"), "the imports were not found");
      assert.deepEqual(lateImports.filter((name) => loaded.has(name)), []);
    });
  });
}
