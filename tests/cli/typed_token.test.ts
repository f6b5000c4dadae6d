/** A token that is typed on a terminal, in a program of its own with a terminal of its own (pty(7)), which Python makes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import type { Edge } from "../../src/edge/edge.ts";
import { version } from "../../src/config/mod.ts";
import { programCommand } from "../support/net.ts";
import { missingPeer } from "../support/peers.ts";
import { withScratch } from "../support/scratch.ts";
import { startTestEdge, token } from "../support/tunnel.ts";

/** Types its first argument once it is asked, and tells what the terminal showed, and whether it shows typing again. */
const terminal = `
import os, pty, sys, termios
keys = sys.argv[1].encode().decode("unicode_escape").encode("latin1")
child, master = pty.fork()
if child == 0: os.execvp(sys.argv[2], sys.argv[2:])
shown, typed = b"", False
while True:
    try: piece = os.read(master, 4096)
    except OSError: break
    if not piece: break
    shown += piece
    if b"not shown" in shown and not typed:
        typed = True
        os.write(master, keys)
echoes = termios.tcgetattr(master)[3] & termios.ECHO != 0
_, status = os.waitpid(child, 0)
sys.stdout.write("%d %s\\n%s" % (os.waitstatus_to_exitcode(status), echoes, shown.decode()))
`;

interface Outcome {
  readonly exitCode: number;
  /** True where the terminal shows what is typed again. */
  readonly echoes: boolean;
  readonly shown: string;
}

async function type(keys: string, home: string, ...args: string[]): Promise<Outcome> {
  const [command, words] = programCommand("bin/agent.ts", ...args);
  const environment = { PATH: process.env.PATH, HOME: home, XDG_CONFIG_HOME: home, DENO_DIR: process.env.DENO_DIR };
  const python = spawn("python3", ["-c", terminal, keys, command, ...words], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  python.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
  await once(python, "close");
  const [, exitCode, echoes, shown] = /^(-?\d+) (True|False)\n([^]*)$/.exec(output) ?? assert.fail(output);
  return { exitCode: Number(exitCode), echoes: echoes === "True", shown: shown as string };
}

describe("a token that is typed", { skip: missingPeer("python3") }, () => {
  let edge: Edge;
  before(async () => void (edge = await startTestEdge({ version })));
  after(() => edge.close());
  const url = () => `http://127.0.0.1:${edge.address.port}`;

  for (const args of [[], ["--token-file", "-"]]) {
    it(`is not shown, and is kept, when agent login ${args.join(" ")} asks for it`, () =>
      withScratch(async (home) => {
        const { exitCode, echoes, shown } = await type(`${token}\\r`, home, "login", url(), ...args);
        assert.deepEqual([exitCode, echoes], [0, true], shown);
        assert.ok(!shown.includes(token), shown);
        assert.match(shown, /Edge and token are kept/);
        assert.match(await readFile(join(home, "runnel/agent.yaml"), "utf8"), new RegExp(`^token: ${token}$`, "m"));
      }));
  }

  it("can be corrected by backspace and Ctrl-U, and pasted with the marks of a terminal", () =>
    withScratch(async (home) => {
      const keys = `wrong\\x15\\x1b[200~${token}\\x1b[201~x\\x7f\\x1b[D\\r`;
      const { exitCode, shown } = await type(keys, home, "login", url());
      assert.equal(exitCode, 0, shown);
    }));

  it("is given up by Ctrl-C, which leaves the terminal as it was", () =>
    withScratch(async (home) => {
      const { exitCode, echoes, shown } = await type("abc\\x03", home, "login", url());
      assert.deepEqual([exitCode, echoes], [130, true], shown);
      assert.ok(!existsSync(join(home, "runnel")));
    }));
});
