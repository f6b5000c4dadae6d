/** `edge serve` with its control plane: where the admin API is, and what stands in the data folder. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import type { Readable } from "node:stream";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { ControlPlane } from "../../src/cli/edge_serve/control_plane.ts";
import { DataFolder } from "../../src/config/data_folder.ts";
import { AdminApi } from "../support/admin_api.ts";
import { listeningDescriptor, missingIPv6, programCommand, startTcpServer } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { startTestEdge } from "../support/tunnel.ts";
import { type Event, ProgramRun, runToEnd } from "./program_run.ts";

const token = "a-token-of-the-tests";
const serve = ["serve", "--listen", "127.0.0.1:0", "--json"];
const anyAdmin = ["--admin-listen", "127.0.0.1:0"];

/** Runs `use` with an edge, and ends it. */
async function withEdge(args: readonly string[], use: (ready: Event, run: ProgramRun) => Promise<void>): Promise<void> {
  const run = new ProgramRun(edgeProgram, [...serve, ...args], { environment: { RUNNEL_LOG_LEVEL: "warn" } });
  try {
    await use(await run.event("ready"), run);
  } finally {
    assert.equal(await run.stop(), 0, run.stderr);
  }
}

/** The status of `GET path`, asked by a Host that every listener allows. */
function statusOf(target: { port: number } | { socketPath: string }, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", ...target, path, headers: { host: "localhost" } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asked.on("error", reject).end();
  });
}

const portOf = (address: unknown) => ({ port: Number(String(address).split(":").at(-1)) });

describe("--admin-listen", () => {
  it("says where the admin API is, which tells whether the edge is ready, as the public port does", () =>
    withScratch((data) =>
      withEdge([...anyAdmin, "--data", data, "--token", token], async (ready) => {
        assert.match(String(ready.admin), /^127\.0\.0\.1:\d+$/);
        for (const address of [ready.admin, ready.listen]) {
          assert.equal(await statusOf(portOf(address), "/readyz"), 200);
        }
        assert.equal(await statusOf(portOf(ready.admin), "/api/v1/nodes"), 401);
        // The admin API is on its own listener alone.
        assert.equal(await statusOf(portOf(ready.listen), "/api/v1/nodes"), 404);
      })
    ));

  for (
    const [what, form, shown] of [["a port", "0", /^0\.0\.0\.0:\d+$/], [
      "an address",
      "[::1]:0",
      /^\[::1\]:\d+$/,
    ]] as const
  ) {
    it(
      `takes ${what}`,
      { skip: form.includes("::1") && missingIPv6 },
      () =>
        withScratch((data) =>
          withEdge(["--admin-listen", form, "--data", data], (ready) => {
            assert.match(String(ready.admin), shown);
            return Promise.resolve();
          })
        ),
    );
  }

  it("takes a unix socket", () =>
    withScratch(async (data) => {
      const socketPath = join(data, "admin.sock");
      await withEdge(["--admin-listen", `unix:${socketPath}`, "--data", data], async (ready) => {
        assert.equal(ready.admin, `unix:${socketPath}`);
        assert.equal(await statusOf({ socketPath }, "/readyz"), 200);
      });
    }));

  it("takes an inherited descriptor", { skip: process.platform !== "linux" }, () =>
    withScratch(async (data) => {
      const parent = await startTcpServer();
      const fd = listeningDescriptor(parent.port) as number;
      const args = [...serve, "--admin-listen", "fd:3", "--data", data];
      const child = spawn(...programCommand("bin/edge.ts", ...args), { stdio: ["ignore", "pipe", "inherit", fd] });
      const exited = once(child, "exit");
      const [line] = await once(createInterface({ input: child.stdout as Readable }), "line");
      assert.equal(JSON.parse(line).admin, `127.0.0.1:${parent.port}`);
      await parent.close();
      assert.equal(await statusOf({ port: parent.port }, "/readyz"), 200);
      process.kill(child.pid as number, "SIGTERM");
      await exited;
    }));

  it("off leaves tokens and declared tunnels as they are", () =>
    withScratch(async (data) => {
      let nodeToken = "";
      await withEdge([...anyAdmin, "--data", data], async (ready) => {
        const admin = await AdminApi.of(String(ready.admin), data);
        nodeToken = await admin.addNode("web-1");
        await admin.addTunnel("shop", ["web-1"]);
      });
      await withEdge(["--admin-listen", "off", "--data", data], async (ready) => {
        assert.equal(ready.admin, null);
        const edge = ["--edge", `http://${ready.listen}`];
        const agent = new ProgramRun(agentProgram, [
          "http",
          "3000",
          ...edge,
          "--json",
          "--name",
          "shop",
          "--token",
          nodeToken,
        ]);
        assert.equal((await agent.event("ready")).name, "shop");
        assert.equal(await agent.stop(), 0);
      });
    }));

  it("ends the edge with 5, and names the flag, where something listens there", () =>
    withScratch(async (data) => {
      const taken = await startTcpServer();
      const address = `127.0.0.1:${taken.port}`;
      const args = [...serve, "--admin-listen", address, "--data", data];
      const { exitCode, stderr } = await runToEnd(edgeProgram, args);
      await taken.close();
      assert.equal(exitCode, 5);
      assert.match(stderr, new RegExp(`^error: --admin-listen: .*${address}.* in use\n.*--admin-listen\n`));
    }));

  it("ends the edge with 2 where it is no address", async () => {
    for (const form of ["somewhere:http", "unix:", "fd:x", "127.0.0.1:99999", "/run/admin.sock"]) {
      const { exitCode, stderr } = await runToEnd(edgeProgram, [...serve, "--admin-listen", form]);
      assert.equal(exitCode, 2, form);
      assert.match(stderr, /^error: --admin-listen[ :]/);
    }
  });

  it("by default is nowhere where that port is busy, and the edge goes on", () =>
    withScratch(async (folder) => {
      const taken = await startTcpServer();
      const plane = await ControlPlane.open({
        data: new DataFolder(folder),
        domain: "localhost",
        reservedNames: new Set(),
        listen: taken.target,
        isListenOptional: true,
        hosts: [],
      });
      const edge = await startTestEdge(plane.edgeOptions);
      await plane.start(edge);
      assert.equal(plane.address, null);
      await edge.close();
      await plane.close();
      await taken.close();
    }));
});

describe("the data folder of edge serve", () => {
  it("of an earlier version goes on, with its token, and gets a store that its owner alone can read", () =>
    withScratch(async (folder) => {
      const data = join(folder, "data");
      await mkdir(data, { mode: 0o700 });
      await writeFile(join(data, "token"), `${token}\n`, { mode: 0o600 });
      await withEdge(["--data", data], async (ready, run) => {
        assert.deepEqual([ready.dataDir, run.stderr], [data, ""]);
        const agent = new ProgramRun(agentProgram, [
          "http",
          "3000",
          "--edge",
          `http://${ready.listen}`,
          "--token-file",
          join(data, "token"),
          "--json",
        ]);
        await agent.event("ready");
        assert.equal(await agent.stop(), 0);
      });
      assert.equal(await readFile(join(data, "token"), "utf8"), `${token}\n`);
      assert.deepEqual((await readdir(data)).sort(), ["admin-token", "known-tunnels.json", "runnel.db", "token"]);
      for (const file of await readdir(data)) assert.equal((await stat(join(data, file))).mode & 0o777, 0o600, file);
    }));

  it("may be one that cannot be written, as before, where it holds the token or the token is given", () =>
    withScratch(async (data) => {
      await writeFile(join(data, "token"), token);
      // No file can be made in its place, whoever runs the test.
      await mkdir(join(data, "admin-token"));
      for (const [args, dataDir] of [[[], data], [["--token", token], null]] as const) {
        await withEdge(["--data", data, ...args], (ready, run) => {
          assert.deepEqual([ready.admin, ready.dataDir], [null, dataDir]);
          assert.match(
            run.stderr,
            /Without nodes, declared tunnels and admin API: .*cannot be used.* --data names another/,
          );
          return Promise.resolve();
        });
      }
      await withEdge(["--data", join(data, "token", "data"), "--token", token], (ready) => {
        assert.deepEqual([ready.admin, ready.dataDir], [null, null]);
        return Promise.resolve();
      });
    }));

  it("must be one that can be written where an admin API is asked for", () =>
    withScratch(async (data) => {
      await mkdir(join(data, "admin-token"));
      const { exitCode, stderr } = await runToEnd(edgeProgram, [
        ...serve,
        ...anyAdmin,
        "--data",
        data,
        "--token",
        token,
      ]);
      assert.equal(exitCode, 1);
      assert.match(stderr, /^error: The data folder .* cannot be used: /);
    }));

  const faults: [what: string, spoil: (path: string) => Promise<unknown> | unknown, says: RegExp][] = [
    [
      "of a newer version",
      (path) => withDatabase(path, (database) => database.exec("PRAGMA user_version = 99")),
      /^error: .*was written by a newer program: .* version 99, .*\n.*newer program/,
    ],
    ["that is damaged", (path) => writeFile(path, "junk ".repeat(1_000)), /^error: .*\n.*backup/],
  ];
  for (const [what, spoil, says] of faults) {
    it(`with a store ${what} stops the edge with a sentence, also where a token is given`, () =>
      withScratch(async (data) => {
        await withEdge(["--data", data], () => Promise.resolve());
        const path = join(data, "runnel.db");
        await spoil(path);
        for (const args of [[], ["--token", token]]) {
          const { exitCode, stderr } = await runToEnd(edgeProgram, [...serve, "--data", data, ...args]);
          assert.equal(exitCode, 1);
          assert.match(stderr, says);
        }
      }));
  }

  it("with a store that is held stops the edge, since its nodes would be refused", () =>
    withScratch(async (data) => {
      await withEdge(["--data", data], () => Promise.resolve());
      const holder = new DatabaseSync(join(data, "runnel.db"));
      holder.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
      const { exitCode, stderr } = await runToEnd(edgeProgram, [...serve, "--data", data, "--token", token]);
      holder.close();
      assert.equal(exitCode, 1);
      assert.match(stderr, /^error: Cannot open the store .*locked/);
    }));

  it("may be shared by two edges, which know the same nodes", () =>
    withScratch((data) =>
      withEdge([...anyAdmin, "--data", data], (first) =>
        withEdge([...anyAdmin, "--data", data], async (second) => {
          const admins = await Promise.all([first, second].map(({ admin }) => AdminApi.of(String(admin), data)));
          const nodeToken = await admins[0].addNode("web-1");
          await admins[0].addTunnel("shop", ["web-1"]);
          // The second edge may not have seen it yet, and says so.
          const late = await admins[1].ask("POST", "nodes", { name: "web-1" });
          assert.equal(late.status, 409);
          const args = ["http", "3000", "--edge", `http://${second.listen}`, "--json", "--name", "shop"];
          const agent = new ProgramRun(agentProgram, [...args, "--token", nodeToken]);
          await agent.event("ready");
          assert.equal(await agent.stop(), 0);
        }))
    ));
});

function withDatabase(path: string, use: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(path);
  use(database);
  database.close();
}
