import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { observeExchanges, type RequestReport } from "../../src/http/observer.ts";
import { liveDisplay } from "../../src/cli/live_display.ts";
import type { ProgramHost } from "../../src/cli/host.ts";
import { logger } from "../../src/observe/log.ts";
import { BodyReader, FedBody, never, requestHead } from "../support/client_requests.ts";
import { FakeClock } from "../support/clock.ts";
import { withoutEscapes } from "./program_run.ts";

const view = { upstream: "http://127.0.0.1:3000", edge: "http://127.0.0.1:8080", protocol: "v2" };
const ready = { url: "http://shop.localhost:8080", name: "shop", tunnelId: "t1" };
const request: RequestReport = {
  id: "1",
  method: "GET",
  path: "/",
  status: 200,
  bytesIn: 0,
  bytesOut: 5,
  firstByteMs: 1,
  durationMs: 2,
};

/** A display on a terminal of 80 columns, and what it has written. */
async function open() {
  const clock = new FakeClock();
  const stage = { written: "", logged: "", subscriptions: 0 };
  const host: ProgramHost = {
    args: [],
    environment: () => undefined,
    platform: "linux",
    home: "/nowhere",
    isRoot: false,
    hasReader: true,
    stdout: (text) => Boolean(stage.written += text),
    stderr: (text) => Boolean(stage.logged += text),
    stdin: async function* () {},
    askHidden: () => Promise.resolve(null),
    flush: () => Promise.resolve(),
    terminal: () => ({ isTerminal: true, columns: 80, rows: 24 }),
    onResize: () => {
      stage.subscriptions++;
      return () => void stage.subscriptions--;
    },
    onSignal: () => () => {},
  };
  const values = { json: false, logLevel: "info", logFormat: "text" } as const;
  const display = await liveDisplay(view, { host, values }, clock);
  /** The lines that were drawn last. What was written is then forgotten. */
  const take = () => {
    const lines = withoutEscapes(stage.written.split("\x1b[J").at(-1) as string).split("\n").slice(0, -1);
    stage.written = "";
    return lines.map((line) => line.trimEnd());
  };
  return { stage, display, take, clock };
}

describe("liveDisplay", () => {
  it("draws once when many things happen within 100 ms", async () => {
    const { stage, display, take, clock } = await open();
    assert.deepEqual(take(), ["Connecting to http://127.0.0.1:8080"]);
    display.ready(ready);
    for (let count = 0; count < 50; count++) display.request(request, false);
    clock.advance(99);
    assert.equal(stage.written, "");
    clock.advance(1);
    assert.equal(stage.written.split("\x1b[J").length, 2);
    assert.equal(take()[2], "50 requests, 250 B sent");
    assert.equal(clock.pending, 0);
    display.close();
  });

  it("tells how the connection is when it is lost, tried again and there again", async () => {
    const { display, take, clock } = await open();
    const status = () => {
      clock.advance(100);
      return take()[1];
    };
    display.ready(ready);
    assert.equal(status(), "Online through http://127.0.0.1:8080 (v2), Ctrl-C ends it");
    display.disconnected("the link \x1b[31mbroke");
    assert.equal(status(), "Reconnecting, attempt 1: the link \\x1b[31mbroke");
    display.reconnecting(2, 500, null);
    assert.equal(status(), "Reconnecting, attempt 2, next try in 500 ms: the link \\x1b[31mbroke");
    display.reconnecting(3, 2_500, "connection refused");
    assert.equal(status(), "Reconnecting, attempt 3, next try in 2.5 s: connection refused");
    clock.advance(1_000);
    assert.equal(status(), "Reconnecting, attempt 3, next try in 1.5 s: connection refused");
    clock.advance(1_500);
    assert.equal(status(), "Reconnecting, attempt 3: connection refused");
    display.resumed(1_234, 1);
    assert.equal(status(), "Online through http://127.0.0.1:8080 (v2), resumed after 1.2 s with 1 stream k~");
    display.ready(ready);
    assert.equal(status(), "Online through http://127.0.0.1:8080 (v2), Ctrl-C ends it");
    display.stopping(2, 30_000);
    // By now both have ended.
    assert.equal(status(), "Stopping: no request is under way");
    display.close();
  });

  it("counts what ended early as failed, and keeps no more than the last requests", async () => {
    const { display, take, clock } = await open();
    display.ready(ready);
    for (let count = 0; count < 1000; count++) display.request({ ...request, path: `/${count}` }, false);
    display.request({ ...request, status: 502, code: "upstream_closed" }, false);
    clock.advance(100);
    const lines = take();
    assert.equal(lines.length, 23);
    assert.equal(lines[2], "1001 requests, 1 failed, 4.9 KiB sent");
    assert.match(lines[21] as string, /GET {2}\/999 /);
    display.close();
  });

  it("shows streams that last while they are open, and looks each second whether they move", async () => {
    const { stage, display, take, clock } = await open();
    display.ready(ready);
    const fed = new FedBody();
    const ask = observeExchanges(
      () => Promise.resolve({ status: 200, fields: [], body: fed.stream }),
      (report) => display.request(report, false),
      clock,
      display.open,
    );
    const reader = new BodyReader(await ask(requestHead({ target: "/events?token=secret" }), null, never));
    const shown = () => take().slice(2).filter((line) => line !== "");
    clock.advance(999);
    assert.deepEqual(shown(), [], "most requests end within a second");
    clock.advance(1);
    assert.deepEqual(shown(), [
      "1 open (0 moving)",
      "open      GET  /events  200         0 B     1.0 s  idle 1.0 s",
    ]);
    fed.push("data");
    await reader.next();
    clock.advance(1000);
    assert.equal(shown()[1], "open      GET  /events  200         4 B     2.0 s  moving");
    clock.advance(3000);
    assert.equal(shown()[1], "open      GET  /events  200         4 B     5.0 s  idle 3.0 s");
    display.stopping(1, 30_000);
    clock.advance(100);
    assert.match(stage.written, /Waiting for 1 request, at most 30 s; Ctrl-C again ends it\b/);
    fed.end();
    await reader.next();
    clock.advance(1000);
    assert.match(shown().join(), /^1 request, 4 B sent,\d\d:\d\d:\d\d {2}GET {2}\/events {2}200 /);
    assert.equal(display.open?.size, 0);
    assert.equal(clock.pending, 0);
    display.close();
  });

  it("shows the newest of more streams than a window has rows, and counts all", async () => {
    const { display, take, clock } = await open();
    display.ready(ready);
    const ask = observeExchanges(() => new Promise(() => {}), () => {}, clock, display.open);
    for (let count = 0; count < 1000; count++) void ask(requestHead({ target: `/${count}` }), null, never);
    clock.advance(1000);
    const lines = take();
    assert.equal(lines[2], "1000 open (0 moving)");
    assert.match(lines.at(-1) as string, /GET {2}\/999 /);
    assert.equal(lines.length, 23);
    display.close();
    assert.equal(clock.pending, 0);
  });

  it("says how many requests the stop ended, and does not count them as failed, until the end", async () => {
    const { display, take } = await open();
    display.ready(ready);
    display.stopping(1, 30_000);
    display.endingEarly(1, "signal", 30_000);
    display.request({ ...request, status: 502, code: "agent_lost", reason: "The agent was stopped" }, true);
    display.close();
    const lines = take();
    assert.equal(lines[1], "Ended 1 request under way, at the second signal");
    assert.equal(lines[2], "1 request, 5 B sent");
    assert.match(lines.at(-1) as string, / ended by the stop$/);
  });

  it("puts the log above the view when both go to the terminal, and draws anew", async () => {
    const { stage, display, take } = await open();
    take();
    logger("agent").warn("Something happened");
    assert.match(stage.logged, /Something happened\n$/);
    assert.deepEqual(take(), ["Connecting to http://127.0.0.1:8080"]);
    display.close();
  });

  it("leaves the last view, and no timer or subscription, when it is closed", async () => {
    const { stage, display, take, clock } = await open();
    display.ready(ready);
    display.close();
    assert.deepEqual(take(), ["http://shop.localhost:8080 -> http://127.0.0.1:3000", "Ended"]);
    assert.deepEqual([clock.pending, stage.subscriptions], [0, 0]);
    display.request(request, false);
    display.close();
    logger("agent").warn("Later");
    clock.advance(1000);
    assert.equal(stage.written, "");
    assert.match(stage.logged, /Later\n$/);
  });
});
