import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { commitOfCheckout } from "../../src/cli/commit.ts";
import { withScratch } from "../support/scratch.ts";

const id = "0123456789abcdef0123456789abcdef01234567";

/** The commit of a folder with these files. */
function commitOf(files: Record<string, string>): Promise<string | null> {
  return withScratch(async (folder) => {
    for (const [name, text] of Object.entries({ "package.json": '{ "name": "runnel" }', ...files })) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    return commitOfCheckout(pathToFileURL(`${folder}/`));
  });
}

describe("commitOfCheckout", () => {
  const cases: readonly [string, Record<string, string>, string | null][] = [
    ["HEAD is a branch", { ".git/HEAD": "ref: refs/heads/a/b\n", ".git/refs/heads/a/b": `${id}\n` }, id],
    ["HEAD is a commit", { ".git/HEAD": `${id}\n` }, id],
    [
      "the branch is packed",
      {
        ".git/HEAD": "ref: refs/heads/main\n",
        ".git/packed-refs": `# pack-refs\n${"f".repeat(40)} refs/heads/x/main\n${id} refs/heads/main\n`,
      },
      id,
    ],
    ["there is no commit yet", { ".git/HEAD": "ref: refs/heads/main\n" }, null],
    ["HEAD is something else", { ".git/HEAD": "nonsense\n" }, null],
    ["it is no checkout", {}, null],
    ["it is another project's checkout", { ".git/HEAD": `${id}\n`, "package.json": '{ "name": "other" }' }, null],
  ];
  for (const [name, files, expected] of cases) {
    it(`gives ${expected} when ${name}`, async () => assert.equal(await commitOf(files), expected));
  }
});
