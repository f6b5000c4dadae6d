import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("programs/lost_reader.ts", import.meta.url));
const args = process.versions.deno === undefined ? [program] : ["run", "-A", "--no-check", program];

describe("writeText", () => {
  it("loses the text, and the program goes on, when the reader has gone", async () => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [exitCode] = await once(child, "close");
    assert.deepEqual([exitCode, errors], [0, "still here\n"]);
  });
});
