/** What every store must do, whatever keeps its records. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Acknowledgement, Change, Commit, Store } from "../../src/store/mod.ts";
import { at, audit, node, putNode, tunnel } from "./records.ts";

function putTunnel(name: string, ...nodes: string[]): Change {
  return { kind: "tunnel", key: name, value: tunnel(name, nodes) };
}

function putHostname(hostname: string, tunnel: string, ifRevision?: number): Change {
  return { kind: "hostname", key: hostname, value: { hostname, tunnel }, ifRevision };
}

function acknowledgement(node: string, instance: string, version: number): Acknowledgement {
  return { node, instance, version, checksum: "c", error: null, at };
}

const refused = (code: string) => (error: unknown) => (error as { code?: unknown }).code === code;

/** @param withStore gives `use` an empty store that keeps 100 revisions and 50 audit entries, and closes it */
export function storeConformance(
  name: string,
  withStore: (use: (store: Store) => Promise<void>) => Promise<void>,
): void {
  const test = (what: string, use: (store: Store) => Promise<void>) => it(what, () => withStore(use));

  describe(`${name}: a store`, () => {
    test("begins with revision 0 and nothing in it", async (store) => {
      assert.equal(await store.revision(), 0);
      assert.equal(await store.get("node", "web-1"), null);
      assert.deepEqual([await store.list("tunnel"), await store.audit()], [[], []]);
      assert.match(store.epoch, /^[0-9a-f]{16}$/);
    });

    test("gives back what was committed, with its revision", async (store) => {
      const value = node("web-1", { "sitio ñ": "\u{1f600}" });
      assert.equal(await store.commit([{ kind: "node", key: "web-1", value }], audit), 1);
      assert.deepEqual(await store.get("node", "web-1"), { key: "web-1", value, revision: 1 });
      assert.equal(await store.revision(), 1);
    });

    test("gives all records of one commit the same revision", async (store) => {
      await store.commit([putNode("a")], audit);
      assert.equal(await store.commit([putNode("b"), putNode("c")], audit), 2);
      const records = await store.list("node");
      assert.deepEqual(records.map(({ key, revision }) => [key, revision]), [["a", 1], ["b", 2], ["c", 2]]);
    });

    test("lists in the order of bytes, from behind a key on, up to a limit", async (store) => {
      await store.commit(["b", "B", "a-1", "a", "é", "\u{1f600}", "\uffee"].map((name) => putNode(name)), audit);
      const keys = async (options: { after?: string; limit?: number }) =>
        (await store.list("node", options)).map(({ key }) => key);
      assert.deepEqual(await keys({}), ["B", "a", "a-1", "b", "é", "\uffee", "\u{1f600}"]);
      assert.deepEqual(await keys({ after: "a", limit: 2 }), ["a-1", "b"]);
      assert.deepEqual(await keys({ limit: 0 }), []);
    });

    test("writes only over the revision that the change names", async (store) => {
      await store.commit([putNode("a", 0)], audit);
      await assert.rejects(store.commit([putNode("a", 0)], audit), refused("conflict"));
      await store.commit([putNode("a", 1)], audit);
      await assert.rejects(store.commit([putNode("a", 1)], audit), refused("conflict"));
      await assert.rejects(store.commit([{ kind: "node", key: "a", value: null, ifRevision: 1 }], audit), {
        code: "conflict",
        message: "The node a was changed meanwhile",
        subject: { kind: "node", key: "a" },
      });
      await store.commit([{ kind: "node", key: "a", value: null, ifRevision: 2 }], audit);
      assert.equal(await store.get("node", "a"), null);
    });

    test("writes nothing of a commit of which one change is refused", async (store) => {
      await store.commit([putNode("a")], audit);
      await assert.rejects(store.commit([putNode("b"), putNode("a", 0)], audit), refused("conflict"));
      await assert.rejects(store.commit([putNode("b"), putTunnel("shop", "c")], audit), refused("reference"));
      assert.equal(await store.get("node", "b"), null);
      assert.deepEqual([await store.revision(), (await store.audit()).length], [1, 1]);
    });

    test("one of many writers that ask for the same revision has it", async (store) => {
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, () => store.commit([putNode("a", 0)], audit)),
      );
      assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
      assert.equal(await store.revision(), 1);
    });

    test("lets two tunnels never have the same hostname", async (store) => {
      await store.commit([putNode("a"), putTunnel("x", "a"), putTunnel("y", "a")], audit);
      await store.commit([putHostname("shop.example.com", "x", 0)], audit);
      await assert.rejects(store.commit([putHostname("shop.example.com", "y", 0)], audit), {
        code: "conflict",
        message: "The hostname shop.example.com exists already",
      });
    });

    test("takes records that name each other in any order, and removes them only together", async (store) => {
      await store.commit([putHostname("h", "shop"), putTunnel("shop", "a", "b"), putNode("a"), putNode("b")], audit);
      const token = { id: "t", hash: "h", node: "a", names: null, createdAt: at, expiresAt: null };
      await store.commit([{ kind: "token", key: "t", value: token }], audit);
      const remove = (kind: "node" | "token" | "tunnel" | "hostname", key: string): Change => ({
        kind,
        key,
        value: null,
      });
      for (const change of [remove("node", "a"), remove("node", "b"), remove("tunnel", "shop")]) {
        await assert.rejects(store.commit([change], audit), refused("reference"));
      }
      await assert.rejects(store.commit([putHostname("i", "other")], audit), refused("reference"));
      await store.commit([putTunnel("shop", "a")], audit);
      await store.commit([remove("node", "b")], audit);
      await store.commit(
        [remove("node", "a"), remove("token", "t"), remove("tunnel", "shop"), remove("hostname", "h")],
        audit,
      );
      for (const kind of ["node", "token", "tunnel", "hostname"] as const) assert.deepEqual(await store.list(kind), []);
    });

    test("tells those who watch of each commit, in order, until they stop", async (store) => {
      const seen: Commit[] = [];
      const stop = store.watch((commit) => seen.push(commit));
      const twice = store.watch((commit) => seen.push(commit));
      twice();
      await store.commit([putNode("a")], audit);
      await assert.rejects(store.commit([putNode("a", 0)], audit));
      await store.commit([putNode("b"), { kind: "node", key: "a", value: null }], audit);
      stop();
      await store.commit([putNode("c")], audit);
      assert.deepEqual(seen, [
        { revision: 1, changes: [putNode("a")] },
        { revision: 2, changes: [putNode("b"), { kind: "node", key: "a", value: null }] },
      ]);
    });

    test("knows records as they were", async (store) => {
      await store.commit([putNode("a")], audit);
      await store.commit([{ kind: "node", key: "a", value: node("a", { site: "fra" }) }], audit);
      await store.commit([putNode("b")], audit);
      await store.commit([{ kind: "node", key: "a", value: null }], audit);
      const labelsAt = async (revision: number) => (await store.versionAt("node", "a", revision))?.value?.labels;
      assert.deepEqual([await labelsAt(1), await labelsAt(2), await labelsAt(3)], [{}, { site: "fra" }, {
        site: "fra",
      }]);
      assert.deepEqual(await store.versionAt("node", "a", 4), { revision: 4, value: null });
      assert.equal(await store.versionAt("node", "b", 2), null);
    });

    test("forgets what is longer ago than its limits, and nothing that still counts", async (store) => {
      await store.commit([putNode("old")], audit);
      for (let index = 0; index < 399; index++) {
        await store.commit([putNode("a")], { ...audit, subject: String(index) });
      }
      assert.equal((await store.versionAt("node", "a", 350))?.revision, 350);
      assert.equal(await store.versionAt("node", "a", 250), null);
      assert.equal((await store.versionAt("node", "old", 390))?.revision, 1);
      const entries = await store.audit(1_000);
      assert.deepEqual([entries.length, entries[0].subject, entries[49].subject], [50, "398", "349"]);
    });

    test("knows all records of a kind as they were", async (store) => {
      await store.commit([putNode("b"), putNode("a")], audit);
      await store.commit(
        [{ kind: "node", key: "a", value: node("a", { site: "fra" }) }, putTunnel("shop", "a")],
        audit,
      );
      await store.commit([putNode("c"), { kind: "node", key: "b", value: null }], audit);
      await store.commit([{ kind: "node", key: "a", value: node("a", { site: "ber" }) }], audit);
      const at = async (revision: number) =>
        (await store.listAt("node", revision))?.map(({ key, value, revision }) => [key, value.labels.site, revision]);
      assert.deepEqual(await at(0), []);
      assert.deepEqual(await at(1), [["a", undefined, 1], ["b", undefined, 1]]);
      assert.deepEqual(await at(2), [["a", "fra", 2], ["b", undefined, 1]]);
      assert.deepEqual(await at(3), [["a", "fra", 2], ["c", undefined, 3]]);
      assert.deepEqual(await at(4), [["a", "ber", 4], ["c", undefined, 3]]);
      assert.deepEqual(await store.listAt("node", 4), await store.list("node"));
      assert.deepEqual((await store.listAt("tunnel", 2))?.map(({ key }) => key), ["shop"]);
    });

    test("knows them as far back as it keeps them, and says where that ends", async (store) => {
      await store.commit([putNode("old"), putNode("gone")], audit);
      await store.commit([{ kind: "node", key: "gone", value: null }], audit);
      for (let index = 0; index < 398; index++) await store.commit([putNode("a")], audit);
      const at = async (revision: number) =>
        (await store.listAt("node", revision))?.map(({ key, revision }) => [key, revision]);
      assert.deepEqual(await at(300), [["a", 300], ["old", 1]]);
      assert.equal(await store.listAt("node", 299), null);
    });

    test("keeps what a project has declared", async (store) => {
      const value = { name: "shop", nodes: { a: { labels: { site: "fra" } }, b: {} } };
      await store.commit([{ kind: "project", key: "shop", value, ifRevision: 0 }], audit);
      assert.deepEqual(await store.get("project", "shop"), { key: "shop", value, revision: 1 });
    });

    test("tells those who watch of each acknowledgement, until they stop", async (store) => {
      await store.commit([putNode("a")], audit);
      const seen: Acknowledgement[] = [];
      const stop = store.watchAcknowledgements((item) => seen.push(item));
      const twice = store.watchAcknowledgements((item) => seen.push(item));
      twice();
      await store.acknowledge(acknowledgement("a", "", 1));
      await assert.rejects(store.acknowledge(acknowledgement("c", "", 1)));
      stop();
      await store.acknowledge(acknowledgement("a", "", 2));
      assert.deepEqual(seen, [acknowledgement("a", "", 1)]);
    });

    test("keeps the newest acknowledgement of each instance while the node lasts", async (store) => {
      await store.commit([putNode("a"), putNode("b")], audit);
      for (const [instance, version] of [["", 1], ["2", 1], ["2", 2]] as const) {
        await store.acknowledge(acknowledgement("a", instance, version));
      }
      await store.acknowledge(acknowledgement("b", "", 1));
      const versions = async (node?: string) => (await store.acknowledgements(node)).map(({ version }) => version);
      assert.deepEqual([await versions("a"), await versions("b"), await versions()], [[1, 2], [1], [1, 2, 1]]);
      await assert.rejects(store.acknowledge(acknowledgement("c", "", 1)), refused("reference"));
      assert.equal(await store.revision(), 1);
      await store.commit([{ kind: "node", key: "a", value: null }], audit);
      assert.deepEqual(await versions(), [1]);
    });

    test("keeps the acknowledgements of the 64 instances of a node that spoke last", async (store) => {
      await store.commit([putNode("a"), putNode("b")], audit);
      await store.acknowledge(acknowledgement("b", "0", 1));
      for (let count = 0; count < 70; count++) {
        const said = { ...acknowledgement("a", String(count), 1), at: new Date(count * 1_000).toISOString() };
        await store.acknowledge(said);
        // The first one goes on to speak.
        if (count % 10 === 0) await store.acknowledge({ ...said, instance: "0" });
      }
      const instances = (await store.acknowledgements("a")).map(({ instance }) => instance);
      const kept = [0, ...Array.from({ length: 63 }, (_, index) => index + 7)].map(String);
      assert.deepEqual(instances.sort(), kept.sort());
      assert.equal((await store.acknowledgements("b")).length, 1);
    });

    test("refuses everything once it is closed", async (store) => {
      await store.close();
      await store.close();
      const calls = [() => store.revision(), () => store.list("node"), () => store.commit([putNode("a")], audit)];
      for (const call of calls) await assert.rejects(call(), { code: "unavailable", message: "The store is closed" });
    });
  });
}
