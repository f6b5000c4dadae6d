import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OptionError } from "../../../src/base/options.ts";
import { defaultLimits, type HttpLimits, verifyLimits } from "../../../src/http1/codec/limits.ts";

describe("verifyLimits", () => {
  it("verifyLimits gives the defaults when nothing is said", () => {
    assert.deepEqual(verifyLimits(), {
      requestLineBytes: 8_192,
      headBytes: 65_536,
      fieldCount: 256,
      chunkExtensionBytes: 256,
      trailerBytes: 8_192,
    });
    assert.deepEqual(verifyLimits({ fieldCount: 7 }), { ...defaultLimits, fieldCount: 7 });
  });

  it("verifyLimits throws with the name and the value when a limit is out of range", () => {
    const wrong: [Partial<HttpLimits>, RegExp][] = [
      [{ requestLineBytes: 63 }, /requestLineBytes is 63, not a whole number from 64/],
      [{ headBytes: 2 ** 24 + 1 }, /headBytes is 16777217/],
      [{ fieldCount: 0 }, /fieldCount is 0/],
      [{ chunkExtensionBytes: -1 }, /chunkExtensionBytes is -1/],
      [{ trailerBytes: 1.5 }, /trailerBytes is 1.5/],
      [{ trailerBytes: NaN }, /trailerBytes is NaN/],
      [{ headBytes: 8_191 }, /requestLineBytes is 8192, more than headBytes, 8191/],
    ];
    for (const [limits, reason] of wrong) {
      assert.throws(() => verifyLimits(limits), (error) => {
        assert.ok(error instanceof OptionError);
        assert.equal(error.code, "invalid_option");
        assert.match(error.reason, reason);
        return true;
      });
    }
  });
});
