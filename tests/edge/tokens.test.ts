import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sharedToken } from "../../src/edge/tokens.ts";

describe("sharedToken", () => {
  it("gives the owner of its token, and null for any other text", () => {
    const check = sharedToken("s3cret", "me");
    assert.equal(check("s3cret"), "me");
    for (const wrong of ["", "s3cre", "s3crett", "S3cret", " s3cret", "\u0000", "x".repeat(10_000), "é"]) {
      assert.equal(check(wrong), null);
    }
  });
});
