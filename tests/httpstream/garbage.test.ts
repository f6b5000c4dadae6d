import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { programCommand } from "../support/net.ts";

describe("what a stream leaves behind", () => {
  it("streams that are over go with the collections of the young generation", async () => {
    const { stdout } = await promisify(execFile)(...programCommand("tests/httpstream/programs/garbage.ts"));
    const outlived = Number(stdout);
    // Those that are open when the collector comes grow old by right: 8 of 200. One that holds the next one holds all.
    assert.ok(outlived < 0.2, `${outlived * 100} % of them outlived it`);
  });
});
