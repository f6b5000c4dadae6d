import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DataFolder, DataFolderError } from "../../src/config/data_folder.ts";
import { withScratch } from "../support/scratch.ts";

const permissions = async (path: string) => (await stat(path)).mode & 0o777;

describe("DataFolder", () => {
  it("makes folder and token, for the owner alone, when there is neither", () =>
    withScratch(async (scratch) => {
      const folder = new DataFolder(join(scratch, "deep", "data"));
      const token = await folder.ownToken();
      assert.match(token, /^[A-Za-z0-9_-]{43}$/);
      assert.equal(await readFile(folder.tokenPath, "utf8"), `${token}\n`);
      assert.equal(await permissions(folder.path), 0o700);
      assert.equal(await permissions(folder.tokenPath), 0o600);
      assert.deepEqual(await readdir(folder.path), ["token"]);
    }));

  it("gives the same token when it is asked again, or by others at the same time", () =>
    withScratch(async (scratch) => {
      const tokens = await Promise.all(Array.from({ length: 8 }, () => new DataFolder(scratch).ownToken()));
      tokens.push(await new DataFolder(scratch).ownToken());
      assert.equal(new Set(tokens).size, 1);
      assert.deepEqual(await readdir(scratch), ["token"]);
    }));

  it("names the folder when it cannot be made", () =>
    withScratch(async (scratch) => {
      const file = join(scratch, "file");
      await writeFile(file, "");
      const folder = new DataFolder(join(file, "data"));
      await assert.rejects(folder.ownToken(), (error) => {
        return error instanceof DataFolderError && error.reason.includes(folder.path);
      });
    }));

  it("names the file, and not what is in it, when that is no token", () =>
    withScratch(async (scratch) => {
      const folder = new DataFolder(join(scratch, "data"));
      await mkdir(folder.path);
      await writeFile(folder.tokenPath, "two words\n");
      await assert.rejects(folder.ownToken(), {
        reason: `The token in ${folder.tokenPath} has other characters than visible ASCII`,
      });
    }));
});
