import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { acceptsGzip } from "../../../src/http/coding/mod.ts";

describe("acceptsGzip", () => {
  const cases: readonly [acceptEncoding: string | undefined, isAccepted: boolean][] = [
    ["gzip", true],
    ["GZip", true],
    ["x-gzip", true],
    ["gzip, deflate, br, zstd", true],
    ["br;q=1.0, gzip;q=0.8, *;q=0.1", true],
    ["deflate , gzip ;q=0.001", true],
    ["*", true],
    ["*;q=0.5", true],
    ["br, *;q=0", false],
    ["gzip, *;q=0", true],
    ["gzip;q=0", false],
    ["gzip;q=0.0, br", false],
    ["gzip;q=0, *", false],
    ["br", false],
    ["gzipped", false],
    ["identity", false],
    ["identity;q=1, gzip;q=0.5", false],
    ["identity;q=0.5, gzip;q=0.5", true],
    ["identity;q=0, gzip", true],
    ["identity;q=0", false],
    ["", false],
    [undefined, false],
  ];
  for (const [acceptEncoding, isAccepted] of cases) {
    it(`is ${isAccepted} when Accept-Encoding is ${JSON.stringify(acceptEncoding)}`, () => {
      assert.equal(acceptsGzip(acceptEncoding), isAccepted);
    });
  }
});
