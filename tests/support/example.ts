/** A script of scripts/examples, run as its reader runs it, with the programs of this checkout. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { root } from "../../scripts/lib/toolchain.mjs";
import { agentRuntime, edgeRuntime } from "./processes.ts";
import { writeProgram } from "./programs.ts";
import { withScratch } from "./scratch.ts";

export interface ExampleRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order in which they came. */
  readonly output: string;
  /** What it left in its temporary folder. */
  readonly left: readonly string[];
}

/** Runs it under dash. Not by spawnSync: the private services live in this process. */
export function runExample(
  name: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<ExampleRun> {
  return withScratch(async (folder) => {
    const temporary = join(folder, "temporary");
    await mkdir(temporary);
    await writeProgram(join(folder, "edge"), "bin/edge.ts", edgeRuntime);
    await writeProgram(join(folder, "agent"), "bin/agent.ts", agentRuntime);
    const PATH = `${folder}:${process.env.PATH}`;
    const child = spawn("dash", [join(root, "scripts", "examples", name), ...args], {
      env: { ...process.env, PATH, HOME: folder, TMPDIR: temporary, ...environment },
    });
    const texts = { stdout: "", stderr: "", output: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        texts[stream] += text;
        texts.output += text;
      });
    }
    const [status] = await once(child, "close");
    return { status, ...texts, left: await readdir(temporary) };
  });
}
