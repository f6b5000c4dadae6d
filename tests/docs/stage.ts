/**
 * Where the commands of a page run: a folder with `edge`, `agent` and what the pages take for granted, and a private
 * service behind "port 3000". A page's own edge listens on "port 8080"; a page that starts none finds one there.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { cacheVariables } from "../../scripts/lib/toolchain.mjs";
import { freePort } from "../support/net.ts";
import { writeProgram } from "../support/programs.ts";
import { withScratch } from "../support/scratch.ts";
import { root } from "./page.ts";

interface Ports {
  readonly edge: number;
  readonly upstream: number;
  /** The admin API of a page's own edge. */
  readonly admin: number;
}

/**
 * What is written on a page, and what runs in its place. CONTRIBUTING.md tells the same. Beside it, curl's own
 * settings lead every name to the local edge and make an HTTP error an error, and the environment keeps home, data and
 * settings within the folder.
 */
const substitutions: readonly { written: RegExp; run: (ports: Ports, match: string[]) => string }[] = [
  // The domain itself is the local edge; behind `--public-url` it is only printed.
  {
    written: /(?<!--public-url )https?:\/\/example\.com(?::8080)?(?![\w.:])/g,
    run: ({ edge }) => `http://127.0.0.1:${edge}`,
  },
  // A tunnel's URL: no proxy ends TLS here.
  { written: /https?:\/\/([\w-]+)\.example\.com(?::8080)?/g, run: (_, [, name]) => `http://${name}.example.com` },
  { written: /\b4480\b/g, run: ({ admin }) => String(admin) },
  { written: /\b8080\b/g, run: ({ edge }) => String(edge) },
  { written: /\b3000\b/g, run: ({ upstream }) => String(upstream) },
];

/** Commands that go on until they are stopped: they are waited for, and end with the page. */
const service = /^(?:\w+=\S+ )*(?:edge serve|agent http|python3 scripts\/examples\/agent\.py)\b/;
/** curl showing a stream, which may have no end: its first bytes are waited for. */
const endlessStream = /^curl\b.* -N\b/;

const readyText = /"event":"ready"|https?:\/\//;
/** The pages' own token. */
const token = "secret";
const limitMs = 20_000;

/** Runs the commands in order, each once the one before has ended or is ready. Rejects where one fails. */
export function runCommands(commands: readonly string[]): Promise<void> {
  return withScratch(async (folder) => {
    const stage = new Stage(folder);
    try {
      await stage.prepare(commands.some((command) => /\bedge serve\b/.test(command)));
      for (const command of commands) await stage.run(command);
      await stage.endServices();
    } finally {
      await stage.close();
    }
  });
}

class Stage {
  readonly #folder: string;
  readonly #services: Run[] = [];
  #upstream: Run | null = null;
  #ports: Ports = { edge: 0, upstream: 0, admin: 0 };

  constructor(folder: string) {
    this.#folder = folder;
  }

  async prepare(hasEdge: boolean): Promise<void> {
    const bin = join(this.#folder, "bin");
    await mkdir(bin);
    for (const program of ["edge", "agent"]) await writeProgram(join(bin, program), `bin/${program}.ts`);
    await writeProgram(join(bin, "upstream"), "scripts/examples/upstream.ts");
    await symlink(join(root, "scripts"), join(this.#folder, "scripts"));
    await writeFile(join(this.#folder, "token"), `${token}\n`);
    this.#upstream = this.#start("exec upstream");
    const [, upstream] = await this.#upstream.waitFor(/"port":(\d+)/);
    // The page names its port before its edge runs.
    this.#ports = { edge: await freePort(), upstream: Number(upstream), admin: await freePort() };
    await writeFile(
      join(this.#folder, ".curlrc"),
      `connect-to = "::127.0.0.1:${this.#ports.edge}"\nfail\nmax-time = 20\n`,
    );
    if (!hasEdge) await this.run(`edge serve --token ${token}`);
  }

  async run(written: string): Promise<void> {
    const command = substitutions.reduce(
      (text, { written, run }) => text.replace(written, (...match) => run(this.#ports, match)),
      written,
    );
    if (service.test(command)) {
      const run = this.#start(command.replace(/(?=\b(?:edge|agent|python3) )/, "exec "));
      this.#services.push(run);
      await run.waitFor(readyText);
    } else if (endlessStream.test(command)) {
      const run = this.#start(`exec ${command}`);
      await run.waitFor(/./);
      await run.end("SIGTERM");
    } else {
      const run = this.#start(command);
      assert.equal(await run.exitCode, 0, `${written}\n${run.output}`);
    }
  }

  /** Ctrl-C for each, the last one first. */
  async endServices(): Promise<void> {
    for (const run of this.#services.splice(0).reverse()) {
      const exitCode = await run.end("SIGINT");
      const isPython = run.command.includes("python3");
      if (!isPython) assert.equal(exitCode, 0, `${run.command}\n${run.output}`);
    }
  }

  async close(): Promise<void> {
    for (const run of [...this.#services, this.#upstream]) await run?.end("SIGKILL");
  }

  #start(command: string): Run {
    const { edge, admin } = this.#ports;
    return new Run(command, this.#folder, {
      PATH: `${join(this.#folder, "bin")}:${process.env.PATH}`,
      HOME: this.#folder,
      ...cacheVariables,
      CURL_HOME: this.#folder,
      XDG_CONFIG_HOME: join(this.#folder, "config"),
      XDG_DATA_HOME: join(this.#folder, "data"),
      STATE_DIRECTORY: join(this.#folder, "state"),
      RUNNEL_LISTEN: `127.0.0.1:${edge}`,
      RUNNEL_EDGE: `http://127.0.0.1:${edge}`,
      RUNNEL_ADMIN_LISTEN: `127.0.0.1:${admin}`,
      RUNNEL_ADMIN: `http://127.0.0.1:${admin}`,
    });
  }
}

/** One command in a shell; behind `exec` the shell steps aside, so that signals reach the program. */
class Run {
  readonly command: string;
  /** Null where a signal ended it. */
  readonly exitCode: Promise<number | null>;
  output = "";
  readonly #child: ChildProcess;
  #stdout = "";
  #ended = false;
  #onChange: () => void = () => {};

  constructor(command: string, cwd: string, env: Record<string, string>) {
    this.command = command;
    this.#child = spawn("sh", ["-c", command], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
      this.#print(text);
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#print(text));
    this.exitCode = once(this.#child, "close").then(([code]) => {
      this.#ended = true;
      this.#onChange();
      return code;
    });
  }

  /** The first match of what it prints on standard output. */
  waitFor(wanted: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#onChange = () => {};
        then();
      };
      const fail = (what: string) => settle(() => reject(new Error(`${this.command} ${what}\n${this.output}`)));
      const timer = setTimeout(() => fail(`has not printed ${wanted} within ${limitMs} ms`), limitMs);
      this.#onChange = () => {
        const match = wanted.exec(this.#stdout);
        if (match !== null) settle(() => resolve(match));
        else if (this.#ended) fail("ended early");
      };
      this.#onChange();
    });
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    // child.kill() would make Deno report the signal in place of the exit code.
    if (!this.#ended) process.kill(this.#child.pid!, signal);
    return this.exitCode;
  }

  #print(text: string): void {
    this.output += text;
    this.#onChange();
  }
}
