/** `POST /api/v1/push`: what is sent, to whom, and what is refused. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PushMessage } from "../../src/push/mod.ts";
import { type AdminStage, onAdminStage } from "./stage.ts";

interface Sent {
  /** `*`: all of them. */
  readonly to: string;
  readonly message: PushMessage;
}

/** `use` gets what is sent. Each node has one stream, and there are two nodes: `web-1` at revision 1, `web-2` at 2. */
function onStage(use: (stage: AdminStage, sent: Sent[]) => Promise<void>): Promise<void> {
  const sent: Sent[] = [];
  const note = (to: string, message: PushMessage, streams: number) => {
    sent.push({ to, message });
    return streams;
  };
  const push = {
    send: (node: string, message: PushMessage) => note(node, message, 1),
    broadcast: (message: PushMessage) => note("*", message, 2),
  };
  return onAdminStage(async (stage) => {
    for (const name of ["web-1", "web-2"]) await stage.control.addNode(name, {}, "test");
    await use(stage, sent);
  }, { push });
}

const post = ({ ask }: AdminStage, body: unknown, headers = {}) =>
  ask("/api/v1/push", { method: "POST", body, headers });

describe("POST /api/v1/push", () => {
  it("tells the agents of a node that they may have missed something, with the node's version", () =>
    onStage(async (stage, sent) => {
      const { status, json } = await post(stage, { node: "web-2", type: "config_changed" });
      assert.deepEqual([status, json], [200, { type: "config_changed", streams: 1 }]);
      assert.deepEqual(sent, [
        { to: "web-2", message: { type: "config_changed", version: 2, reason: "resync" } },
      ]);
    }));

  it("tells all nodes so, each with a version of its own", () =>
    onStage(async (stage, sent) => {
      const { json } = await post(stage, { all: true, type: "config_changed", payload: {} });
      assert.equal(json.streams, 2);
      const versions = sent.map(({ to, message }) => [to, message.type === "config_changed" && message.version]);
      assert.deepEqual(versions, [["web-1", 1], ["web-2", 2]]);
    }));

  for (const action of ["reconnect", "drain", "shutdown"] as const) {
    it(`tells agents to ${action}, which holds for a minute, or as long as it says`, () =>
      onStage(async (stage, sent) => {
        const before = Date.now();
        await post(stage, { node: "web-1", type: "action", payload: { action } });
        const expiresAt = "2999-01-02T03:04:05.000Z";
        const { json } = await post(stage, { all: true, type: "action", payload: { action, expiresAt } });
        assert.equal(json.streams, 2);
        const [first, second] = sent as [Sent, Sent];
        assert.deepEqual(second, { to: "*", message: { type: "action", action, expiresAt } });
        assert.ok(first.message.type === "action" && first.to === "web-1" && first.message.action === action);
        const leftMs = Date.parse(first.message.expiresAt) - before;
        assert.ok(leftMs >= 60_000 && leftMs < 120_000, String(leftMs));
      }));
  }

  for (const pollIntervalMs of [1_000, 86_400_000]) {
    it(`tells agents to ask each ${pollIntervalMs} ms`, () =>
      onStage(async (stage, sent) => {
        await post(stage, { node: "web-1", type: "poll_interval", payload: { pollIntervalMs } });
        assert.deepEqual(sent, [{ to: "web-1", message: { type: "poll_interval", pollIntervalMs } }]);
      }));
  }

  it("stands in the audit log, whoever was told", () =>
    onStage(async (stage) => {
      await post(stage, { node: "web-1", type: "action", payload: { action: "drain" } });
      await post(stage, { all: true, type: "config_changed" });
      const entries = (await stage.store.audit(2)).map(({ actor, action, subject, detail, address }) => {
        return { actor, action, subject, detail, address };
      });
      const shared = { actor: "admin", action: "push.send", address: "127.0.0.1" };
      assert.deepEqual(entries, [
        { ...shared, subject: "*", detail: { type: "config_changed" } },
        { ...shared, subject: "web-1", detail: { type: "action", action: "drain" } },
      ]);
    }));

  const soon = "2999-01-02T03:04:05.000Z";
  const bad: readonly [what: string, body: unknown, status: number, code: string, detail: RegExp][] = [
    ["neither a node nor all", { type: "config_changed" }, 400, "bad_request", /either the key `node` or `all: true`/],
    ["both", { node: "web-1", all: true, type: "config_changed" }, 400, "bad_request", /either the key `node`/],
    ["all: false", { all: false, type: "config_changed" }, 400, "bad_request", /`all`/],
    ["an unknown node", { node: "web-3", type: "config_changed" }, 404, "node_not_found", /no node web-3/],
    ["no type", { node: "web-1" }, 400, "bad_request", /`type`/],
    ["an unknown type", { node: "web-1", type: "reboot" }, 400, "bad_request", /`type`/],
    ["an unknown key", { node: "web-1", type: "config_changed", at: 1 }, 400, "bad_request", /at/],
    ["a payload that is no object", { node: "web-1", type: "action", payload: [] }, 400, "bad_request", /`payload`/],
    [
      "a payload where none belongs",
      { node: "web-1", type: "config_changed", payload: { version: 9 } },
      400,
      "bad_request",
      /`payload`: .*version/,
    ],
    ["an action without one", { node: "web-1", type: "action" }, 400, "bad_request", /`payload\.action`/],
    [
      "an unknown action",
      { node: "web-1", type: "action", payload: { action: "reboot" } },
      400,
      "bad_request",
      /`payload\.action`/,
    ],
    [
      "an action that is over",
      { node: "web-1", type: "action", payload: { action: "drain", expiresAt: "2001-01-02T03:04:05.000Z" } },
      400,
      "bad_request",
      /`payload\.expiresAt`: is over already/,
    ],
    [
      "a further key of an action",
      { node: "web-1", type: "action", payload: { action: "drain", expiresAt: soon, force: true } },
      400,
      "bad_request",
      /force/,
    ],
    [
      "an interval of less than a second",
      { node: "web-1", type: "poll_interval", payload: { pollIntervalMs: 999 } },
      400,
      "bad_request",
      /`payload\.pollIntervalMs`/,
    ],
    [
      "an interval of more than a day",
      { node: "web-1", type: "poll_interval", payload: { pollIntervalMs: 86_400_001 } },
      400,
      "bad_request",
      /`payload\.pollIntervalMs`/,
    ],
    ["no JSON", "{", 400, "bad_request", /no JSON/],
    ["too long a body", { node: "web-1", type: "x".repeat(300_000) }, 413, "body_too_large", /over/],
  ];
  for (const [what, body, status, code, detail] of bad) {
    it(`refuses ${what}: ${status}, and sends nothing`, () =>
      onStage(async (stage, sent) => {
        const answer = await post(stage, body);
        assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
        assert.match(String(answer.json.detail), detail);
        assert.deepEqual(sent, []);
      }));
  }

  const guards: readonly [what: string, headers: Record<string, string | null>, status: number][] = [
    ["no token", { authorization: null }, 401],
    ["a wrong token", { authorization: "Bearer wrong" }, 401],
    ["a foreign Host", { host: "evil.test" }, 403],
    ["a foreign Origin", { origin: "http://evil.test" }, 403],
    ["another media type", { "content-type": "text/plain" }, 415],
  ];
  for (const [what, headers, status] of guards) {
    it(`refuses ${what}: ${status}`, () =>
      onStage(async (stage, sent) => {
        const answer = await post(stage, { all: true, type: "config_changed" }, headers);
        assert.deepEqual([answer.status, sent], [status, []]);
      }));
  }

  it("has no other methods, and stands in the OpenAPI document", () =>
    onStage(async ({ ask }) => {
      const answer = await ask("/api/v1/push");
      assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "POST"]);
      const { paths } = (await ask("/api/v1/openapi.json")).json as { paths: Record<string, Record<string, unknown>> };
      assert.deepEqual(Object.keys(paths["/api/v1/push"]!), ["post"]);
    }));

  it("is refused where it cannot be written to the audit log: 503, and sends nothing", () =>
    onStage(async (stage, sent) => {
      await stage.store.close();
      const { status, json } = await post(stage, { node: "web-1", type: "config_changed" });
      assert.deepEqual([status, json.code, sent], [503, "store_unavailable", []]);
    }));
});
