import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, copyFile, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { type Commit, openSqliteStore, restoreBackup, type Store } from "../../src/store/mod.ts";
import { migrations } from "../../src/store/sqlite/schema.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually, programCommand } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { storeConformance } from "./conformance.ts";
import { audit, node, putNode } from "./records.ts";

function withStore(use: (store: Store, path: string) => Promise<void>): Promise<void> {
  return withScratch(async (folder) => {
    const path = join(folder, "data", "store.db");
    const store = await openSqliteStore({ path, keptRevisions: 100, auditEntries: 50 });
    try {
      await use(store, path);
    } finally {
      await store.close();
    }
  });
}

/** Runs `use` with another program's connection to the file. */
function withDatabase<T>(path: string, use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path);
  try {
    return use(database);
  } finally {
    database.close();
  }
}

/** Commits in a process of its own. @param limit of the size of files, in units of 512 bytes */
function startCommits(path: string, limit = "unlimited") {
  const [command, args] = programCommand("tests/store/programs/commit.ts");
  // Past the limit a write fails, as on a full disk, since the signal is ignored.
  const script = 'trap "" XFSZ; ulimit -f "$0"; exec "$@"';
  const child = spawn("sh", ["-c", script, limit, command, ...args, path], { stdio: ["ignore", "pipe", "inherit"] });
  const program = {
    text: "",
    ended: new Promise((done) => child.once("close", done)),
    kill: () => child.kill("SIGKILL"),
  };
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  child.stdout.setEncoding("utf8").on("data", (text) => {
    program.text += text;
    resolve();
  });
  return { ...program, lines: () => program.text.split("\n").slice(0, -1), begun };
}

storeConformance("SQLite", (use) => withStore((store) => use(store)));

describe("A store in a file", () => {
  it("is there again when it is opened anew, with its epoch", async () => {
    await withStore(async (store, path) => {
      await store.commit([putNode("a")], audit);
      await store.close();
      const again = await openSqliteStore({ path });
      assert.deepEqual([await again.revision(), again.epoch], [1, store.epoch]);
      assert.equal(await again.commit([putNode("b")], audit), 2);
      await again.close();
    });
  });

  it("can be read by its owner alone", async () => {
    await withStore(async (store, path) => {
      await store.commit([putNode("a")], audit);
      for (const file of await readdir(join(path, ".."))) {
        assert.equal((await stat(join(path, "..", file))).mode & 0o777, 0o600, file);
      }
      assert.equal((await stat(join(path, ".."))).mode & 0o777, 0o700);
    });
  });

  it("has all that was acknowledged when its program is killed", async () => {
    await withScratch(async (folder) => {
      const path = join(folder, "store.db");
      for (let round = 0; round < 5; round++) {
        const program = startCommits(path);
        await program.begun;
        program.kill();
        await program.ended;
        const [revision, index] = program.lines().at(-1)!.split(" ").map(Number);
        const store = await openSqliteStore({ path });
        assert.ok(await store.revision() >= revision);
        const version = await store.versionAt("node", `node-${index % 50}`, revision);
        assert.equal(version?.value?.labels.index, String(index));
        await store.close();
      }
    });
  });

  it("refuses writes on a full disk, loses nothing and still reads", async () => {
    await withScratch(async (folder) => {
      const path = join(folder, "store.db");
      const program = startCommits(path, "1000");
      await program.ended;
      const lines = program.lines();
      assert.deepEqual(lines.slice(-2, -1), ["refused unavailable"]);
      const stored = Number(lines.at(-3)!.split(" ")[0]);
      assert.equal(lines.at(-1), `reads ${stored}`);
      const store = await openSqliteStore({ path });
      assert.equal(await store.revision(), stored);
      await store.close();
    });
  });

  it("waits while another program holds the file, and refuses writes when that lasts", async () => {
    await withScratch(async (folder) => {
      const path = join(folder, "store.db");
      const clock = new FakeClock();
      const patient = await openSqliteStore({ path, clock });
      const impatient = await openSqliteStore({ path, busyMs: 0 });
      const other = new DatabaseSync(path);
      other.exec("BEGIN IMMEDIATE");
      await assert.rejects(impatient.commit([putNode("a")], audit), { code: "unavailable", retryable: true });
      assert.equal(await impatient.revision(), 0);
      const waiting = patient.commit([putNode("a")], audit);
      other.exec("COMMIT");
      other.close();
      clock.advance(20);
      assert.equal(await waiting, 1);
      assert.equal(await impatient.commit([putNode("b")], audit), 2);
      await Promise.all([patient.close(), impatient.close()]);
    });
  });

  it("tells those who watch of what other programs commit, each once and in order", async () => {
    await withScratch(async (folder) => {
      const path = join(folder, "store.db");
      const clock = new FakeClock();
      const [mine, others] = [await openSqliteStore({ path, clock }), await openSqliteStore({ path })];
      await others.commit([putNode("before")], audit);
      const seen: Commit[] = [];
      const stop = mine.watch((commit) => seen.push(commit));
      const names = () => seen.map(({ revision, changes }) => [revision, changes?.map(({ key }) => key)]);
      await others.commit([putNode("a"), putNode("b")], audit);
      await others.commit([{ kind: "node", key: "a", value: null }], audit);
      clock.advance(1_000);
      await eventually(() => seen.length === 3);
      assert.deepEqual(seen.slice(1), [
        { revision: 2, changes: [putNode("a"), putNode("b")].map(({ ifRevision: _, ...change }) => change) },
        { revision: 3, changes: [{ kind: "node", key: "a", value: null }] },
      ]);
      await others.commit([putNode("c")], audit);
      // A commit of one's own comes behind those that were there before it.
      await mine.commit([putNode("d")], audit);
      clock.advance(1_000);
      await others.commit([putNode("e")], audit);
      clock.advance(1_000);
      await eventually(() => seen.length === 6);
      assert.deepEqual(names().slice(3), [[4, ["c"]], [5, ["d"]], [6, ["e"]]]);
      stop();
      assert.equal(clock.pending, 0);
      await Promise.all([mine.close(), others.close()]);
    });
  });

  it("says so when more was committed by others than it keeps", async () => {
    await withScratch(async (folder) => {
      const path = join(folder, "store.db");
      const clock = new FakeClock();
      const [mine, others] = await Promise.all(
        [clock, undefined].map((clock) => openSqliteStore({ path, clock, keptRevisions: 5 })),
      ) as [Store, Store];
      const seen: Commit[] = [];
      mine.watch((commit) => seen.push(commit));
      for (let index = 0; index < 5; index++) await others.commit([putNode("a")], audit);
      clock.advance(1_000);
      await eventually(() => seen.length === 5);
      for (let index = 0; index < 6; index++) await others.commit([putNode("a")], audit);
      clock.advance(1_000);
      await eventually(() => seen.length === 6);
      assert.deepEqual(seen[5], { revision: 11, changes: null });
      await Promise.all([mine.close(), others.close()]);
    });
  });

  it("is the same for two programs that make it at one time", async () => {
    await withScratch(async (folder) => {
      const path = join(folder, "data", "store.db");
      const stores = await Promise.all([1, 2, 3].map(() => openSqliteStore({ path })));
      assert.equal(new Set(stores.map(({ epoch }) => epoch)).size, 1);
      for (const store of stores) await store.commit([putNode("a")], audit);
      assert.equal(await stores[0].revision(), 3);
      await Promise.all(stores.map((store) => store.close()));
      assert.deepEqual(await readdir(join(path, "..")), ["store.db"]);
    });
  });

  it("is not there by half when there is no room to make it", async () => {
    await withScratch(async (folder) => {
      const program = startCommits(join(folder, "store.db"), "2");
      await program.ended;
      assert.deepEqual(program.lines(), ["refused unavailable"]);
      assert.deepEqual(await readdir(folder), []);
    });
  });

  it("of an older program is copied, for its owner alone, before it becomes a newer one", async () => {
    await withStore(async (store, path) => {
      await store.commit([putNode("a")], audit);
      await store.close();
      const steps = migrations as string[];
      steps.push("CREATE TABLE later (key TEXT)");
      try {
        const newer = await openSqliteStore({ path });
        assert.deepEqual([await newer.revision(), newer.epoch], [1, store.epoch]);
        await newer.close();
      } finally {
        steps.pop();
      }
      await assert.rejects(openSqliteStore({ path }), { code: "newer_store" });
      const copy = `${path}.v${migrations.length}.bak`;
      assert.equal((await stat(copy)).mode & 0o777, 0o600);
      const older = await openSqliteStore({ path: copy });
      assert.equal((await older.get("node", "a"))?.revision, 1);
      await older.close();
    });
  });

  it("of the first version keeps all that it has, and takes what later versions know", async () => {
    await withScratch(async (folder) => {
      const path = join(folder, "store.db");
      const [first] = migrations as [string];
      withDatabase(path, (database) => {
        database.exec(first);
        database.exec(`PRAGMA application_id = ${0x524e4c53}; PRAGMA user_version = 1`);
        database.exec(`INSERT INTO meta VALUES ('epoch', '0123456789abcdef')`);
        database.exec(`UPDATE meta SET value = '7' WHERE name = 'revision'`);
        database.prepare("INSERT INTO nodes VALUES ('a', 7, ?)").run(JSON.stringify(node("a")));
      });
      const store = await openSqliteStore({ path });
      assert.deepEqual([await store.revision(), store.epoch], [7, "0123456789abcdef"]);
      assert.deepEqual(await store.get("node", "a"), { key: "a", value: node("a"), revision: 7 });
      const value = { name: "shop", nodes: {} };
      assert.equal(await store.commit([{ kind: "project", key: "shop", value }], audit), 8);
      await store.close();
    });
  });

  it("of a newer program, of another one or damaged is refused with what to do, and not changed", async () => {
    await withStore(async (store, path) => {
      await store.close();
      withDatabase(path, (database) => database.exec("PRAGMA user_version = 99"));
      await assert.rejects(openSqliteStore({ path }), {
        code: "newer_store",
        message:
          `The store ${path} was written by a newer program: its tables have version 99, and this program knows ` +
          `${migrations.length}. Start the newer program, or restore a backup`,
      });
      withDatabase(path, (database) => {
        assert.equal(database.prepare("PRAGMA user_version").get()!.user_version, 99);
        database.exec("PRAGMA application_id = 1");
      });
      await assert.rejects(openSqliteStore({ path }), {
        code: "damaged_store",
        message: `The file ${path} is no store of Runnel`,
      });
      await writeFile(path, "no database at all\n".repeat(100));
      await assert.rejects(openSqliteStore({ path }), { code: "damaged_store" });
      assert.equal((await readFile(path, "utf8")).length, 1_900);
    });
  });

  it("that is empty is damaged, and no new one is made of it", async () => {
    await withStore(async (store, path) => {
      await store.close();
      await writeFile(path, "");
      await assert.rejects(openSqliteStore({ path }), {
        code: "damaged_store",
        message: `The file ${path} is no store of Runnel`,
      });
      assert.equal((await stat(path)).size, 0);
    });
  });

  it("cannot be where no file can be", async () => {
    await withScratch(async (folder) => {
      await writeFile(join(folder, "file"), "");
      const path = join(folder, "file", "store.db");
      await assert.rejects(openSqliteStore({ path }), { code: "unavailable" });
    });
  });
});

describe("A backup of a store", () => {
  it("is a new file with all of it, and restores to a store of another epoch", async () => {
    await withStore(async (store, path) => {
      const backup = `${path}.backup`;
      await store.commit([{ kind: "node", key: "a", value: node("a", { is: "kept" }) }], audit);
      await store.backup(backup);
      await assert.rejects(store.backup(backup), { code: "unavailable" });
      await store.commit([putNode("b")], audit);
      await store.close();
      assert.equal(await restoreBackup(backup, path), `${path}.replaced`);
      const restored = await openSqliteStore({ path });
      assert.deepEqual((await restored.list("node")).map(({ value }) => value.labels), [{ is: "kept" }]);
      assert.equal(await restored.revision(), 1);
      assert.notEqual(restored.epoch, store.epoch);
      await restored.close();
      const files = ["store.db", "store.db.backup", "store.db.replaced"];
      assert.deepEqual((await readdir(join(path, ".."))).sort(), files);
      const replaced = await openSqliteStore({ path: `${path}.replaced` });
      assert.deepEqual((await replaced.list("node")).map(({ key }) => key), ["a", "b"]);
      assert.equal(replaced.epoch, store.epoch);
      await replaced.close();
    });
  });

  it("is for its owner alone, and so is what it restores to, whatever became of its mode", async () => {
    await withStore(async (store, path) => {
      const modeOf = async (file: string) => (await stat(file)).mode & 0o777;
      const backup = `${path}.backup`;
      await store.commit([putNode("a")], audit);
      await store.backup(backup);
      assert.equal(await modeOf(backup), 0o600);
      await store.close();
      await chmod(backup, 0o644);
      await restoreBackup(backup, path);
      assert.equal(await modeOf(path), 0o600);
      await restoreBackup(backup, `${path}.other/store.db`);
      assert.equal(await modeOf(`${path}.other/store.db`), 0o600);
      assert.equal(await modeOf(`${path}.other`), 0o700);
    });
  });

  it("takes nobody else's file, and leaves none behind where it fails", async () => {
    await withStore(async (store, path) => {
      await writeFile(`${path}.file`, "");
      await assert.rejects(store.backup(`${path}.file`), { code: "unavailable" });
      assert.equal((await stat(`${path}.file`)).size, 0);
      await store.close();
      await assert.rejects(store.backup(`${path}.backup`), { code: "unavailable" });
      assert.ok(!(await readdir(join(path, ".."))).includes("store.db.backup"));
    });
  });

  it("is not restored to a store that is in use", async () => {
    await withStore(async (store, path) => {
      await store.commit([putNode("a")], audit);
      await store.backup(`${path}.backup`);
      await store.commit([putNode("b")], audit);
      await assert.rejects(restoreBackup(`${path}.backup`, path), {
        code: "in_use",
        message: `The store ${path} is in use by another program`,
      });
      await store.commit([putNode("c")], audit);
      assert.deepEqual((await store.list("node")).map(({ key }) => key), ["a", "b", "c"]);
      assert.ok(!(await readdir(join(path, ".."))).some((name) => /tmp|replaced/.test(name)));
    });
  });

  it("restores in place of a store that is damaged", async () => {
    await withStore(async (store, path) => {
      await store.commit([putNode("a")], audit);
      await store.backup(`${path}.backup`);
      await store.close();
      await writeFile(path, "no database at all\n".repeat(100));
      await restoreBackup(`${path}.backup`, path);
      const restored = await openSqliteStore({ path });
      assert.deepEqual((await restored.list("node")).map(({ key }) => key), ["a"]);
      await restored.close();
    });
  });

  it("that is cut off changes nothing", async () => {
    await withStore(async (store, path) => {
      for (let index = 0; index < 200; index++) await store.commit([putNode(`node-${index}`)], audit);
      await store.backup(`${path}.backup`);
      await store.close();
      const before = await readFile(path);
      const whole = await readFile(`${path}.backup`);
      await writeFile(`${path}.cut`, whole.subarray(0, whole.length / 2));
      await assert.rejects(restoreBackup(`${path}.cut`, path), { code: "damaged_store" });
      assert.deepEqual(await readFile(path), before);
    });
  });

  it("that is none changes nothing", async () => {
    await withStore(async (store, path) => {
      await store.commit([putNode("a")], audit);
      await store.close();
      const before = await readFile(path);
      await writeFile(`${path}.backup`, "junk ".repeat(1_000));
      await assert.rejects(restoreBackup(`${path}.backup`, path), { code: "damaged_store" });
      // As a download that failed leaves it.
      await writeFile(`${path}.backup`, "");
      await assert.rejects(restoreBackup(`${path}.backup`, path), { code: "damaged_store" });
      await assert.rejects(restoreBackup(`${path}.missing`, path), { code: "unavailable" });
      assert.deepEqual(await readFile(path), before);
      await copyFile(path, `${path}.copy`);
      assert.deepEqual((await readdir(join(path, ".."))).sort(), ["store.db", "store.db.backup", "store.db.copy"]);
    });
  });
});
