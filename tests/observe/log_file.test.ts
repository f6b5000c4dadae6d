import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { LogFile } from "../../src/observe/log_file.ts";
import { withScratch } from "../support/scratch.ts";

describe("LogFile", () => {
  it("appends, and begins a new file when it was renamed and is opened anew", () =>
    withScratch(async (folder) => {
      const path = join(folder, "access.log");
      await writeFile(path, "before\n");
      const file = await LogFile.open(path);
      assert.equal(await file.write("one\n"), 4);
      await rename(path, `${path}.1`);
      await file.write("two\n");
      file.reopen();
      await file.write("");
      assert.equal(await readFile(path, "utf8"), "");
      await file.write("three\n");
      await file.close();
      await file.close();
      assert.equal(await readFile(`${path}.1`, "utf8"), "before\none\ntwo\n");
      assert.equal(await readFile(path, "utf8"), "three\n");
    }));

  it("makes a file that others cannot read", () =>
    withScratch(async (folder) => {
      const path = join(folder, "access.log");
      await (await LogFile.open(path)).close();
      assert.equal((await stat(path)).mode & 0o007, 0);
    }));

  it("rejects when the folder is missing, and when it is gone later", () =>
    withScratch(async (folder) => {
      await assert.rejects(LogFile.open(join(folder, "no", "access.log")), /ENOENT/);
      const file = await LogFile.open(join(folder, "access.log"));
      await rename(folder, `${folder}.moved`);
      file.reopen();
      await assert.rejects(file.write("x\n"), /ENOENT/);
      await rename(`${folder}.moved`, folder);
      assert.equal(await file.write("x\n"), 2);
      await file.close();
    }));

  it("rejects when the disk is full", { skip: existsSync("/dev/full") ? false : "there is no /dev/full" }, async () => {
    const file = await LogFile.open("/dev/full");
    await assert.rejects(file.write("x\n"), /ENOSPC|No space left/);
    await file.close();
  });
});
