/** The library as its users have it: bundled, installed as the package `runnel`, and run by each runtime. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { bundle } from "../../scripts/lib/bundle.mjs";
import { nodeProgram, programOf } from "../../scripts/lib/toolchain.mjs";
import { runtimeName } from "../../src/net/mod.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What runs a program of a user's. */
export interface LibraryHost {
  readonly name: "bun" | "deno" | "node";
  /** The command, and the arguments before the program's file. */
  readonly command: readonly string[];
  /** For `it(name, { skip }, …)`: why it cannot run here, else false. */
  readonly skip: string | false;
}

/** @param denoFlags permissions that a program gets there. Default: all. */
export function libraryHost(name: LibraryHost["name"], denoFlags: readonly string[] = ["-A"]): LibraryHost {
  const program = name === "node" ? nodeProgram() : programOf(name);
  const flags = name === "deno" ? ["run", ...denoFlags] : [];
  return { name, command: [program ?? name, ...flags], skip: program === null ? `there is no ${name} for it` : false };
}

/** The runtime of this test, and Node. */
export function libraryHosts(denoFlags?: readonly string[]): readonly LibraryHost[] {
  return [libraryHost(runtimeName as "bun" | "deno", denoFlags), libraryHost("node")];
}

/** Makes `folder` one in which programs can import `runnel`, and packages of this checkout that are named. */
export async function installLibrary(folder: string, ...packages: readonly string[]): Promise<void> {
  const installed = join(folder, "node_modules", "runnel");
  await mkdir(installed, { recursive: true });
  bundle(installed, "0123456789ab");
  const manifest = { name: "runnel", version: "0.0.0", type: "module", exports: "./mod.js" };
  await writeFile(join(installed, "package.json"), JSON.stringify(manifest));
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  for (const name of packages) await symlink(join(root, "node_modules", name), join(folder, "node_modules", name));
}

/** Copies a program of this repository into `folder`, where it finds the library. Returns its name there. */
export async function copyProgram(file: string, folder: string): Promise<string> {
  await cp(join(root, file), join(folder, basename(file)));
  return basename(file);
}

const limitMs = 30_000;

/** A running program, and what it has printed. */
export class LibraryProgram {
  readonly #child: ChildProcess;
  #onChange: () => void = () => {};
  #hasEnded = false;
  stdout = "";
  stderr = "";
  /** Null where a signal ended it. */
  readonly exitCode: Promise<number | null>;

  constructor(host: LibraryHost, folder: string, file: string, ...args: readonly string[]) {
    const [command, ...before] = host.command;
    this.#child = spawn(command!, [...before, file, ...args], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => this.#print(() => this.stdout += text));
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#print(() => this.stderr += text));
    this.exitCode = once(this.#child, "close").then(([code]) => {
      this.#print(() => this.#hasEnded = true);
      return code;
    });
  }

  /** The first match of `wanted` in all that it has printed on standard output. Rejects where it ends without. */
  printed(wanted: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const fail = (what: string) => {
        clearTimeout(timer);
        reject(new Error(`the program ${what} without ${wanted}\n${this.stdout}${this.stderr}`));
      };
      const timer = setTimeout(() => fail(`has run for ${limitMs} ms`), limitMs);
      this.#onChange = () => {
        const match = wanted.exec(this.stdout);
        if (match === null) return this.#hasEnded ? fail("ended") : undefined;
        clearTimeout(timer);
        resolve(match);
      };
      this.#onChange();
    });
  }

  /** Writes a line on its standard input. */
  type(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  /** Ends its standard input. */
  endInput(): void {
    this.#child.stdin!.end();
  }

  /** Resolves with the exit code. After the child's own `kill()` Deno would report the signal in its place. */
  stop(signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    if (!this.#hasEnded) process.kill(this.#child.pid!, signal);
    return this.exitCode;
  }

  #print(change: () => void): void {
    change();
    this.#onChange();
  }
}
