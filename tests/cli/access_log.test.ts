import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { jsonLine, textLine } from "../../src/cli/access_log.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { AccessRecord } from "../../src/edge/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { bytesOf, eventually, latin1, SocketReader } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

const time = new Date(Date.UTC(2026, 0, 2, 14, 3, 9, 120));

const record: AccessRecord = {
  id: "t3k9-1",
  client: "203.0.113.7",
  method: "GET",
  host: "shop.example.com:8080",
  path: "/events",
  httpVersion: "1.1",
  status: 200,
  bytesIn: 12,
  bytesOut: 831_488,
  durationMs: 200_000,
  tunnel: "shop",
  session: "s1",
  userAgent: "Mozilla/5.0 (X11; Linux)",
  code: null,
};

/** What tools take for the Combined Log Format. */
const combined =
  /^(\S+) \S+ (\S+) \[([^\]]+)\] "(\S+) (\S+) (HTTP\/1\.[01])" (\d{3}) (\d+) "([^"]*)" "((?:[^"\\]|\\.)*)"/;

describe("textLine", () => {
  it("is the Combined Log Format with more behind it", () => {
    assert.equal(
      textLine(record, time),
      '203.0.113.7 - - [02/Jan/2026:14:03:09 +0000] "GET /events HTTP/1.1" 200 831488 "-" "Mozilla/5.0 (X11; Linux)" ' +
        "host=shop.example.com:8080 in=12 ms=200000 tunnel=shop session=s1 id=t3k9-1\n",
    );
    assert.match(textLine({ ...record, code: "upstream_closed" }, time), / code=upstream_closed\n$/);
  });

  it("has hyphens when a request could not be read", () => {
    const unread = { ...record, id: "", method: "", host: "", path: "", userAgent: null, tunnel: null, session: null };
    assert.equal(
      textLine(
        { ...unread, client: "", status: 400, bytesOut: 170, durationMs: 0, bytesIn: 0, code: "bad_request" },
        time,
      ),
      '- - - [02/Jan/2026:14:03:09 +0000] "-" 400 170 "-" "-" host=- in=0 ms=0 code=bad_request\n',
    );
  });

  it("stays one line of visible ASCII, whose fields are where they are, whatever comes from outside", () => {
    const evil = '" 200 1\r\n\x1b[31m\u0085\u00e9\\" x\t';
    const line = textLine({ ...record, path: evil, host: evil, userAgent: evil, method: "GET" }, time);
    assert.match(line, /^[\x20-\x7e]+\n$/);
    const [, , , , method, path, , status, , , agent] = combined.exec(line) as RegExpExecArray;
    assert.deepEqual([method, status], ["GET", "200"]);
    assert.equal(path, "\\x22\\x20200\\x201\\x0D\\x0A\\x1B[31m\\x85\\xE9\\x5C\\x22\\x20x\\x09");
    assert.equal(agent, "\\x22 200 1\\x0D\\x0A\\x1B[31m\\x85\\xE9\\x5C\\x22 x\\x09");
  });

  it("cuts a user agent that would fill the log", () => {
    const line = textLine({ ...record, userAgent: "a".repeat(30_000) }, time);
    assert.ok(line.includes(`"${"a".repeat(512)}..."`) && line.length < 1000);
  });
});

describe("jsonLine", () => {
  it("has every key that is known, in visible ASCII", () => {
    const line = jsonLine({ ...record, userAgent: "caf\u00e9\n\u0085", code: "canceled" }, time);
    assert.match(line, /^[\x20-\x7e]+\n$/);
    const { userAgent, ...same } = record;
    const event = { event: "request", time: "2026-01-02T14:03:09.120Z", ...same, code: "canceled" };
    assert.deepEqual(JSON.parse(line), { ...event, userAgent: "caf\u00e9\n\u0085" });
    assert.equal(typeof userAgent, "string");
  });

  it("leaves out what is not there", () => {
    const line = jsonLine({ ...record, userAgent: null, tunnel: null, session: null }, time);
    for (const key of ["userAgent", "tunnel", "session", "code"]) assert.ok(!line.includes(`"${key}"`), line);
  });
});

async function startEdge(...args: string[]) {
  const run = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", "--token", "a-token-of-tests", ...args]);
  await run.waitFor(() => run.stdout.includes("Connect ") || run.stdout.includes('"ready"'));
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(run.stdout)?.[1]);
  const visit = async (path: string) => {
    const reader = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    const fields = "Host: localhost\r\nConnection: close\r\nUser-Agent: tester\r\n";
    reader.socket.write(bytesOf(`GET ${path} HTTP/1.1\r\n${fields}\r\n`));
    const answer = latin1(await reader.readAll());
    reader.socket.end();
    return answer;
  };
  return { run, visit };
}

describe("edge serve --access-log", () => {
  it("appends a line a request to the file, and begins a new one at SIGHUP", () =>
    withScratch(async (folder) => {
      const file = join(folder, "access.log");
      const lines = async (path: string) => (await readFile(path, "utf8")).split("\n").slice(0, -1);
      const { run, visit } = await startEdge("--access-log", file);
      await visit("/healthz?secret=1");
      await visit("/nowhere");
      await eventually(async () => (await lines(file)).length === 2);
      await rename(file, `${file}.1`);
      run.signal("SIGHUP");
      await eventually(() => existsSync(file));
      await visit("/readyz");
      assert.equal(await run.stop(), 0);
      const [healthz, nowhere] = (await lines(`${file}.1`)).map((line) => combined.exec(line)?.slice(4));
      assert.deepEqual(healthz?.slice(0, 4), ["GET", "/healthz", "HTTP/1.1", "200"]);
      assert.deepEqual([nowhere?.[1], nowhere?.[3], nowhere?.[6]], ["/nowhere", "404", "tester"]);
      assert.match((await lines(`${file}.1`))[1] as string, / host=localhost in=0 ms=\d+ id=\S+ code=not_found$/);
      assert.deepEqual((await lines(file)).map((line) => combined.exec(line)?.[5]), ["/readyz"]);
      assert.equal(run.subscriptions, 0);
    }));

  it("writes JSON with --log-format json", () =>
    withScratch(async (folder) => {
      const file = join(folder, "access.log");
      const { run, visit } = await startEdge("--access-log", file, "--log-format", "json");
      await visit("/healthz");
      await run.stop();
      const { event, path, status, client } = JSON.parse(await readFile(file, "utf8"));
      assert.deepEqual([event, path, status, client], ["request", "/healthz", 200, "127.0.0.1"]);
    }));

  it("prints lines behind the first ones with -, and events with --json, the last of which is the exit", async () => {
    const text = await startEdge("--access-log", "-");
    await text.visit("/healthz");
    await text.run.stop();
    assert.match(text.run.stdout, /\nConnect .*\n127\.0\.0\.1 - - \[[^\]]+\] "GET \/healthz HTTP\/1\.1" 200 [^\n]+\n$/);
    const json = await startEdge("--access-log", "-", "--json");
    await json.visit("/healthz");
    await json.run.stop();
    assert.deepEqual(json.run.events.map(({ event }) => event), ["ready", "request", "exit"]);
  });

  it("exits 2 and names the flag when the file cannot be opened", async () => {
    const args = ["serve", "--listen", "127.0.0.1:0", "--token", "a-token-of-tests", "--access-log", "/nowhere/a.log"];
    const { exitCode, stderr } = await runToEnd(edgeProgram, args);
    assert.equal(exitCode, 2);
    assert.match(
      stderr,
      /^error: --access-log \/nowhere\/a\.log cannot be opened: ENOENT[^\n]*\nName a file in a folder/,
    );
  });

  const isFullMissing = existsSync("/dev/full") ? false : "there is no /dev/full";
  it("serves on when nothing can be written, and says so once", { skip: isFullMissing }, async () => {
    const { run, visit } = await startEdge("--access-log", "/dev/full");
    const failures = () => run.stderr.match(/Cannot write to \/dev\/full: /g) ?? [];
    for (let count = 0; count < 3; count++) assert.match(await visit("/healthz"), /^HTTP\/1\.1 200 /);
    await eventually(() => failures().length > 0);
    assert.match(await visit("/healthz"), /^HTTP\/1\.1 200 /);
    assert.equal(await run.stop(), 0);
    assert.equal(failures().length, 1, run.stderr);
  });
});
