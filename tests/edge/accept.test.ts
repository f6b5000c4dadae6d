import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { prefersHtml } from "../../src/edge/accept.ts";

const pages = [
  // Firefox, Chrome, Safari, and Internet Explorer's successor in its old mode.
  "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
  "text/html, application/xhtml+xml, image/jxr, */*;q=0.5",
  "text/html",
  "text/*",
  "TEXT/HTML;q=0.1",
  "text/html;charset=utf-8",
  "text/html;q=0.8, application/json;q=0.7, application/problem+json;q=0.7",
  "text/html;q=0.5, application/*;q=0.4",
  "*/*, application/json;q=0.5, application/problem+json;q=0.5",
  "text/html;q=0.2, */*;q=0.1",
  "application/problem+json;q=0, application/json;q=0, */*",
];

const json = [
  "",
  "*/*",
  "*/*;q=0.8",
  "application/json",
  "application/problem+json",
  "application/json, text/html;q=0.9",
  "application/json, text/html",
  "text/html;q=0.9, application/problem+json",
  "text/html;q=0.3, application/*;q=0.4",
  "text/html;q=0.1, */*;q=0.2",
  "text/html;q=0, */*",
  "text/*;q=0.1, text/html;q=0, */*;q=0",
  "image/png",
  "text/plain",
  "text/event-stream",
  ",;=,",
  '"text/html"',
];

describe("prefersHtml", () => {
  for (const accept of pages) it(`is true when Accept is ${accept}`, () => assert.equal(prefersHtml(accept), true));
  for (const accept of json) it(`is false when Accept is "${accept}"`, () => assert.equal(prefersHtml(accept), false));
});
