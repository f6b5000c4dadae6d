/** The lines of docs/install.md that run the programs under Deno: a request passes, and no permission is one too many. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { cacheVariables, programOf } from "../../scripts/lib/toolchain.mjs";
import { AdminApi } from "../support/admin_api.ts";
import { get } from "../support/public_client.ts";
import { dial } from "../../src/net/mod.ts";
import { freePort, SocketReader } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { commandsOf, readPage, root, tableRows } from "./page.ts";

const deno = programOf("deno");
const skip = deno === null ? "there is no deno on this machine" : false;

const page = readPage("docs/install.md");
const commands = page.fences.filter(({ marker }) => marker === "deno").flatMap(commandsOf);

/** A command of the page: the flags of Deno, and the program with its arguments. */
function partsOf(program: string): { allowed: string[]; call: string[] } {
  const words = commands.find((command) => command.includes(`bin/${program}.ts`))!.split(" ").slice(2);
  const at = words.findIndex((word) => !word.startsWith("--"));
  return { allowed: words.slice(0, at), call: words.slice(at) };
}

/** One program under Deno, with a home of its own. */
class Run {
  readonly exitCode: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  stdout = "";
  stderr = "";

  constructor(allowed: readonly string[], call: readonly string[], home: string) {
    // The variables of whoever runs the test must not stand in for what is missing.
    const { PATH = "" } = process.env;
    const env = {
      // Deno's own cache, for which no program needs a permission.
      ...cacheVariables,
      ...{ PATH, HOME: home, XDG_CONFIG_HOME: "", XDG_DATA_HOME: "", STATE_DIRECTORY: "", NO_COLOR: "1" },
      // Edges of several tests would want the same port.
      RUNNEL_ADMIN_LISTEN: "off",
    };
    const args = ["run", ...allowed, ...call];
    this.#child = spawn(deno!, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => this.#take(() => this.stdout += text));
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#take(() => this.stderr += text));
    this.exitCode = once(this.#child, "close").then(([code]) => code);
  }

  /** Its first event, which is `ready`. Rejects where it ends before. */
  ready(): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!this.stdout.includes("\n")) return;
        resolve(JSON.parse(this.stdout.split("\n")[0]!));
      };
      this.#watchers.add(look);
      void this.exitCode.then(() => reject(new Error(`it ended\n${this.stdout}${this.stderr}`)));
      look();
    });
  }

  async stop(): Promise<number | null> {
    process.kill(this.#child.pid!, "SIGTERM");
    return await this.exitCode;
  }

  #take(append: () => void): void {
    append();
    for (const look of this.#watchers) look();
  }
}

describe("the Deno permissions that docs/install.md lists", { skip }, () => {
  let home: string;
  let upstream: ScriptedServer;
  let edge: Run;
  let edgePort: number;
  let upstreamPort: number;
  /** The program's arguments as they stand on the page, but for the ports. */
  const callOf = (program: string) => {
    const ports = new Map([["127.0.0.1:8080", `127.0.0.1:${edgePort}`], ["3000", `127.0.0.1:${upstreamPort}`]]);
    const edgeFlags = program === "agent" ? ["--edge", `http://127.0.0.1:${edgePort}`, "--connect-timeout", "2s"] : [];
    return [...partsOf(program).call.map((word) => ports.get(word) ?? word), ...edgeFlags, "--json"];
  };

  before(async () => {
    upstream = await ScriptedServer.start(async (peer) => {
      await peer.readHead();
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    });
    upstreamPort = (upstream.target as { port: number }).port;
    edgePort = await freePort();
    home = await mkdtemp(join(tmpdir(), "runnel-deno-"));
    edge = new Run(partsOf("edge").allowed, callOf("edge"), home);
    await edge.ready();
  });
  after(async () => {
    await edge.stop();
    await upstream.close();
    await rm(home, { recursive: true, force: true });
  });

  /** Asks the tunnel `shop`, and ends the agent. */
  async function assertServes(agent: Run): Promise<void> {
    assert.equal((await agent.ready()).event, "ready");
    const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: edgePort }));
    assert.match(await get({ host: "shop.localhost", connect }), /\r\n\r\nhello$/);
    assert.equal(await agent.stop(), 0);
    assert.doesNotMatch(agent.stderr, /allow-/);
  }

  it("let a request pass", () =>
    withScratch((home) => assertServes(new Run(partsOf("agent").allowed, callOf("agent"), home))));

  it("let a request pass when --allow-net names the edge and the service alone", () =>
    withScratch((home) => {
      const net = `--allow-net=127.0.0.1:${edgePort},127.0.0.1:${upstreamPort}`;
      const allowed = partsOf("agent").allowed.map((flag) => flag === "--allow-net" ? net : flag);
      return assertServes(new Run(allowed, callOf("agent"), home));
    }));

  for (const program of ["edge", "agent"]) {
    for (const flag of partsOf(program).allowed.filter((flag) => flag.startsWith("--allow-"))) {
      it(`are all needed, and the missing one is named, when ${program} lacks ${flag}`, () =>
        withScratch(async (home) => {
          const allowed = partsOf(program).allowed.filter((other) => other !== flag);
          const run = new Run(allowed, callOf(program), home);
          assert.notEqual(await run.exitCode, 0);
          assert.ok(run.stderr.includes(flag), run.stderr);
          assert.doesNotMatch(run.stderr, /please report|trying on/);
          // Deno itself says so of the variables, which are read before anything can be printed.
          if (flag === "--allow-env") return;
          assert.match(run.stderr, new RegExp(`^error: .*${flag}`, "m"));
          const [error] = run.stdout.split("\n");
          assert.equal(JSON.parse(error!).event, "error");
        }));
    }
  }

  const own = ["--allow-read", "--allow-write", "--allow-sys=uid"];
  const serve = ["bin/edge.ts", "serve", "--listen", "127.0.0.1:0", "--json"];
  it("let an edge keep its own token, and nodes", () =>
    withScratch(async (home) => {
      const args = [...serve, "--data", join(home, "data"), "--admin-listen", "127.0.0.1:0"];
      const run = new Run([...partsOf("edge").allowed, ...own], args, home);
      const { dataDir, admin } = await run.ready();
      assert.match(await readFile(join(String(dataDir), "token"), "utf8"), /^\S{43}\n$/);
      await (await AdminApi.of(String(admin), String(dataDir))).addNode("web-1");
      assert.equal(await run.stop(), 0);
      assert.doesNotMatch(run.stderr, /allow-|Without nodes/);
    }));

  it("let an edge with a token go without nodes, of which it says why", () =>
    withScratch(async (home) => {
      for (const more of [[], ["--data", join(home, "data")]]) {
        const run = new Run(partsOf("edge").allowed, [...serve, "--token", "secret", ...more], home);
        const { dataDir, admin } = await run.ready();
        assert.deepEqual([dataDir, admin], [null, null]);
        assert.equal(await run.stop(), 0);
        assert.match(run.stderr, /Without nodes, declared tunnels and admin API: .*--allow-/);
      }
    }));

  for (const flag of own) {
    it(`name the missing one when an edge is to keep its own token and lacks ${flag}`, () =>
      withScratch(async (home) => {
        const allowed = [...partsOf("edge").allowed, ...own.filter((other) => other !== flag)];
        // Without --data, it asks whether it runs as root; else it must not, since root's folder is the system's.
        const run = new Run(allowed, flag === "--allow-sys=uid" ? serve : [...serve, "--data", home], home);
        assert.equal(await run.exitCode, 1);
        const [name] = flag.split("=");
        assert.match(run.stderr, new RegExp(`^error: .*${name} flag\nRun it by 'deno run ${name} \\.\\.\\.'`));
      }));
  }

  it("stand in the table beside the lines", () => {
    const listed = tableRows(page, "permission").map(([flag]) => flag!.replaceAll("`", ""));
    const used = ["edge", "agent"].flatMap((program) => partsOf(program).allowed).filter((flag) => /allow/.test(flag));
    assert.deepEqual(listed.sort(), [...new Set([...used, ...own])].sort());
  });
});
