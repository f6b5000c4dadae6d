/** `edge node`, `edge tunnel`, `edge token`, `edge backup` and `edge restore`, against an edge that runs. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { edgeProgram } from "../../src/cli/edge.ts";
import { adminCommands } from "../../src/cli/edge_admin/mod.ts";
import { openSqliteStore } from "../../src/store/mod.ts";
import { audit, putNode } from "../store/records.ts";
import { bytesOf, freePort, startTcpServer } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { ProgramRun, type Result, runToEnd } from "./program_run.ts";

interface Stage {
  /** Runs a command against the edge; words are separated by blanks. */
  edge(command: string, ...words: string[]): Promise<Result>;
  readonly data: string;
  readonly admin: string;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

function onStage(use: (stage: Stage) => Promise<void>, listen = "127.0.0.1:0"): Promise<void> {
  return withScratch(async (folder) => {
    const data = join(folder, "data");
    const start = async () => {
      const args = ["--listen", "127.0.0.1:0", "--admin-listen", listen.replace("FOLDER", folder), "--data", data];
      const run = new ProgramRun(edgeProgram, ["serve", "--json", ...args]);
      return { run, admin: String((await run.event("ready")).admin) };
    };
    let { run, admin } = await start();
    const stage = {
      data,
      get admin() {
        return admin.startsWith("unix:") ? admin : `http://${admin}`;
      },
      edge: (command: string, ...words: string[]) =>
        runToEnd(edgeProgram, [...command.split(" "), ...words, "--admin", stage.admin, "--data", data]),
      async stop() {
        assert.equal(await run.stop(), 0);
      },
      async restart() {
        ({ run, admin } = await start());
      },
    };
    try {
      await use(stage);
    } finally {
      await run.stop();
    }
  });
}

/** The one object that a command has printed. */
function resultOf({ exitCode, stdout, stderr, events }: Result): Record<string, unknown> {
  assert.deepEqual([exitCode, stderr, events.length], [0, "", 1], `${stdout}\n${stderr}`);
  return events[0]!;
}

function assertFails(result: Result, exitCode: number, message: RegExp | string, remedy?: string): void {
  const [first = "", second = ""] = result.stderr.split("\n");
  assert.equal(result.exitCode, exitCode, result.stderr);
  if (typeof message === "string") assert.equal(first, `error: ${message}`);
  else assert.match(first, message);
  if (remedy !== undefined) assert.equal(second, remedy);
  assert.ok(!/\n\s+at /.test(result.stderr), "the error shows a stack");
}

const tunnelKeys = ["hostnames", "id", "kind", "name", "nodes", "port", "project", "requires", "revision", "upstream"];

describe("The commands of edge for operators", () => {
  it("print for people what was asked for", () =>
    onStage(async ({ edge }) => {
      const lines = async (command: string) => {
        const { exitCode, stdout, stderr } = await edge(command);
        assert.deepEqual([exitCode, stderr], [0, ""]);
        return stdout.trimEnd().split("\n");
      };
      const added = await lines("node add web-1 --label site=fra --label rack=7");
      assert.match(added[0]!, /^Token {7}rnl_node_[a-z2-9]{16}_[\w-]{43}$/);
      assert.equal(added[1], "            It is shown this once: web-1 connects with it, by --token-file FILE");
      await lines("tunnel add shop --node web-1 --upstream 3000 --hostname shop.test --hostname *.shop.test");
      await lines("tunnel add db --node web-1 --upstream 127.0.0.1:5432 --kind tcp --port 20001");
      assert.deepEqual(await lines("node list"), [
        "NODE   LABELS            TUNNELS",
        "web-1  site=fra, rack=7  db, shop",
      ]);
      const [head, db, shop] = (await lines("tunnel list")).map((line) => line.split(/ {2,}/));
      assert.deepEqual(head, ["TUNNEL", "URL", "NODES", "UPSTREAM", "HOSTNAMES", "SETTINGS"]);
      assert.deepEqual([db![0], ...db!.slice(2)], ["db", "web-1", "127.0.0.1:5432", "none", "none"]);
      assert.deepEqual([shop![0], ...shop!.slice(2)], ["shop", "web-1", "3000", "shop.test, *.shop.test", "none"]);
      const shown = await lines("node show web-1");
      assert.deepEqual(shown.map((line) => line.split(/ {2,}/)[0]), ["Node", "Labels", "Enrolled", "Tunnels"]);
      await lines("token add --name pr-* --for 90d");
      const tokens = (await lines("token list")).map((line) => line.split(/ {2,}/).slice(1));
      assert.deepEqual(tokens.map(([opens]) => opens).sort(), ["OPENS", "names pr-*", "node web-1"]);
      assert.match((await lines("node rotate web-1 --grace 10m"))[0]!, /^Token {7}rnl_node_/);
      assert.deepEqual(await lines("tunnel remove db"), ["Removed the tunnel db"]);
      assert.deepEqual(await lines("node remove web-1"), ["Removed the node web-1", "Without a node now: shop"]);
    }));

  it("print one object a command with --json", () =>
    onStage(async ({ edge }) => {
      const json = async (command: string) => resultOf(await edge(command, "--json"));
      const node = await json("node add web-1 --label site=fra");
      assert.deepEqual(Object.keys(node), ["id", "name", "token"]);
      const tunnel = await json("tunnel add shop --node web-1 --upstream 3000 --hostname shop.test");
      assert.deepEqual(Object.keys(tunnel).sort(), [...tunnelKeys, "url"].sort());
      assert.deepEqual(await json("tunnel list"), { tunnels: [tunnel] });
      const { nodes } = await json("node list") as { nodes: Record<string, unknown>[] };
      assert.deepEqual(nodes.map(({ name, labels, tunnels }) => [name, labels, tunnels]), [["web-1", { site: "fra" }, [
        "shop",
      ]]]);
      assert.deepEqual(await json("node show web-1"), nodes[0]);
      const rotated = await json("node rotate web-1");
      assert.deepEqual([rotated.id, rotated.name], [node.id, "web-1"]);
      assert.notEqual(rotated.token, node.token);
      const token = await json("token add --name pr-*");
      const { tokens } = await json("token list") as { tokens: Record<string, unknown>[] };
      assert.ok(tokens.some(({ id, names, expiresAt }) => id === token.id && names === "pr-*" && expiresAt === null));
      assert.ok(!JSON.stringify(tokens).includes(String(token.token)));
      assert.deepEqual(await json(`token remove ${token.id}`), { id: token.id });
      assert.deepEqual(await json("node remove web-1"), { name: "web-1", tunnelsWithoutNode: ["shop"] });
      assert.deepEqual(await json("tunnel remove shop"), { name: "shop" });
    }));

  it("list what is more than a page", () =>
    onStage(async ({ edge, data, stop, restart }) => {
      await stop();
      const store = await openSqliteStore({ path: join(data, "runnel.db") });
      await store.commit(Array.from({ length: 1_001 }, (_, index) => putNode(`node-${index}`)), audit);
      await store.close();
      await restart();
      const { nodes } = resultOf(await edge("node list --json")) as { nodes: { name: string }[] };
      assert.equal(new Set(nodes.map(({ name }) => name)).size, 1_001);
    }));

  it("end with a code for scripts, and say what to do", () =>
    onStage(async ({ edge }) => {
      await edge("node add web-1");
      await edge("tunnel add shop --node web-1 --upstream 3000 --hostname shop.test");
      await edge("tunnel add db --node web-1 --upstream 5432 --kind tcp --port 20001");
      const add = "tunnel add b --node web-1 --upstream 3000";
      const cases: [command: string, exitCode: number, message: string | RegExp, remedy?: string][] = [
        ["node add web-1", 5, "There is a node web-1 already", "Choose another name, or remove what has it"],
        ["tunnel add shop --node web-1 --upstream 1", 5, "There is a tunnel shop already"],
        [`${add} --hostname shop.test`, 5, "The hostname shop.test belongs to the tunnel shop of web-1"],
        [`${add} --kind tcp --port 20001`, 5, "The port 20001 belongs to the tunnel db", "Choose another port"],
        ["node add Web", 2, /^error: The node name "Web" must be 1 to 63 characters/, "Choose another name"],
        ["tunnel add www --node web-1 --upstream 1", 2, /^error: The name www is reserved/],
        [`${add} --hostname a_b`, 2, /^error: The hostname "a_b" has one label/, "Correct what the message names"],
        [`${add} --port 20002`, 2, "--port is for tcp tunnels", "Leave it out, or add --kind tcp"],
        [`${add} --kind tcp --port 70000`, 2, /^error: --port "70000" is not between 1 and 65535$/],
        ["tunnel add b --node web-1", 2, "The option --upstream is missing"],
        ["tunnel add b --upstream 1", 2, "The option --node is missing"],
        ["tunnel add b --node web-1 --upstream /srv", 2, /^error: The target "\/srv" cannot be read: folders/],
        ["tunnel add b --node web-9 --upstream 1", 1, "There is no node web-9", "See edge node list"],
        ["node show web-9", 1, "There is no node web-9", "See edge node list"],
        ["node rotate web-9", 1, "There is no node web-9", "See edge node list"],
        ["node remove web-9", 1, "There is no node web-9", "See edge node list"],
        ["tunnel remove b", 1, "There is no tunnel b", "See edge tunnel list"],
        ["node show ..", 2, 'No node is called ".."'],
        ["node rotate .", 2, 'No node is called "."'],
        ["node remove ", 2, 'No node is called ""'],
        ["tunnel remove ..", 2, 'No tunnel is called ".."'],
        ["token remove ", 2, 'No token is called ""'],
        ["token remove abc", 1, "There is no token abc", "See edge token list"],
        ["token add", 2, "The option --name is missing"],
        ["token add --name a*b", 2, /^error: The pattern "a\*b" /],
        ["node add c --label site", 2, /^error: --label "site" is no label such as site=fra$/],
        ["node add c --label a=1 --label a=2", 2, '--label gives "a" two values'],
        ["node rotate web-1 --grace 400d", 2, /graceMs/],
        ["node", 2, "The command node is one of node add, node list, node show, node rotate, node remove"],
        ["node ad x", 2, "Unknown command node ad; did you mean node add?"],
      ];
      for (const [command, exitCode, message, remedy] of cases) {
        const isWhole = !["node", "node ad x"].includes(command);
        assertFails(
          isWhole ? await edge(command) : await runToEnd(edgeProgram, command.split(" ")),
          exitCode,
          message,
          remedy,
        );
      }
      const { events } = await edge("node add web-1 --json");
      assert.deepEqual(events.map(({ event, code }) => [event, code]), [["error", "name_taken"], ["exit", 5]]);
    }));

  it("are asked on a unix socket, too", () =>
    onStage(async ({ edge, admin }) => {
      assert.match(admin, /^unix:\//);
      resultOf(await edge("node add web-1 --json"));
      const { stdout } = await edge("node list");
      assert.match(stdout, /^web-1 /m);
    }, "unix:FOLDER/admin.sock"));

  it("are all in the help and have examples that are calls of theirs", async () => {
    const { stdout } = await runToEnd(edgeProgram, ["--help"]);
    for (const command of adminCommands) {
      assert.ok(stdout.includes(`\n  ${command.name} `), command.name);
      assert.ok(command.examples.length > 0);
      for (const example of command.examples) assert.ok(example.startsWith(`edge ${command.name}`), example);
    }
  });
});

describe("The admin's token", () => {
  const list = (...args: string[]) => ["node", "list", ...args];

  it("is refused with exit code 3 where it is wrong, missing or none", () =>
    onStage(async ({ admin, data }) => {
      const remedy =
        "Name the edge's data folder with --data, or give the token in it, admin-token, in RUNNEL_ADMIN_TOKEN";
      const run = (environment: Record<string, string>, ...args: string[]) =>
        runToEnd(edgeProgram, list("--admin", admin, ...args), { environment });
      assertFails(await run({ RUNNEL_ADMIN_TOKEN: "wrong" }), 3, "The token is not that of the admin", remedy);
      const missing = join(data, "none");
      assertFails(
        await run({}, "--data", missing),
        3,
        `There is no admin token in ${missing}/admin-token or RUNNEL_ADMIN_TOKEN`,
        remedy,
      );
      assertFails(await run({ RUNNEL_ADMIN_TOKEN: "a b" }), 3, /^error: The admin token in RUNNEL_ADMIN_TOKEN has /);
      await mkdir(missing);
      await writeFile(join(missing, "admin-token"), "a\nb\n");
      assertFails(await run({}, "--data", missing), 3, /admin-token has other characters than visible ASCII$/);
      const token = (await readFile(join(data, "admin-token"), "utf8")).trim();
      assert.equal((await run({ RUNNEL_ADMIN_TOKEN: token })).exitCode, 0);
      assert.equal((await stat(join(data, "admin-token"))).mode & 0o777, 0o600);
    }));

  it("is asked for only once the words of the command are right", async () => {
    const { exitCode, stderr } = await runToEnd(edgeProgram, ["token", "add", "--data", "/nowhere"]);
    assert.deepEqual([exitCode, stderr.split("\n")[0]], [2, "error: The option --name is missing"]);
  });

  it("goes to another machine with a warning alone", async () => {
    const port = await freePort();
    const environment = { RUNNEL_ADMIN_TOKEN: "x", RUNNEL_LOG_LEVEL: "warn" };
    const far = await runToEnd(edgeProgram, list("--admin", `http://0.0.0.0:${port}`), { environment });
    assert.match(far.stderr, /The admin's token goes to .*without encryption/);
    const near = await runToEnd(edgeProgram, list("--admin", `http://127.0.0.1:${port}`), { environment });
    assert.ok(!near.stderr.includes("without encryption"));
  });
});

describe("An edge that cannot be asked", () => {
  const environment = { RUNNEL_ADMIN_TOKEN: "secret-token" };
  const ask = (admin: string) => runToEnd(edgeProgram, ["node", "list", "--admin", admin], { environment });
  const remedy = "Check that edge serve runs, and that --admin names its admin API";

  it("is exit code 4 where nothing listens", async () => {
    const port = await freePort();
    assertFails(await ask(`http://127.0.0.1:${port}`), 4, /^error: The admin API http:.* cannot be asked: /, remedy);
    assertFails(await ask("unix:/nowhere/admin.sock"), 4, /^error: The admin API unix:\/nowhere/, remedy);
  });

  const html = "<html>";
  const answers: [what: string, answer: string, message: RegExp][] = [
    ["a page", `200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n${html}`, /is no admin API: .* 200$/],
    ["junk as JSON", `200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n${html}`, /no admin API/],
    ["a redirect", "302 Found\r\nLocation: http://a.test\r\nContent-Length: 0\r\n\r\n", /is no admin API: .* 302$/],
    ["a 404 of its own", "404 Not Found\r\nContent-Length: 0\r\n\r\n", /is no admin API: its status was 404$/],
    [
      "a broken problem",
      "400 Bad\r\nContent-Type: application/problem+json\r\nContent-Length: 1\r\n\r\n{",
      /no admin API/,
    ],
    [
      "less than it says",
      '200 OK\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{"nodes',
      /cannot be asked/,
    ],
    ["no HTTP", "SSH\r\n\r\n", /cannot be asked/],
  ];
  for (const [what, answer, message] of answers) {
    it(`is exit code 4 where something else answers: ${what}`, async () => {
      const server = await startTcpServer((socket) => {
        socket.handlers = {
          onData() {
            socket.write(bytesOf(answer.startsWith("SSH") ? answer : `HTTP/1.1 ${answer}`));
            socket.end();
          },
          onEnd() {},
          onDrain() {},
          onClose() {},
        };
        socket.resume();
      });
      try {
        const result = await ask(`http://127.0.0.1:${server.port}`);
        assertFails(result, 4, message, remedy);
        assert.ok(!result.stderr.includes("secret-token"));
      } finally {
        await server.close();
      }
    });
  }

  it("is exit code 4 where --admin names the public listener", async () => {
    const run = new ProgramRun(edgeProgram, ["serve", "--listen", "127.0.0.1:0", "--token", "x-x-x-x-x", "--json"]);
    const { listen } = await run.event("ready");
    assertFails(await ask(`http://${listen}`), 4, /is no admin API: its status was 404$/, remedy);
    assert.equal(await run.stop(), 0);
  });

  it("is a usage error where --admin is no URL of one", async () => {
    for (const admin of ["127.0.0.1:4480", "ftp://a", "http://a/b", "http://u:p@a", "http://a?token=x", "unix:"]) {
      assertFails(
        await ask(admin),
        2,
        /^error: --admin .*is neither a URL such as http:\/\/127\.0\.0\.1:4480 nor unix:PATH$/,
      );
    }
    assertFails(await ask("https://127.0.0.1:4480"), 2, /is encrypted, which the admin API is not: forward its port/);
  });
});

describe("edge backup and edge restore", () => {
  it("bring nodes, tokens and tunnels back, as a new epoch", () =>
    onStage(async (stage) => {
      const { edge, data } = stage;
      const { token } = resultOf(await edge("node add web-1 --json"));
      resultOf(await edge("tunnel add shop --node web-1 --upstream 3000 --json"));
      const etag = await etagOf(stage);
      const file = join(data, "..", "backup");
      await writeFile(file, "an older one");
      await chmod(file, 0o644);
      const backup = resultOf(await edge("backup", file, "--json"));
      const { size, mode } = await stat(file);
      assert.deepEqual([backup, mode & 0o777], [{ file, bytes: size }, 0o600]);
      assert.ok(!(await readFile(file, "latin1")).includes(String(token).slice(-43)), "a token is in the backup");
      resultOf(await edge("tunnel remove shop --json"));
      resultOf(await edge("tunnel add later --node web-1 --upstream 3000 --json"));

      const restore = (...words: string[]) => runToEnd(edgeProgram, ["restore", ...words, "--data", data]);
      const remedy = "Stop edge serve, and start it again behind this";
      assertFails(await restore(file), 1, /^error: The store .*runnel\.db is in use by another program$/, remedy);
      assert.match((await edge("tunnel list")).stdout, /^later /m);

      await stage.stop();
      const store = join(data, "runnel.db");
      assert.deepEqual(resultOf(await restore(file, "--json")), { file, store, replaced: `${store}.replaced` });
      await stage.restart();
      const { tunnels } = resultOf(await edge("tunnel list --json")) as { tunnels: { name: string }[] };
      assert.deepEqual(tunnels.map(({ name }) => name), ["shop"]);
      const restored = await etagOf(stage);
      assert.equal(restored.split("-")[1], etag.split("-")[1]);
      assert.notEqual(restored, etag);
      assert.deepEqual((await readdir(data)).filter((name) => /tmp|backup/.test(name)), []);
    }));

  it("say what is wrong with a file, and leave everything as it was", () =>
    onStage(async ({ edge, data, stop }) => {
      const junk = join(data, "junk");
      assertFails(await edge("backup", join(data, "no", "file")), 1, /^error: The backup cannot be written to /);
      await stop();
      await writeFile(junk, "junk ".repeat(1_000));
      const before = await readFile(join(data, "runnel.db"));
      const restore = (file: string) => runToEnd(edgeProgram, ["restore", file, "--data", data]);
      assertFails(await restore(junk), 1, /^error: Cannot restore the backup .*junk: /);
      assertFails(await restore(join(data, "missing")), 1, /^error: Cannot restore the backup .*missing: /);
      assert.deepEqual(await readFile(join(data, "runnel.db")), before);
    }));

  it("never take the place of a store in use, nor of what is no ordinary file", () =>
    onStage(async ({ edge, data }) => {
      const store = join(data, "runnel.db");
      const { ino } = await stat(store);
      const cannot = (why: string) => new RegExp(`^error: The backup cannot be written to .*: ${why}$`);
      assertFails(await edge("backup", store), 1, cannot("a program has it open as its store"));
      assert.equal((await stat(store)).ino, ino);
      const socket = join(data, "socket");
      const server = createServer().listen(socket);
      await once(server, "listening");
      try {
        for (const path of [socket, data]) assertFails(await edge("backup", path), 1, cannot("it is no ordinary file"));
        assert.ok((await stat(socket)).isSocket());
      } finally {
        server.close();
      }
    }));

  it("restores where there was nothing", () =>
    onStage(async ({ edge, data }) => {
      resultOf(await edge("node add web-1 --json"));
      const file = join(data, "..", "backup");
      resultOf(await edge("backup", file, "--json"));
      const other = join(data, "..", "other");
      const { exitCode, stdout } = await runToEnd(edgeProgram, ["restore", file, "--data", other]);
      assert.deepEqual([exitCode, stdout], [0, `Restored    ${other}/runnel.db\n`]);
    }));
});

async function etagOf({ admin, data }: Stage): Promise<string> {
  const token = (await readFile(join(data, "admin-token"), "utf8")).trim();
  const answer = await fetch(`${admin}/api/v1/nodes/web-1`, { headers: { authorization: `Bearer ${token}` } });
  await answer.body?.cancel();
  return answer.headers.get("etag") ?? "";
}
