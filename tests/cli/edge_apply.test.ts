/** `edge apply` and `edge rollback`, against an edge that runs. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { edgeProgram } from "../../src/cli/edge.ts";
import { openSqliteStore } from "../../src/store/mod.ts";
import { withScratch } from "../support/scratch.ts";
import { type OperatedEdge, withOperatedEdge } from "./operated_edge.ts";
import { type Result, runToEnd } from "./program_run.ts";

interface Stage extends OperatedEdge {
  /** Writes the file `shop.yaml`; resolves to its path. */
  file(text: string): Promise<string>;
  /** Says that an agent of a node has acknowledged a version, as another edge on the same data folder would be told. */
  acknowledge(node: string, version: number, error?: string): Promise<void>;
}

function onStage(use: (stage: Stage) => Promise<void>): Promise<void> {
  return withOperatedEdge((edge) =>
    withScratch(async (folder) => {
      const path = join(folder, "shop.yaml");
      const store = await openSqliteStore({ path: join(String(edge.ready.dataDir), "runnel.db") });
      try {
        await use({
          ...edge,
          async file(text) {
            await writeFile(path, text);
            return path;
          },
          acknowledge: (node, version, error) =>
            store.acknowledge({
              ...{ node, version, instance: "", checksum: "c" },
              ...{ error: error ?? null, at: new Date().toISOString() },
            }),
        });
      } finally {
        await store.close();
      }
    })
  );
}

const shop = `version: 1
project: shop
nodes:
  web-1: { labels: { site: fra } }
tunnels:
  shop:
    node: web-1
    upstream: http://127.0.0.1:3000
    hostnames: [shop.test, "*.shop.test"]
    hostHeader: rewrite
    timeouts: { firstByte: 60s, idle: off }
    compress: true
  db: { kind: tcp, nodes: [web-1, web-2], upstream: 127.0.0.1:5432, port: 20001 }
`;

const later = `version: 1
project: shop
tunnels:
  shop:
    node: web-1
    upstream: http://127.0.0.1:4000
    hostnames: [new.test, shop.test]
    timeouts: { firstByte: 90s }
`;

async function enroll(edge: OperatedEdge, ...names: string[]): Promise<void> {
  for (const name of names) assert.equal((await edge.command("node", "add", name)).exitCode, 0);
}

function jsonOf({ exitCode, stderr, events }: Result): Record<string, unknown> {
  assert.deepEqual([exitCode, stderr, events.length], [0, "", 1]);
  return events[0]!;
}

function linesOf({ exitCode, stdout, stderr }: Result): string[] {
  assert.deepEqual([exitCode, stderr], [0, ""]);
  return stdout.trimEnd().split("\n");
}

function assertFails({ exitCode, stderr }: Result, code: number, message: RegExp | string): void {
  const [first = ""] = stderr.split("\n");
  assert.equal(exitCode, code, stderr);
  if (typeof message === "string") assert.equal(first, `error: ${message}`);
  else assert.match(first, message);
}

describe("edge apply", () => {
  it("prints what it changes as a diff, and nothing to change the second time", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1", "web-2");
      const first = await edge.file(shop);
      const planned = linesOf(await edge.command("apply", first, "--dry-run"));
      const diff = [
        "~ node web-1",
        "    labels  none -> site=fra",
        "+ tunnel db",
        "    kind      tcp",
        "    nodes     web-1, web-2",
        "    upstream  127.0.0.1:5432",
        "    port      20001",
        "+ tunnel shop",
        "    nodes       web-1",
        "    upstream    http://127.0.0.1:3000",
        "    hostnames   shop.test, *.shop.test",
        "    hostHeader  rewrite",
        "    timeouts    firstByte=60s, idle=off",
        "    compress    true",
      ];
      assert.deepEqual(planned, [...diff, "Would be applied: 2 added, 1 changed, 0 removed, 0 unchanged"]);
      const applied = linesOf(await edge.command("apply", first));
      assert.deepEqual(applied, [...diff, "Applied as revision 3: 2 added, 1 changed, 0 removed, 0 unchanged"]);
      const again = linesOf(await edge.command("apply", first));
      assert.deepEqual(again, ["Nothing to change, revision 3: 0 added, 0 changed, 0 removed, 3 unchanged"]);
      const second = await edge.file(later);
      assert.deepEqual(linesOf(await edge.command("apply", second)), [
        "~ tunnel shop",
        "    upstream    http://127.0.0.1:3000 -> http://127.0.0.1:4000",
        "    hostnames   -*.shop.test +new.test",
        "    hostHeader  rewrite -> none",
        "    timeouts    firstByte=60s, idle=off -> firstByte=90s",
        "    compress    true -> none",
        "= tunnel db is not in the file: --prune removes it",
        "Applied as revision 4: 0 added, 1 changed, 0 removed, 1 unchanged",
      ]);
      assert.deepEqual(linesOf(await edge.command("apply", second, "--prune")), [
        "- tunnel db",
        "Applied as revision 5: 0 added, 0 changed, 1 removed, 1 unchanged",
      ]);
      const rows = linesOf(await edge.command("tunnel", "list")).map((line) => line.split(/ {2,}/).at(-1));
      assert.deepEqual(rows, ["SETTINGS", "firstByte=90s"]);
    }));

  it("prints one object with --json, which names the nodes and their versions", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1", "web-2");
      const { plan, ...rest } = jsonOf(await edge.command("apply", await edge.file(shop), "--json"));
      const nodes = ["web-1", "web-2"].map((name) => ({ name, version: 3 }));
      assert.deepEqual(rest, { revision: 3, changed: true, nodes });
      assert.deepEqual((plan as { action: string; name: string }[]).map(({ action, name }) => [action, name]), [
        ["change", "web-1"],
        ["add", "db"],
        ["add", "shop"],
      ]);
      const again = jsonOf(await edge.command("apply", await edge.file(shop), "--json"));
      assert.deepEqual([again.revision, again.changed, again.nodes], [3, false, nodes]);
    }));

  it("reads JSON, variables and standard input", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1");
      const tunnels = { shop: { node: "${NODE}", upstream: "${TARGET}" } };
      const stdin = JSON.stringify({ version: 1, project: "shop", tunnels });
      const token = { RUNNEL_ADMIN_TOKEN: edge.adminToken };
      const run = (environment: Record<string, string>) =>
        runToEnd(edgeProgram, ["apply", "-", "--json", "--admin", edge.admin], { stdin, environment });
      const result = await run({ ...token, NODE: "web-1", TARGET: "3000" });
      assert.deepEqual(jsonOf(result).nodes, [{ name: "web-1", version: 2 }]);
      const unset = await run({ ...token, NODE: "web-1" });
      assertFails(unset, 2, /^error: standard input:1:\d+: the variable TARGET is not set$/);
    }));

  it("names the line of what is wrong, the nearest key, and what to do", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1");
      await edge.command("tunnel", "add", "alone", "--node", "web-1", "--upstream", "1", "--hostname", "x.test");
      const tunnel = (text: string) => `version: 1\nproject: shop\ntunnels:\n  shop: { node: web-1, ${text} }\n`;
      const cases: [text: string, exitCode: number, message: RegExp][] = [
        ["version: 2\nproject: shop\n", 2, /shop\.yaml:1:10: version: must be 1$/],
        ["project: shop\n", 2, /shop\.yaml:1:1: the key version is missing$/],
        ["version: 1\nproject: Shop\n", 2, /shop\.yaml:2:10: project: is not 1 to 63 of/],
        ["version: 1\nproject: shop\ntunels: {}\n", 2, /shop\.yaml:3:1: unknown key "tunels"; did you mean tunnels\?$/],
        [tunnel("upsteam: 1"), 2, /shop\.yaml:4:\d+: .*(upstream|upsteam)/],
        [tunnel("upstream: /srv"), 2, /shop\.yaml:4:34: .*folders are not served/],
        [tunnel("upstream: 1, nodes: [web-2]"), 2, /shop\.yaml:4:\d+: tunnels\.shop: needs one of node and nodes$/],
        [tunnel("upstream: 1, timeouts: { idle: 5 }"), 2, /shop\.yaml:4:\d+: tunnels\.shop\.timeouts\.idle: /],
        [tunnel("upstream: 1, hostHeader: a b"), 2, /shop\.yaml:4:\d+: tunnels\.shop\.hostHeader: /],
        ["a: [", 2, /shop\.yaml:1:\d+: no valid YAML/],
        [
          tunnel("upstream: 1").replace("web-1", "web-9"),
          1,
          /There is no node web-9: enroll it with edge node add web-9$/,
        ],
        [tunnel("upstream: 1, hostnames: [x.test]"), 5, /The hostname x\.test belongs to the tunnel alone of web-1$/],
        [tunnel("upstream: 1").replace("  shop:", "  alone:"), 5, /The tunnel alone was declared alone/],
      ];
      for (const [text, exitCode, message] of cases) {
        assertFails(await edge.command("apply", await edge.file(text)), exitCode, message);
      }
      assertFails(
        await edge.command("apply", "/nowhere/shop.yaml"),
        2,
        /^error: The file \/nowhere\/shop\.yaml cannot be/,
      );
      const both = await edge.command("apply", await edge.file(later), "--dry-run", "--wait");
      assertFails(both, 2, "--dry-run changes nothing that could be waited for");
      const missing = await edge.command("apply");
      assertFails(missing, 2, "The argument FILE is missing");
    }));

  it("waits with --wait until each node has acknowledged it", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1", "web-2");
      const run = edge.start("apply", await edge.file(shop), "--wait", "--json");
      await untilApplied(edge, "shop");
      await edge.acknowledge("web-1", 3);
      await edge.acknowledge("web-2", 4);
      assert.equal(await run.exitCode, 0, run.stderr);
      const [result] = run.events as [{ nodes: { name: string; state: string; version: number }[] }];
      assert.deepEqual(result.nodes.map(({ name, state, version }) => [name, state, version]), [
        ["web-1", "applied", 3],
        ["web-2", "applied", 3],
      ]);
      // Whoever waits for what is there already is told so at once.
      assert.equal((await edge.command("apply", await edge.file(shop), "--wait")).exitCode, 0);
    }));

  it("ends with 1 and names who has not, and why", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1", "web-2");
      const file = await edge.file(shop);
      const run = edge.start("apply", file, "--wait", "--json", "--timeout", "1s");
      await untilApplied(edge, "shop");
      await edge.acknowledge("web-1", 3, "the upstream 127.0.0.1:3000 is not allowed");
      assert.equal(await run.exitCode, 1);
      const [result, error, exit] = run.events as [Record<string, unknown>, Record<string, unknown>, unknown];
      assert.deepEqual(
        (result.nodes as { name: string; state: string }[]).map(({ name, state }) => [name, state]),
        [["web-1", "failed"], ["web-2", "offline"]],
      );
      assert.deepEqual([error.event, error.code], ["error", "rollout_incomplete"]);
      assert.equal(
        error.message,
        "Applied, but not served by all nodes within 1.0 s: " +
          "web-1 has failed: the upstream 127.0.0.1:3000 is not allowed, web-2 is offline",
      );
      assert.ok(exit !== undefined);
      // Nobody waits for the end of the time where all have said.
      await edge.acknowledge("web-2", 3);
      const failed = await edge.command("apply", file, "--wait", "--timeout", "1h");
      assertFails(failed, 1, /^error: Applied, but not served by all nodes: web-1 has failed: the upstream /);
    }));

  it("leaves out with --wait-online what is offline", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1", "web-2");
      const file = await edge.file(shop);
      assert.equal((await edge.command("apply", file, "--wait-online", "--timeout", "1h")).exitCode, 0);
      const late = await edge.command("apply", file, "--wait", "--timeout", "0s");
      assertFails(late, 1, /^error: .* within 0 ms: web-1 is offline, web-2 is offline$/);
    }));

  it("waits for more nodes than fit into one question, and names the first ones", () =>
    onStage(async (edge) => {
      const names = Array.from({ length: 70 }, (_, index) => `node-${String(index).padStart(2, "0")}`);
      const body = (name: string) => ({ method: "POST", body: JSON.stringify({ name }) });
      const headers = { "Content-Type": "application/json" };
      for (const name of names) {
        assert.equal((await edge.fetch("/api/v1/nodes", { ...body(name), headers })).status, 201);
      }
      const tunnels = names.map((name) => `  of-${name}: { node: ${name}, upstream: 3000 }\n`);
      const file = await edge.file(`version: 1\nproject: many\ntunnels:\n${tunnels.join("")}`);
      const late = await edge.command("apply", file, "--wait", "--timeout", "0s");
      assertFails(late, 1, /: node-00 is offline, .*, node-19 is offline and 50 more$/);
      for (const name of names) await edge.acknowledge(name, 71);
      const { nodes } = jsonOf(await edge.command("apply", file, "--wait", "--json"));
      assert.deepEqual((nodes as { name: string; state: string }[]).filter(({ state }) => state !== "applied"), []);
    }));

  it("shows on standard error how far it is", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1", "web-2");
      const environment = { RUNNEL_ADMIN_TOKEN: edge.adminToken, RUNNEL_LOG_LEVEL: "info" };
      await edge.acknowledge("web-1", 9);
      const words = ["apply", await edge.file(shop), "--wait", "--timeout", "0s", "--admin", edge.admin];
      const { stdout, stderr } = await runToEnd(edgeProgram, words, { environment });
      assert.match(stderr, /Waiting for "web-1, web-2"/);
      assert.match(stderr, /1 of 2 nodes serve it; not yet: "web-2 \(offline\)"/);
      assert.ok(!stdout.includes("Waiting"));
    }));
});

describe("edge rollback", () => {
  it("makes a project what it was at a revision that edge apply printed", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1", "web-2");
      const { revision } = jsonOf(await edge.command("apply", await edge.file(shop), "--json"));
      jsonOf(await edge.command("apply", await edge.file(later), "--prune", "--json"));
      const planned = linesOf(await edge.command("rollback", String(revision), "--dry-run"));
      assert.equal(planned.at(-1), "Would be applied: 1 added, 1 changed, 0 removed, 1 unchanged");
      const back = jsonOf(await edge.command("rollback", String(revision), "--json"));
      assert.deepEqual([back.revision, back.changed], [5, true]);
      const again = jsonOf(await edge.command("apply", await edge.file(shop), "--json"));
      assert.deepEqual([again.revision, again.changed], [5, false]);
      const waiting = await edge.command("rollback", String(revision), "--wait", "--timeout", "0s");
      assertFails(waiting, 1, /^error: .* web-1 is offline, web-2 is offline$/);
    }));

  it("refuses what is no revision of a project", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1");
      for (const word of ["0", "x", "1.5"]) {
        assertFails(await edge.command("rollback", word), 2, `The revision "${word}" is no number over 0`);
      }
      assertFails(await edge.command("rollback", "9"), 1, "There is no revision 9: the newest is 1");
      assertFails(await edge.command("rollback", "1"), 1, /^error: The revision 1 is that of no deployment/);
      assertFails(await edge.command("rollback", "1", "--project", "x"), 1, "There is no project x");
    }));
});

describe("A backup", () => {
  it("brings deployments back, with what can be rolled back to", () =>
    onStage(async (edge) => {
      await enroll(edge, "web-1", "web-2");
      const { revision } = jsonOf(await edge.command("apply", await edge.file(shop), "--json"));
      jsonOf(await edge.command("apply", await edge.file(later), "--prune", "--json"));
      await edge.acknowledge("web-1", 4);
      await withScratch(async (folder) => {
        const [backup, data] = [join(folder, "backup"), join(folder, "data")];
        assert.equal((await edge.command("backup", backup)).exitCode, 0);
        await mkdir(data);
        assert.equal((await runToEnd(edgeProgram, ["restore", backup, "--data", data])).exitCode, 0);
        const store = await openSqliteStore({ path: join(data, "runnel.db") });
        try {
          assert.deepEqual((await store.list("project")).map(({ key, revision }) => [key, revision]), [["shop", 4]]);
          assert.deepEqual((await store.list("tunnel")).map(({ value }) => [value.name, value.settings]), [
            ["shop", { timeouts: { firstByte: "90s" } }],
          ]);
          assert.deepEqual((await store.listAt("tunnel", Number(revision)))?.map(({ key }) => key), ["db", "shop"]);
          assert.deepEqual((await store.acknowledgements()).map(({ node, version }) => [node, version]), [[
            "web-1",
            4,
          ]]);
        } finally {
          await store.close();
        }
      });
    }));
});

/** Resolves once the edge has the tunnel. */
async function untilApplied(edge: OperatedEdge, name: string): Promise<void> {
  for (;;) {
    const answer = await edge.fetch(`/api/v1/tunnels/${name}`);
    await answer.body?.cancel();
    if (answer.ok) return;
  }
}
