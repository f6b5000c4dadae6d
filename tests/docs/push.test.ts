/** docs/push.md beside the code: its messages, refusals and numbers. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_POLL_INTERVAL_MS } from "../../src/edge/node_api.ts";
import { problemKinds } from "../../src/http/problems.ts";
import { agentActions, pushTypes } from "../../src/push/mod.ts";
import {
  DEFAULT_KEEP_ALIVE_MS,
  DEFAULT_MAX_BACKLOG_BYTES,
  DEFAULT_MAX_KEPT_MESSAGES,
  DEFAULT_MAX_STREAMS,
  DEFAULT_MAX_STREAMS_PER_NODE,
} from "../../src/push/registry.ts";
import { MAX_INSTANCES_PER_NODE } from "../../src/store/mod.ts";
import { inlineCode, readPage, tableRows } from "./page.ts";

const page = readPage("docs/push.md");
const text = page.text.replace(/\s+/g, " ");
const codesIn = (cell: string) => inlineCode({ prose: [cell] });

describe("docs/push.md", () => {
  it("has every type of message, and every action", () => {
    const types = tableRows(page, "type").flatMap(([type = ""]) => codesIn(type));
    assert.deepEqual(types, pushTypes);
    for (const action of agentActions) assert.ok(text.includes(`\`${action}\``), action);
  });

  it("has the status of each refusal", () => {
    const kinds: Readonly<Record<string, { status: number }>> = problemKinds;
    for (const [code = "", status] of tableRows(page, "code")) {
      assert.equal(Number(status), kinds[codesIn(code)[0]!]?.status, code);
    }
  });

  it("has the numbers of the code", () => {
    const number = (value: number) => value.toLocaleString("en-US");
    assert.ok(text.includes(`newest ${number(DEFAULT_MAX_KEPT_MESSAGES)} messages`));
    assert.ok(
      text.includes(`has ${DEFAULT_MAX_STREAMS_PER_NODE} push streams, or the edge ${number(DEFAULT_MAX_STREAMS)}`),
    );
    assert.ok(text.includes(`${DEFAULT_MAX_BACKLOG_BYTES / 1024} KiB wait`));
    assert.ok(text.includes(`comes every ${DEFAULT_KEEP_ALIVE_MS / 1_000} s`));
    assert.ok(text.includes(`which says ${number(DEFAULT_POLL_INTERVAL_MS)}`));
    assert.equal(MAX_INSTANCES_PER_NODE, DEFAULT_MAX_STREAMS_PER_NODE);
  });
});
