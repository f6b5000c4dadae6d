import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sharedOwner, sharedToken } from "../../src/edge/tokens.ts";

describe("sharedToken", () => {
  it("gives the owner of its token, and null for any other text", () => {
    const owner = sharedOwner(() => "no");
    const check = sharedToken("s3cret", owner);
    assert.equal(check("s3cret"), owner);
    for (const wrong of ["", "s3cre", "s3crett", "S3cret", " s3cret", "\u0000", "x".repeat(10_000), "é"]) {
      assert.equal(check(wrong), null);
    }
  });
});
