import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isEventStream, isLiveFormat, LiveTypes } from "../../src/http/media_type.ts";

const table: [contentType: string | undefined, isEvents: boolean, isLive: boolean][] = [
  ["text/event-stream", true, true],
  ["text/event-stream; charset=utf-8", true, true],
  ["TEXT/Event-Stream ;charset=utf-8", true, true],
  [" text/event-stream", true, true],
  // The web platform tests: a trailing semicolon passes, `text/x-bogus` and `x bogus` do not.
  ["text/event-stream;", true, true],
  ["text/event-stream;charset=windows-1252", true, true],
  ["text/x-bogus", false, false],
  ["x bogus", false, false],
  ["application/x-ndjson", false, true],
  ["Application/X-NDJSON;profile=a", false, true],
  ["application/ndjson", false, true],
  ["application/jsonl", false, true],
  ["application/x-jsonl", false, true],
  ["application/jsonlines", false, true],
  ["application/x-jsonlines", false, true],
  ["application/json-lines", false, true],
  ["application/json-seq", false, true],
  ["application/geo+json-seq", false, true],
  ["application/stream+json", false, true],
  ["application/stream+x-jackson-smile", false, true],
  ["application/grpc-web", false, true],
  ["application/grpc-web+proto", false, true],
  ["application/grpc-web-text+proto; charset=utf-8", false, true],
  ["application/connect+json", false, true],
  ["application/vnd.amazon.eventstream", false, true],
  ["application/vnd.docker.raw-stream", false, true],
  ["application/vnd.docker.multiplexed-stream", false, true],
  ["multipart/x-mixed-replace; boundary=frame", false, true],
  ["multipart/mixed", false, false],
  ["application/json", false, false],
  ["application/jsonl2", false, false],
  ["application/grpc", false, false],
  ["application/stream", false, false],
  ["text/event-stream-2", false, false],
  ["text/plain; x=text/event-stream", false, false],
  ["text/plain", false, false],
  [";text/event-stream", false, false],
  ["", false, false],
  [undefined, false, false],
];

describe("isEventStream", () => {
  for (const [contentType, isEvents] of table) {
    it(`is ${isEvents} when Content-Type is ${JSON.stringify(contentType)}`, () => {
      assert.equal(isEventStream(contentType), isEvents);
    });
  }
});

describe("isLiveFormat", () => {
  for (const [contentType, , isLive] of table) {
    it(`is ${isLive} when Content-Type is ${JSON.stringify(contentType)}`, () => {
      assert.equal(isLiveFormat(contentType), isLive);
    });
  }
});

describe("LiveTypes", () => {
  it("has types of the user's beside the known ones, whole and by their beginning", () => {
    const types = new LiveTypes(["application/x-Prices", "application/vnd.shop.*", "video/*"]);
    const live = ["application/x-prices", "Application/Vnd.Shop.Orders+json; v=2", "video/mp4", "text/event-stream"];
    for (const type of live) assert.equal(types.has(type), true, type);
    for (const type of ["application/x-prices2", "application/vnd.shop", "videos/mp4", "", undefined]) {
      assert.equal(types.has(type), false, String(type));
    }
  });

  it("gives the same again for a type that it has seen, and for one that is longer than it keeps", () => {
    const types = new LiveTypes();
    const long = `text/event-stream; x=${"a".repeat(1_000)}`;
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(["text/plain", "text/event-stream", long].map((type) => types.has(type)), [false, true, true]);
    }
  });
});
