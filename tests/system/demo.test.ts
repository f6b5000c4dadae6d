import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const script = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "scripts", "demo.sh");
const ownRuntime = process.versions.deno ? "deno" : "bun";
const edgeRuntime = process.env.RUNNEL_EDGE_RUNTIME ?? ownRuntime;
const agentRuntime = process.env.RUNNEL_AGENT_RUNTIME ?? ownRuntime;

/** Runs demo.sh in another folder, and sends it SIGINT once it has printed what `interruptAt` matches. */
async function demo(args: string[], interruptAt?: RegExp) {
  const runtimes = ["--edge-runtime", edgeRuntime, "--agent-runtime", agentRuntime];
  const port = args.includes("--port") ? [] : ["--port", "0"];
  const child = spawn(script, [...port, ...runtimes, ...args], { cwd: tmpdir() });
  let output = "";
  let interrupted = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (interrupted || !interruptAt?.test(output)) return;
      interrupted = true;
      // After child.kill(), Deno reports the signal in place of the exit code.
      process.kill(child.pid!, "SIGINT");
    });
  }
  const [exitCode] = await once(child, "close");
  return { exitCode, output };
}

describe("demo.sh", () => {
  it("passes all its checks when told to try them once", async () => {
    const { exitCode, output } = await demo(["--once"]);
    assert.equal(exitCode, 0, output);
    assert.match(output, /\nall 9 checks passed\n$/);
    assert.doesNotMatch(output, /^FAIL/m);
  });

  for (const protocol of ["v2", "json"]) {
    it(`passes all its checks through TLS when told to, by protocol ${protocol}`, async () => {
      const { exitCode, output } = await demo(["--once", "--tls", "--protocol", protocol]);
      assert.equal(exitCode, 0, output);
      assert.match(output, /^https:\/\/demo\.localhost:\d+\//m);
      assert.match(output, /\nall 9 checks passed\n$/);
    });
  }

  it("loses neither byte nor tick over cuts of the link when told to cut it", async () => {
    const { exitCode, output } = await demo(["--cut", "--once", "--cut-every", "1", "--bytes", "20000000"]);
    assert.equal(exitCode, 0, output);
    const result = /\nok {4}20000000 bytes byte-exact and \d+ ticks in order, over (\d+) cuts\n$/.exec(output);
    assert.ok(Number(result?.[1]) >= 2, output);
    assert.match(output, /^cut 1: \d+ MB and \d+ ticks so far\n {7}back after \d+ ms$/m);
  });

  it("refuses to cut a session that ends with its link", async () => {
    const { exitCode, output } = await demo(["--cut", "--once", "--protocol", "json"]);
    assert.deepEqual([exitCode, output], [2, "demo: --cut needs --protocol v2 (see --help)\n"]);
  });

  it("exits 1 and names the port when the one that it was asked for is busy", async () => {
    const busy = createServer();
    busy.listen(0, "127.0.0.1");
    await once(busy, "listening");
    const { port } = busy.address() as AddressInfo;
    try {
      const { exitCode, output } = await demo(["--once", "--port", String(port)]);
      assert.deepEqual([exitCode, output], [
        1,
        `demo: port ${port} is busy: stop what listens there, or choose another --port\n`,
      ]);
    } finally {
      busy.close();
    }
  });

  it("shows URL and ticks, and leaves nothing behind when it is interrupted", async () => {
    const { exitCode, output } = await demo([], /^tick 2,/m);
    const url = output.match(/^http:\S+/)?.[0] ?? "";
    assert.equal(exitCode, 0, output);
    assert.match(url, /^http:\/\/demo\.localhost:\d+\/$/);
    assert.match(output, /\nNothing is left running\./);
    assert.match(output, /^ {2}export PATH=".*\/bin:\$PATH"$/m);
    // zsh takes a ? in a word without quotes for a pattern.
    assert.match(output, /^.* 'http:\S+\?\S+'$/m);
    assert.doesNotMatch(output, /(?<!')http:\S+\?/);
    await assert.rejects(fetch(`http://127.0.0.1:${new URL(url).port}/`));
  });
});
