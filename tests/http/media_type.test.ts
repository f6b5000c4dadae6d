import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isEventStream, isLiveFormat } from "../../src/http/media_type.ts";

const table: [contentType: string | undefined, isEvents: boolean, isLive: boolean][] = [
  ["text/event-stream", true, true],
  ["text/event-stream; charset=utf-8", true, true],
  ["TEXT/Event-Stream ;charset=utf-8", true, true],
  [" text/event-stream", true, true],
  ["application/x-ndjson", false, true],
  ["Application/X-NDJSON;profile=a", false, true],
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
