import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Line, type LiveRequest, type LiveState, type LiveStatus, renderLive } from "../../src/cli/live_view.ts";

const connecting: LiveState = {
  url: null,
  upstream: "http://127.0.0.1:3000",
  edge: "https://example.com",
  protocol: "v2",
  status: { kind: "connecting", reason: "" },
  requests: 0,
  failed: 0,
  bytesOut: 0,
  recent: [],
};

const online: LiveState = { ...connecting, url: "https://shop.example.com", status: { kind: "online", resumed: "" } };

function request(path: string, more: Partial<LiveRequest> = {}): LiveRequest {
  const endedAt = new Date(2026, 0, 2, 14, 3, 9);
  return { endedAt, method: "GET", path, status: 200, bytesOut: 4198, durationMs: 12, code: "", ...more };
}

const busy: LiveState = {
  ...online,
  requests: 3,
  failed: 1,
  bytesOut: 1_258_291,
  recent: [
    request("/"),
    request("/events", { bytesOut: 831_488, durationMs: 200_000 }),
    request("/upload", { method: "POST", status: 502, bytesOut: 214, durationMs: 3, code: "upstream_unreachable" }),
  ],
};

const textOf = (line: Line) => line.map(({ text }) => text).join("");
const linesOf = (state: LiveState, columns: number, rows: number) =>
  renderLive(state, columns, rows).map((line) => textOf(line).trimEnd());

describe("renderLive", () => {
  it("says where it connects to when there is no URL yet", () => {
    assert.deepEqual(linesOf(connecting, 80, 24), ["Connecting to https://example.com"]);
    const failing: LiveState = {
      ...connecting,
      status: { kind: "connecting", reason: "No such host. Check the name" },
    };
    assert.deepEqual(linesOf(failing, 16, 24), ["Connecting to h…", "No such host.", "Check the name"]);
  });

  it("begins with the public URL when it is online", () => {
    assert.deepEqual(linesOf(online, 80, 24), [
      "https://shop.example.com -> http://127.0.0.1:3000",
      "Online through https://example.com (v2), Ctrl-C ends it",
    ]);
  });

  it("shows the last requests below each other when the window is wide", () => {
    assert.deepEqual(linesOf(busy, 100, 24), [
      "https://shop.example.com -> http://127.0.0.1:3000",
      "Online through https://example.com (v2), Ctrl-C ends it",
      "3 requests, 1 failed, 1.2 MiB sent",
      "",
      "14:03:09  GET   /        200     4.1 KiB     12 ms",
      "14:03:09  GET   /events  200   812.0 KiB     3m20s",
      "14:03:09  POST  /upload  502       214 B      3 ms  upstream_unreachable",
    ]);
  });

  it("does without code, time, bytes and duration, in this order, when the window is narrow", () => {
    const lastLine = (columns: number) => linesOf(busy, columns, 24).at(-1);
    assert.equal(lastLine(60), "14:03:09  POST  /upload  502       214 B      3 ms");
    assert.equal(lastLine(48), "POST  /upload  502       214 B      3 ms");
    assert.equal(lastLine(36), "POST  /upload  502      3 ms");
    assert.equal(lastLine(24), "POST  /upload  502");
    assert.equal(lastLine(12), "POST  …  502");
  });

  it("cuts a path when it is longer than its column", () => {
    const state = { ...online, requests: 1, recent: [request(`/${"a".repeat(200)}`)] };
    const line = linesOf(state, 60, 24).at(-1) as string;
    assert.equal(line.length, 60);
    assert.match(line, /^14:03:09 {2}GET {2}\/a+… {2}200 {5}4\.1 KiB {5}12 ms$/);
  });

  it("breaks the URL, and never cuts it, when it is wider than the window", () => {
    assert.deepEqual(linesOf(online, 10, 24).slice(0, 3), ["https://sh", "op.example", ".com"]);
  });

  it("keeps the newest requests when the window is low", () => {
    const lines = linesOf(busy, 80, 5);
    assert.equal(lines.length, 5);
    assert.match(lines[4] as string, /\/upload/);
    assert.equal(linesOf(busy, 80, 4).length, 3);
    assert.deepEqual(linesOf(busy, 80, 1), ["https://shop.example.com -> http://127.0.0.1:3000"]);
  });

  const statuses: readonly [LiveStatus, string][] = [
    [{ kind: "connecting", reason: "" }, "Connecting"],
    [
      { kind: "reconnecting", attempt: 2, inMs: 1_200, reason: "the edge closed the link" },
      "Reconnecting, attempt 2, next try in 1.2 s: the edge closed the link",
    ],
    [
      { kind: "online", resumed: "Resumed after 1.2 s with 3 streams kept" },
      "Online through https://example.com (v2), resumed after 1.2 s with 3 streams kept",
    ],
    [{ kind: "ended" }, "Ended"],
    [
      { kind: "endedEarly", count: 3, by: "signal", drainMs: 30_000 },
      "Ended 3 requests under way, at the second signal",
    ],
    [{ kind: "stopping", count: 3, drainMs: 30_000 }, "Waiting for 3 requests, at most 30 s; Ctrl-C again ends them"],
  ];
  for (const [status, line] of statuses) {
    it(`says so when it is ${status.kind}`, () => assert.equal(linesOf({ ...online, status }, 80, 24)[1], line));
  }

  const streams = [
    { method: "GET", path: "/events", status: 200, bytes: 14_889_779, ageMs: 201_000, idleMs: null },
    { method: "GET", path: "/chat", status: 101, bytes: 1_331, ageMs: 7_500_000, idleMs: 40_000 },
    { method: "POST", path: "/slow", status: 0, bytes: 0, ageMs: 1_200, idleMs: 1_200 },
  ];

  it("shows the streams that are open, how old they are and whether they move", () => {
    const state = { ...busy, open: { count: 3, moving: 1, streams } };
    assert.deepEqual(linesOf(state, 100, 24).slice(2), [
      "3 open (1 moving), 3 requests, 1 failed, 1.2 MiB sent",
      "",
      "14:03:09  GET   /        200     4.1 KiB     12 ms",
      "14:03:09  GET   /events  200   812.0 KiB     3m20s",
      "14:03:09  POST  /upload  502       214 B      3 ms  upstream_unreachable",
      "open      GET   /events  200    14.2 MiB     3m21s  moving",
      "open      GET   /chat    101     1.3 KiB     2h05m  idle 40.0 s",
      "open      POST  /slow      -         0 B     1.2 s  idle 1.2 s",
    ]);
  });

  it("gives half of the rows to open streams when there are more of both, and all where nothing has ended", () => {
    const open = { count: 3, moving: 1, streams };
    const pathsOf = (state: LiveState, rows: number) =>
      linesOf(state, 100, rows).slice(4).map((line) => line.split(/ +/)[2]);
    assert.deepEqual(pathsOf({ ...busy, open }, 8), ["/events", "/upload", "/chat", "/slow"]);
    assert.deepEqual(pathsOf({ ...busy, open }, 7), ["/upload", "/chat", "/slow"]);
    assert.deepEqual(pathsOf({ ...busy, open }, 5), ["/slow"]);
    assert.deepEqual(linesOf({ ...online, open }, 100, 24)[2], "3 open (1 moving)");
    assert.equal(linesOf({ ...online, open }, 100, 6).length, 6);
  });

  it("tells open streams from what has ended when there is no room for the time", () => {
    const state = { ...busy, open: { count: 3, moving: 1, streams } };
    const rows = (columns: number) => linesOf(state, columns, 24).slice(-4);
    assert.deepEqual(rows(40), [
      "      POST  /upload  502      3 ms",
      "open  GET   /events  200     3m21s",
      "open  GET   /chat    101     2h05m",
      "open  POST  /slow      -     1.2 s",
    ]);
    assert.equal(rows(60)[1], "open      GET   /events  200    14.2 MiB     3m21s");
    assert.equal(rows(19)[1], "GET   /events  200");
  });

  describe("in a small window", () => {
    const open = { count: 3, moving: 1, streams };
    const failure = { endedAt: new Date(2026, 0, 2, 14, 3, 15), code: "upstream_refused", reason: "x ".repeat(200) };
    const crowded = { ...busy, open, failure, warnings: ["w ".repeat(200)] };
    const stopping = { ...crowded, status: { kind: "stopping", count: 3, drainMs: 30_000 } } as const;
    // What is left of windows of 20x2, 20x3 and 40x8, whose last column and row stay empty.
    const crowdedLines: readonly [columns: number, rows: number, lines: readonly string[]][] = [
      [19, 1, ["3 open (1 moving)"]],
      [19, 2, ["https://shop.examp…", "3 open (1 moving)"]],
      [39, 2, ["https://shop.example.com -> http://127…", "3 open (1 moving), 3 requests, 1 failed"]],
      [39, 7, [
        "https://shop.example.com -> http://127…",
        "Online through https://example.com (v2…",
        "w w w w w w w w w w w w w w w w w w w w",
        "w w w w w w w w w w w w w w w w w w w …",
        "3 open (1 moving), 3 requests, 1 failed",
        "",
        "open  POST  /slow    -     1.2 s",
      ]],
    ];
    for (const [columns, rows, lines] of crowdedLines) {
      it(`says how many streams are open when it has ${columns} columns and ${rows} rows`, () => {
        assert.deepEqual(linesOf(crowded, columns, rows), lines);
      });
    }

    const stoppingLines: readonly [columns: number, rows: number, lines: readonly string[]][] = [
      [19, 1, ["3 open; Ctrl-C ends"]],
      [19, 2, ["Waiting for 3;", "Ctrl-C ends them"]],
      [39, 1, ["Waiting for 3; Ctrl-C ends them"]],
      [39, 2, ["Waiting for 3 requests, at most 30 s;", "Ctrl-C again ends them"]],
    ];
    for (const [columns, rows, lines] of stoppingLines) {
      it(`says what Ctrl-C waits for when it has ${columns} columns and ${rows} rows`, () => {
        assert.deepEqual(linesOf(stopping, columns, rows), lines);
      });
    }

    it("says both when it has any size, and keeps within it", () => {
      fc.assert(fc.property(fc.integer({ min: 19, max: 220 }), fc.integer({ min: 1, max: 60 }), (columns, rows) => {
        const stopped = linesOf(stopping, columns, rows).join(" ");
        assert.match(stopped, /\b3 (?:open|requests)|Waiting for 3/);
        assert.match(stopped, /Ctrl-C (?:again )?ends/);
        assert.match(linesOf(crowded, columns, rows).join("\n"), /^3 open \(1 moving\)/m);
      }));
    });

    it("says why it is not online when it has one row, and what ended", () => {
      const reconnecting = {
        ...crowded,
        status: { kind: "reconnecting", attempt: 2, inMs: 0, reason: "refused" },
      } as const;
      assert.deepEqual(linesOf(reconnecting, 39, 1), ["Reconnecting, attempt 2: refused"]);
      const ended = { ...crowded, status: { kind: "endedEarly", count: 12, by: "timeout", drainMs: 500 } } as const;
      assert.deepEqual(linesOf(ended, 19, 1), ["Ended 12 requests"]);
    });
  });

  it("does not show as failed what the stop of the agent ended", () => {
    const state = {
      ...online,
      requests: 1,
      recent: [request("/", { status: 502, code: "agent_lost", isStopped: true })],
    };
    const line = renderLive(state, 80, 24).at(-1) as Line;
    assert.match(textOf(line), /GET {2}\/ {2}502 .* ended by the stop$/);
    assert.ok(line.every(({ style }) => style !== "bad"));
  });

  it("shows in red what failed, and not that a visitor left", () => {
    const stylesOf = (code: string) =>
      (renderLive({ ...online, requests: 1, recent: [request("/", { code })] }, 80, 24).at(-1) as Line)
        .find(({ text }) => text === code)?.style;
    assert.deepEqual([stylesOf("upstream_closed"), stylesOf("canceled")], ["bad", "faint"]);
  });

  it("tells why the last request failed, on three lines at most, broken between words", () => {
    const failure = {
      endedAt: new Date(2026, 0, 2, 14, 3, 15),
      code: "upstream_refused",
      reason: "Cannot connect to localhost:3000: connection refused; start the service, or check the port in TARGET",
    };
    assert.deepEqual(linesOf({ ...busy, recent: [], failure }, 60, 24).slice(2), [
      "3 requests, 1 failed, 1.2 MiB sent",
      "14:03:15 upstream_refused: Cannot connect to localhost:3000:",
      "connection refused; start the service, or check the port in",
      "TARGET",
    ]);
    const long = { ...failure, reason: "x".repeat(300) };
    const lines = linesOf({ ...busy, recent: [], failure: long }, 40, 24).slice(3);
    assert.equal(lines.length, 3);
    assert.ok(lines[2]!.endsWith("…"), lines[2]);
    assert.equal(linesOf({ ...busy, failure: { ...failure, reason: "" } }, 60, 24)[3], "");
    assert.equal(linesOf({ ...busy, failure }, 60, 4).length, 4);
  });

  it("keeps what the edge does not do in sight", () => {
    const state = { ...online, warnings: ["The edge does not know --first-byte-timeout, since it is older"] };
    assert.deepEqual(linesOf(state, 40, 24).slice(2), [
      "The edge does not know",
      "--first-byte-timeout, since it is older",
    ]);
  });

  it("shows a hyphen when a visitor left before the answer", () => {
    const state = { ...online, requests: 1, recent: [request("/", { status: 0, code: "canceled" })] };
    assert.match(linesOf(state, 80, 24).at(-1) as string, /GET {2}\/ {4}- {2}/);
  });

  it("fits when the window has any size, the path any length", () => {
    const requests = fc.record({
      method: fc.string({ minLength: 1, maxLength: 20, unit: "grapheme-ascii" }),
      path: fc.string({ minLength: 1, maxLength: 300, unit: "grapheme-ascii" }),
      status: fc.constantFrom(0, 200, 404, 502),
      bytesOut: fc.nat(),
      durationMs: fc.nat(),
      code: fc.constantFrom("", "canceled", "upstream_unreachable"),
    });
    fc.assert(fc.property(
      fc.array(requests, { maxLength: 30 }),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(requests, { maxLength: 30 }),
      (some, columns, rows, others) => {
        const recent = some.map((item) => request(item.path, item));
        const streams = others.map(({ bytesOut: bytes, durationMs: ageMs, ...item }) => {
          return { ...item, bytes, ageMs, idleMs: item.code === "" ? null : ageMs };
        });
        const open = { count: streams.length, moving: 0, streams };
        const failure = { endedAt: new Date(0), code: "upstream_refused", reason: some[0]?.path ?? "" };
        const warnings = some.slice(0, 2).map((item) => item.path);
        const lines = renderLive({ ...busy, recent, failure, warnings, open }, columns, rows);
        assert.ok(lines.length >= 1 && lines.length <= rows);
        for (const line of lines) assert.ok(textOf(line).length <= columns, textOf(line));
      },
    ));
  });
});
