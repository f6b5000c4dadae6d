/** DnsHook with hooks of the shell. */
import assert from "node:assert/strict";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { DnsHook } from "../../src/acme/dns_hook.ts";
import { AcmeError } from "../../src/acme/issuer.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";

const proof = { host: "example.com", token: "t", text: "$(touch x) 'q' \"*\"" };

function withHook(script: string, use: (hook: string, folder: string) => Promise<void>): Promise<void> {
  return withScratch(async (folder) => {
    const path = join(folder, "a hook; false");
    await writeFile(path, `#!/bin/sh\ncd "$(dirname "$0")"\n${script}\n`);
    await chmod(path, 0o755);
    await use(path, folder);
  });
}

function failsWith(words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof AcmeError);
    assert.match(error.reason, words);
    return true;
  };
}

describe("DnsHook", () => {
  it("calls the program with action, record and value as they are, and no shell in between", () =>
    withHook('for word in "$@"; do printf "%s\\n" "$word"; done >> calls', async (command, folder) => {
      const hook = new DnsHook({ command, timeoutMs: 60_000 });
      await hook.present(proof);
      await hook.cleanUp(proof);
      const record = "_acme-challenge.example.com";
      const calls = await readFile(join(folder, "calls"), "utf8");
      assert.equal(calls, ["present", record, proof.text, "cleanup", record, proof.text, ""].join("\n"));
    }));

  it("fails with the exit code and the last words when the program fails", () =>
    withHook("echo one >&2; printf 'no such \\033[31mzone\\n' >&2; exit 3", async (command) => {
      const hook = new DnsHook({ command, timeoutMs: 60_000 });
      const words = /present _acme-challenge\.example\.com exited 3: no such \\x1b\[31mzone$/;
      await assert.rejects(hook.present(proof), failsWith(words));
    }));

  it("keeps only the end of what the program writes, however much that is", () =>
    withHook("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2; exit 1", async (command) => {
      const hook = new DnsHook({ command, timeoutMs: 60_000 });
      await assert.rejects(hook.present(proof), failsWith(/exited 1: end$/));
    }));

  it("fails when there is no such program", () =>
    withScratch(async (folder) => {
      const hook = new DnsHook({ command: join(folder, "nothing"), timeoutMs: 60_000 });
      await assert.rejects(hook.present(proof), failsWith(/cannot be started/));
    }));

  it("ends a program that takes too long, also where another one holds its output", () =>
    withHook("echo $$ > pid; sleep 600 & echo $! > child; wait", async (command, folder) => {
      const clock = new FakeClock();
      const hook = new DnsHook({ command, timeoutMs: 5_000, clock });
      const call = hook.present(proof);
      const refused = assert.rejects(call, failsWith(/took longer than --acme-dns-timeout, 5000 ms$/));
      const numberIn = async (file: string) => Number(await readFile(join(folder, file), "utf8").catch(() => "0"));
      await eventually(async () => await numberIn("child") > 0);
      clock.advance(5_000);
      await refused;
      const pid = await numberIn("pid");
      await eventually(() => !isRunning(pid));
      process.kill(await numberIn("child"), "SIGKILL");
    }));
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
