import assert from "node:assert/strict";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FileWatch } from "../../src/cli/file_watch.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";

describe("FileWatch", () => {
  it("tells once of a file that is another one, and has stayed so for a second", () =>
    withScratch(async (folder) => {
      const clock = new FakeClock();
      const path = join(folder, "file");
      await writeFile(path, "one");
      const watch = new FileWatch(path, clock);
      let changes = 0;
      watch.onChange = () => changes++;
      await watch.start();
      const look = async () => {
        clock.advance(1_000);
        await eventually(() => clock.pending === 1);
      };
      await look();
      await look();
      assert.equal(changes, 0);
      await writeFile(path, "half of");
      await look();
      assert.equal(changes, 0);
      await writeFile(path, "all of it");
      await look();
      assert.equal(changes, 0);
      await look();
      assert.equal(changes, 1);
      await look();
      // It is away for a moment while it is replaced.
      await rm(path);
      await look();
      await look();
      assert.equal(changes, 1);
      await writeFile(`${path}.new`, "another one");
      await rename(`${path}.new`, path);
      await look();
      await look();
      assert.equal(changes, 2);
      watch.stop();
      assert.equal(clock.pending, 0);
    }));
});
