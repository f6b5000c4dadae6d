import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { dirname, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { fetchWhole, openStream, send } from "../../scripts/lib/demo_client.mjs";
import { sequence } from "../../scripts/lib/sequence.mjs";

const program = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "scripts", "examples", "upstream.ts");
const host = "demo.localhost";

describe("upstream", () => {
  let child: ChildProcess;
  let port: number;

  before(async () => {
    const args = process.versions.deno ? ["run", "-A", program] : [program];
    child = spawn(process.execPath, [...args, "--interval", "10"], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(createInterface({ input: child.stdout! }), "line");
    port = JSON.parse(line).port;
  });

  after(async () => {
    const exit = once(child, "exit");
    child.kill("SIGTERM");
    await exit;
  });

  const confirm = (id: string, n: number) => fetchWhole({ port, host, method: "POST", path: `/confirm/${id}?n=${n}` });

  it("makes the next tick only when the one before was confirmed", async () => {
    for (const path of ["/ticker?id=a&count=3", "/ndjson/ticker?id=a&count=3"]) {
      const seen: number[] = [];
      const stream = await openStream({ port, host, path });
      for await (const text of stream.texts(path.startsWith("/nd") ? "\n" : "\n\n")) {
        seen.push(Number(text.match(/"n":(\d+)/)?.[1]));
        const n = seen.length;
        assert.equal((await confirm("a", n + 1)).status, 409);
        assert.equal((await confirm("a", n)).status, 204);
      }
      assert.deepEqual(seen, [1, 2, 3]);
    }
  });

  it("refuses a ticker when 100 run already, and forgets those whose clients went away", async () => {
    const path = (id: number) => `/ticker?id=${id}&count=2`;
    const open = await Promise.all(Array.from({ length: 100 }, (_, id) => send({ port, host, path: path(id) })));
    assert.equal((await fetchWhole({ port, host, path: path(100) })).status, 503);
    for (const answer of open) answer.destroy();
    const deadline = Date.now() + 10_000;
    while ((await confirm("0", 9)).status !== 404 || (await confirm("99", 9)).status !== 404) {
      assert.ok(Date.now() < deadline, "the tickers were not forgotten");
    }
  });

  it("exits 1 and names the port when that is busy", async () => {
    const args = process.versions.deno ? ["run", "-A", program] : [program];
    const second = spawn(process.execPath, [...args, "--port", String(port)], { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    second.stderr!.setEncoding("utf8").on("data", (text: string) => stderr += text);
    const [exitCode] = await once(second, "close");
    assert.equal(exitCode, 1);
    assert.match(stderr, new RegExp(`^upstream: cannot listen on port ${port}: .*in use.*\n$`));
  });

  it("ticks without end when no one confirms", async () => {
    const stream = await openStream({ port, host, path: "/events" });
    let seen = 0;
    for await (const text of stream.texts()) {
      assert.match(text, new RegExp(`^id: ${++seen}\ndata: {"n":${seen},`));
      if (seen === 3) break;
    }
    assert.equal(seen, 3);
  });

  it("sends the known sequence when asked for bytes", async () => {
    const size = 1_000_001;
    const { headers, body } = await fetchWhole({ port, host, path: `/bytes?size=${size}` });
    assert.equal(headers["transfer-encoding"], "chunked");
    assert.equal(body.length, size);
    const expected = createHash("sha256");
    for (const block of sequence(size)) expected.update(block);
    assert.equal(createHash("sha256").update(body).digest("hex"), expected.digest("hex"));
    assert.equal((await fetchWhole({ port, host, path: "/bytes?size=x" })).status, 400);
  });

  it("gives back the body when it is posted to /echo", async () => {
    const body = new Uint8Array(300_000).map((_, i) => i * 7);
    const answer = await fetchWhole({ port, host, method: "POST", path: "/echo", body });
    assert.equal(answer.status, 200);
    assert.ok(answer.body.equals(body));
  });

  it("answers with a length and no body when the method is HEAD", async () => {
    const page = await fetchWhole({ port, host, path: "/" });
    const head = await fetchWhole({ port, host, method: "HEAD", path: "/" });
    assert.equal(head.headers["content-length"], String(page.body.length));
    assert.equal(head.body.length, 0);
  });

  it("says 404 in its own words when it has nothing", async () => {
    const { status, body } = await fetchWhole({ port, host, path: "/missing" });
    assert.equal(status, 404);
    assert.equal(body.toString(), "the upstream has nothing at /missing\n");
  });
});
