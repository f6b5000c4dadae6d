/** docs/config.md beside what `edge apply` reads: its files, and the tables of their keys. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseDocument } from "yaml";
import { type DeploymentBody, readDeployment } from "../../src/cli/edge_admin/deployment_file.ts";
import { processHost, variant } from "../../src/cli/host.ts";
import { withScratch } from "../support/scratch.ts";
import { inlineCode, readPage, root, tableRows } from "./page.ts";

const page = readPage("docs/config.md");
const files = page.fences.filter(({ lines }) => lines.includes("version: 1")).map(({ lines }) =>
  `${lines.join("\n")}\n`
);

function read(text: string): Promise<DeploymentBody> {
  return withScratch(async (folder) => {
    const path = join(folder, "file.yaml");
    await writeFile(path, text);
    return await readDeployment(path, variant(processHost(), { environment: () => "3000" }));
  });
}

/** The keys in a file, but for names. */
function keysOf(text: string): Set<string> {
  const { nodes, tunnels, ...rest } = parseDocument(text).toJS();
  const named = [nodes, tunnels].flatMap((items) => Object.values(items) as object[]);
  return new Set(["nodes", "tunnels", ...Object.keys(rest), ...named.flatMap((item) => Object.keys(item))]);
}

describe("docs/config.md", () => {
  it("shows files that edge apply reads", async () => {
    assert.equal(files.length, 3);
    for (const file of files) assert.ok(Object.keys((await read(file)).tunnels).length > 0, file);
  });

  it("begins with the example that the pages apply", async () => {
    assert.equal(files[0], await readFile(join(root, "scripts", "examples", "shop.yaml"), "utf8"));
  });

  it("explains every key of its file that has all, and no other", () => {
    const rows = [...tableRows(page, "key"), ...tableRows(page, "key of a tunnel")].map(([key = ""]) =>
      inlineCode({ prose: [key] })[0]!
    );
    assert.deepEqual([...new Set(rows)].sort(), [...keysOf(files[1]!)].sort());
  });

  it("has all keys that edge apply knows in that file", async () => {
    const [first] = Object.values((await read(files[1]!)).tunnels);
    for (const key of keysOf(files[1]!)) {
      const wrong = files[1]!.replace(new RegExp(`(^| |\\{ )${key}:`, "m"), `$1${key}x:`);
      await assert.rejects(read(wrong), /unknown key|is missing/, key);
    }
    assert.ok(first !== undefined);
  });
});
