import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { dial, runtimeName } from "../../src/net/mod.ts";
import { eventually, programCommand, SocketReader } from "../support/net.ts";

const isDeno = runtimeName === "deno";

function start(file: string, ...args: string[]) {
  const child = spawn(...programCommand(file, ...args), {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, RUNNEL_TEST_VARIABLE: "a value" },
  });
  const output = { text: "" };
  child.stdout!.on("data", (data) => output.text += data);
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  // Deno's `child.kill()` works once only.
  const signal = (name: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) process.kill(child.pid!, name);
  };
  return { signal, output, exited };
}

/** Gives `use` a program that has written its first line, and ends it whatever happens. */
async function withProgram(
  file: string,
  args: string[],
  use: (program: ReturnType<typeof start>) => Promise<void>,
): Promise<void> {
  const program = start(file, ...args);
  try {
    await eventually(() => program.output.text.includes("\n"), { deadlineMs: 20_000 });
    await use(program);
  } finally {
    program.signal("SIGKILL");
    await program.exited;
  }
}

describe("A process", () => {
  it("survives every error of a socket that nobody waits for", async () => {
    const { output, exited } = start("tests/net/programs/survive.ts");
    assert.equal(await exited, 0);
    assert.equal(output.text, "survived\n");
  });

  it("refuses new sockets and keeps the others when its descriptors run out", async () => {
    const [command, args] = programCommand("tests/net/programs/exhaust.ts");
    const child = spawn("sh", ["-c", 'ulimit -n 120; exec "$@"', "sh", command, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout!.on("data", (data) => output += data);
    assert.equal(await new Promise((resolve) => child.once("close", resolve)), 0);
    assert.equal(output, "kept all\n");
  });

  it(
    "accepts again after its descriptors ran out, although it does not know their number",
    { skip: !isDeno },
    async () => {
      const [command, [, , ...words]] = programCommand("tests/net/programs/hold_all.ts");
      const run = [command, "run", "--no-prompt", "--allow-net", "--allow-env", ...words];
      const child = spawn("sh", ["-c", 'ulimit -n 120; exec "$@"', "sh", ...run], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let output = "";
      child.stdout!.on("data", (data) => output += data);
      try {
        await eventually(() => output.includes("\n"));
        const target = { kind: "tcp", host: "127.0.0.1", port: Number(output) } as const;
        // Some may be reset meanwhile, and none is served beyond its descriptors.
        const sockets = await Promise.all(Array.from({ length: 300 }, () => dial(target).catch(() => null)));
        for (const socket of sockets) socket?.reset();
        await eventually(async () => {
          const reader = new SocketReader(await dial(target));
          const isServed = await reader.readUntil("hello").then(() => true, () => false);
          reader.socket.reset();
          return isServed;
        });
      } finally {
        child.kill("SIGKILL");
        await new Promise((resolve) => child.once("close", resolve));
      }
    },
  );

  it("tells its arguments, environment and terminal", async () => {
    await withProgram("tests/net/programs/signals.ts", ["one", "--two=3"], ({ output }) => {
      const { version, ...told } = JSON.parse(output.text);
      assert.match(version, /^\d+\.\d+\.\d+/);
      assert.deepEqual(told, {
        name: runtimeName,
        words: ["one", "--two=3"],
        variable: "a value",
        missing: null,
        terminal: { isTerminal: false, columns: 80, rows: 24 },
      });
      return Promise.resolve();
    });
  });

  it("hears a signal with each handler until that is ended, and is ended by it after the last", async () => {
    await withProgram("tests/net/programs/signals.ts", [], async ({ signal, output, exited }) => {
      output.text = "";
      signal("SIGHUP");
      await eventually(() => output.text === "first\nsecond\n");
      signal("SIGHUP");
      await eventually(() => output.text === "first\nsecond\nsecond\n");
      signal("SIGHUP");
      assert.notEqual(await exited, 0);
    });
  });

  it("ends with the status it asked for", async () => {
    await withProgram("tests/net/programs/signals.ts", [], async ({ signal, exited }) => {
      signal("SIGTERM");
      assert.equal(await exited, 7);
    });
  });
});
