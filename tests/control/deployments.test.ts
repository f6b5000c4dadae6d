import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Control, ControlError, type Deployment, type DeploymentResult } from "../../src/control/mod.ts";
import { newTunnel, onControlStage } from "./stage.ts";

type Tunnels = Readonly<Record<string, Partial<Deployment["tunnels"][number]>>>;

/** A deployment of the project `shop`. */
function deployment(tunnels: Tunnels, nodes: Deployment["nodes"] = {}, project = "shop"): Deployment {
  const told = Object.entries(tunnels).map(([name, init]) => {
    const { project: _, ...tunnel } = newTunnel(name, init);
    return tunnel;
  });
  return { project, nodes, tunnels: told };
}

const apply = (control: Control, tunnels: Tunnels, nodes?: Deployment["nodes"], isPruning = false) =>
  control.apply(deployment(tunnels, nodes), { isPruning }, "admin");

const stepsOf = ({ steps }: DeploymentResult) => steps.map(({ action, kind, name }) => `${action} ${kind} ${name}`);

const refusal = (code: string, message: string) => (error: unknown) => {
  assert.ok(error instanceof ControlError, String(error));
  assert.deepEqual([error.code, error.message], [code, message]);
  return true;
};

/** Nodes web-1 and web-2. */
async function enroll(control: Control): Promise<void> {
  for (const name of ["web-1", "web-2"]) await control.addNode(name, {}, "admin");
}

describe("Control.apply", () => {
  it("adds, changes and removes all tunnels of a project in one revision, and tells each node once", () =>
    onControlStage(async ({ control, store, changed }) => {
      await enroll(control);
      const first = await apply(control, {
        a: { hostnames: ["A.test"], settings: { compress: true } },
        b: { nodes: ["web-2"] },
      }, { "web-1": { labels: { site: "fra" } } });
      assert.deepEqual(stepsOf(first), ["change node web-1", "add tunnel a", "add tunnel b"]);
      assert.deepEqual([first.revision, first.isChanged], [3, true]);
      assert.deepEqual(first.nodes, [{ name: "web-1", version: 3 }, { name: "web-2", version: 3 }]);
      changed().sort();
      const { id } = control.directory.tunnels.get("a")!.value;
      const second = await apply(control, { a: { upstream: "http://127.0.0.1:4000" }, c: {} }, {}, true);
      assert.deepEqual(stepsOf(second), ["change tunnel a", "remove tunnel b", "add tunnel c"]);
      assert.deepEqual(second.steps[0]!.changes, [
        { key: "upstream", before: "http://127.0.0.1:3000", after: "http://127.0.0.1:4000" },
        { key: "hostnames", before: ["a.test"], after: [] },
        { key: "compress", before: true, after: null },
      ]);
      assert.deepEqual(second.steps[2]!.changes, [
        { key: "nodes", before: null, after: ["web-1"] },
        { key: "upstream", before: null, after: "http://127.0.0.1:3000" },
      ]);
      assert.equal(await store.revision(), 4);
      assert.deepEqual(changed().sort(), [["web-1", 4, "deploy"], ["web-2", 4, "deploy"]]);
      const { directory } = control;
      assert.deepEqual([...directory.tunnels.keys()].sort(), ["a", "c"]);
      assert.equal(directory.tunnels.get("a")!.value.id, id);
      assert.equal(directory.tunnels.get("a")!.value.project, "shop");
      assert.deepEqual(directory.nodes.get("web-1")!.value.labels, { site: "fra" });
      assert.deepEqual([...directory.hostnames.keys()], []);
      const [entry] = await store.audit(1);
      assert.deepEqual([entry!.action, entry!.subject, entry!.detail], [
        "deploy.apply",
        "shop",
        { added: ["c"], changed: ["a"], removed: ["b"], labeled: [] },
      ]);
    }));

  it("writes nothing where everything is as it should be, and tells by which revision it is", () =>
    onControlStage(async ({ control, store, changed }) => {
      await enroll(control);
      const wanted: Tunnels = { a: { hostnames: ["b.test", "a.test"], settings: { timeouts: { idle: "5m" } } } };
      const nodes = { "web-1": { labels: { site: "fra" } }, "web-2": {} };
      const { revision } = await apply(control, wanted, nodes);
      await control.addToken("x", null, "admin");
      changed();
      for (const isPruning of [false, true]) {
        const again = await apply(control, wanted, nodes, isPruning);
        assert.deepEqual([again.revision, again.isChanged], [revision, false]);
        assert.deepEqual(stepsOf(again), ["keep node web-1", "keep node web-2", "keep tunnel a"]);
        // Whoever waits for it waits for what was deployed.
        assert.deepEqual(again.nodes, [{ name: "web-1", version: revision }]);
      }
      assert.deepEqual(changed(), []);
      assert.equal(await store.revision(), revision + 1);
    }));

  it("says what would be, and does nothing, as a dry run", () =>
    onControlStage(async ({ control, store }) => {
      await enroll(control);
      const { steps } = await control.apply(deployment({ a: {} }), { isDryRun: true }, "admin");
      assert.deepEqual(steps.map(({ action, name }) => [action, name]), [["add", "a"]]);
      assert.equal(await store.revision(), 2);
      const real = await apply(control, { a: {} });
      assert.deepEqual(real.steps, steps);
      const after = await control.apply(deployment({}), { isDryRun: true, isPruning: true }, "admin");
      assert.deepEqual([stepsOf(after), after.revision, after.isChanged], [["remove tunnel a"], real.revision, true]);
      assert.equal(await store.revision(), real.revision);
    }));

  it("removes only what its own project has applied, and only to prune", () =>
    onControlStage(async ({ control }) => {
      await enroll(control);
      await control.addTunnel(newTunnel("alone"), "admin");
      await control.apply(deployment({ theirs: {} }, {}, "other"), {}, "admin");
      await apply(control, { a: {}, b: {} });
      assert.deepEqual(stepsOf(await apply(control, { a: {} })), ["keep tunnel a", "keep tunnel b"]);
      assert.deepEqual(stepsOf(await apply(control, {}, {}, true)), ["remove tunnel a", "remove tunnel b"]);
      assert.deepEqual([...control.directory.tunnels.keys()].sort(), ["alone", "theirs"]);
      // A project without anything leaves nothing behind.
      assert.deepEqual([...control.directory.projects.keys()], ["other"]);
      for (
        const [name, owner] of [["alone", "was declared alone"], ["theirs", "belongs to the project other"]] as const
      ) {
        await assert.rejects(
          apply(control, { [name]: {} }),
          refusal("name_taken", `The tunnel ${name} ${owner}: change it there, or remove it first`),
        );
      }
    }));

  it("names every node that is not enrolled, with the commands that enroll them, and writes nothing", () =>
    onControlStage(async ({ control, store }) => {
      await enroll(control);
      await assert.rejects(
        apply(control, { a: { nodes: ["web-9"] } }),
        refusal("node_not_found", "There is no node web-9: enroll it with edge node add web-9"),
      );
      await assert.rejects(
        apply(control, { a: { nodes: ["web-1", "web-8"] } }, { "web-7": {}, "web-8": {} }),
        refusal(
          "node_not_found",
          "There are no nodes web-7, web-8: enroll them with edge node add web-7, edge node add web-8",
        ),
      );
      assert.equal(await store.revision(), 2);
    }));

  it("moves hostnames and ports between its tunnels", () =>
    onControlStage(async ({ control }) => {
      await enroll(control);
      const tcp = (port: number) => ({ kind: "tcp", port, upstream: "127.0.0.1:5432" } as const);
      await apply(control, {
        a: { hostnames: ["a.test", "x.test"] },
        b: { hostnames: ["b.test"] },
        c: tcp(1),
        d: tcp(2),
      });
      await apply(control, { a: { hostnames: ["b.test"] }, b: { hostnames: ["a.test"] }, c: tcp(2), d: tcp(1) });
      const { directory } = control;
      const holders = [...directory.hostnames.values()].map(({ key, value }) => [key, value.tunnel]);
      assert.deepEqual(holders.sort(), [["a.test", "b"], ["b.test", "a"]]);
      assert.deepEqual(["c", "d"].map((name) => directory.tunnels.get(name)!.value.port), [2, 1]);
      assert.equal(directory.tunnelOfHost("a.test")?.name, "b");
      // Also from one that goes away to one that comes.
      await apply(control, { e: { hostnames: ["a.test"] } }, {}, true);
      assert.deepEqual([...directory.hostnames.values()].map(({ key, value }) => [key, value.tunnel]), [[
        "a.test",
        "e",
      ]]);
    }));

  it("takes no hostname, port or name that is somebody else's, and none twice", () =>
    onControlStage(async ({ control, store }) => {
      await enroll(control);
      await control.addTunnel(newTunnel("first", { hostnames: ["x.test", "y.test"] }), "admin");
      await control.addTunnel(newTunnel("db", { kind: "tcp", port: 20_001, upstream: "127.0.0.1:1" }), "admin");
      const revision = await store.revision();
      const tcp = { kind: "tcp", port: 20_001, upstream: "127.0.0.1:1" } as const;
      const cases: [tunnels: Tunnels, code: string, message: string][] = [
        [
          { a: { hostnames: ["x.test"] } },
          "hostname_taken",
          "The hostname x.test belongs to the tunnel first of web-1",
        ],
        [
          { a: { hostnames: ["x.test", "y.test"] } },
          "hostname_taken",
          "These hostnames belong to others: x.test to the tunnel first of web-1, y.test to the tunnel first of web-1",
        ],
        [{ a: tcp }, "port_taken", "The port 20001 belongs to the tunnel db"],
        [
          { a: { hostnames: ["z.test"] }, b: { hostnames: ["Z.test"] } },
          "bad_request",
          "The tunnels a and b both have the hostname z.test",
        ],
        [
          { a: { ...tcp, port: 1 }, b: { ...tcp, port: 1 } },
          "bad_request",
          "The tunnels a and b both have the port 1",
        ],
        [{ www: {} }, "bad_name", "The name www is reserved: edge serve --reserved-name=-www frees it"],
        [
          { a: { hostnames: ["example.com"] } },
          "bad_request",
          `The tunnel a: the hostname "example.com" is the edge's own domain`,
        ],
        [
          { a: { port: 5 } },
          "bad_request",
          "The tunnel a: a port is for tcp tunnels, and this one is http: leave out port 5",
        ],
        [
          { used: {} },
          "name_taken",
          "The name used is in use by an agent: stop that agent first, or choose another name",
        ],
      ];
      for (const [tunnels, code, message] of cases) {
        await assert.rejects(apply(control, { ...tunnels, fine: {} }), refusal(code, message));
      }
      await assert.rejects(
        control.apply(deployment({}, {}, "Shop"), {}, "admin"),
        refusal("bad_name", 'The project name "Shop" must be 1 to 63 characters: a to z, 0 to 9 and hyphens inside'),
      );
      assert.equal(await store.revision(), revision);
    }, { userOf: (name) => name === "used" ? "an agent" : null }));

  it("keeps the limits of tunnels, hostnames and projects over all of it", () =>
    onControlStage(async ({ control }) => {
      await enroll(control);
      const hostnames = (count: number) => Array.from({ length: count }, (_, index) => `h${index}.test`);
      await assert.rejects(
        apply(control, { a: {}, b: {}, c: {} }),
        refusal("too_many", "The edge takes 2 tunnels, and these would make 3"),
      );
      await assert.rejects(
        apply(control, { a: { hostnames: hostnames(3) } }),
        refusal("too_many", "The edge takes 2 hostnames, and these would make 3"),
      );
      await apply(control, { a: { hostnames: hostnames(2) }, b: {} });
      // As many go as come.
      await apply(control, { c: { hostnames: hostnames(2) }, d: {} }, {}, true);
      await control.apply(deployment({}, { "web-1": {} }, "second"), {}, "admin");
      await assert.rejects(
        control.apply(deployment({}, { "web-1": {} }, "third"), {}, "admin"),
        refusal("too_many", "The edge has 2 projects, which is the most that it takes"),
      );
    }, { maxRecords: 2 }));

  it("of several at one moment makes all count", () =>
    onControlStage(async ({ control }) => {
      await enroll(control);
      const names = ["a", "b", "c", "d"];
      // Each touches the same node.
      await Promise.all(names.map((name) => control.apply(deployment({ [name]: {} }, {}, `of-${name}`), {}, "admin")));
      assert.deepEqual([...control.directory.tunnels.keys()].sort(), names);
    }));
});

describe("Control.rollback", () => {
  it("makes a project what it was, as a new revision, and leaves others as they are", () =>
    onControlStage(async ({ control, store, changed }) => {
      await enroll(control);
      const wanted: Tunnels = { a: { hostnames: ["a.test"], settings: { compress: true } }, b: {} };
      const first = await apply(control, wanted, { "web-1": { labels: { site: "fra" } } });
      const { a, b } = { a: control.directory.tunnels.get("a")!.value, b: control.directory.tunnels.get("b")!.value };
      const next = { b: { hostnames: ["a.test"] }, c: { nodes: ["web-2"] } };
      const second = await apply(control, next, { "web-1": { labels: { site: "ber" } } }, true);
      await control.addTunnel(newTunnel("alone"), "admin");
      changed();
      const back = await control.rollback(first.revision, null, {}, "admin");
      assert.deepEqual(stepsOf(back), ["change node web-1", "add tunnel a", "change tunnel b", "remove tunnel c"]);
      assert.equal(back.revision, second.revision + 2);
      assert.deepEqual(changed().sort(), [["web-1", back.revision, "deploy"], ["web-2", back.revision, "deploy"]]);
      const { directory } = control;
      assert.deepEqual([...directory.tunnels.keys()].sort(), ["a", "alone", "b"]);
      assert.deepEqual({ ...directory.tunnels.get("a")!.value, id: a.id }, a);
      assert.deepEqual(directory.tunnels.get("b")!.value, b);
      assert.equal(directory.tunnelOfHost("a.test")?.name, "a");
      assert.deepEqual(directory.nodes.get("web-1")!.value.labels, { site: "fra" });
      const [entry] = await store.audit(1);
      assert.deepEqual([entry!.action, entry!.subject, entry!.detail.to], ["deploy.rollback", "shop", first.revision]);
      // And forth again: what was rolled back is a revision like others.
      const forth = await control.rollback(second.revision, "shop", {}, "admin");
      assert.deepEqual([...directory.tunnels.keys()].sort(), ["alone", "b", "c"]);
      assert.equal((await control.rollback(second.revision, "shop", {}, "admin")).revision, forth.revision);
    }));

  it("finds the project of a revision, also one that has nothing any more", () =>
    onControlStage(async ({ control }) => {
      await enroll(control);
      const { revision } = await apply(control, { a: {} });
      await control.apply(deployment({ b: {} }, {}, "other"), {}, "admin");
      await apply(control, {}, {}, true);
      const dry = await control.rollback(revision, null, { isDryRun: true }, "admin");
      assert.deepEqual(stepsOf(dry), ["add tunnel a"]);
      assert.ok(!control.directory.tunnels.has("a"));
      await control.rollback(revision, null, {}, "admin");
      assert.deepEqual([...control.directory.tunnels.keys()].sort(), ["a", "b"]);
    }));

  it("takes any revision at which the named project was there", () =>
    onControlStage(async ({ control }) => {
      await enroll(control);
      await apply(control, { a: {} });
      const token = await control.addToken("x", null, "admin");
      const between = control.directory.revision;
      await control.removeToken(token.record.id, "admin");
      await apply(control, { a: { upstream: "http://127.0.0.1:4000" } });
      await assert.rejects(
        control.rollback(between, null, {}, "admin"),
        refusal("revision_not_found", `The revision ${between} is that of no deployment: name the project`),
      );
      await control.rollback(between, "shop", {}, "admin");
      assert.equal(control.directory.tunnels.get("a")!.value.upstream, "http://127.0.0.1:3000");
    }));

  it("refuses what is gone, with the names, and writes nothing", () =>
    onControlStage(async ({ control, store }) => {
      await enroll(control);
      const first = await apply(control, { a: { hostnames: ["a.test"] }, b: { nodes: ["web-2"] } });
      await apply(control, { a: {} }, {}, true);
      await control.addTunnel(newTunnel("taker", { hostnames: ["a.test"] }), "admin");
      const before = await store.revision();
      await assert.rejects(
        control.rollback(first.revision, null, {}, "admin"),
        refusal("hostname_taken", "The hostname a.test belongs to the tunnel taker of web-1"),
      );
      await control.removeNode("web-2", "admin");
      await assert.rejects(
        control.rollback(first.revision, null, {}, "admin"),
        refusal("node_not_found", "There is no node web-2: enroll it with edge node add web-2"),
      );
      assert.equal(await store.revision(), before + 1);
    }));

  it("refuses revisions and projects that there are not", () =>
    onControlStage(async ({ control }) => {
      await enroll(control);
      const { revision } = await apply(control, { a: {} });
      const cases: [revision: number, project: string | null, code: string, message: string][] = [
        [99, null, "revision_not_found", `There is no revision 99: the newest is ${revision}`],
        [revision, "other", "project_not_found", "There is no project other"],
        [1, "shop", "revision_not_found", "The project shop was not there at revision 1"],
      ];
      for (const [at, project, code, message] of cases) {
        await assert.rejects(control.rollback(at, project, {}, "admin"), refusal(code, message));
      }
      for (let count = 0; count < 11; count++) await control.rotateNode("web-2", 0, "admin");
      await assert.rejects(
        control.rollback(revision, "shop", {}, "admin"),
        refusal("revision_not_found", `There is no revision ${revision}: it is longer ago than is kept`),
      );
    }, { keptRevisions: 10 }));
});
