import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { dial } from "../../src/net/mod.ts";
import { openSqliteStore, restoreBackup } from "../../src/store/mod.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import { type AdminStage, onAdminStage, TOKEN } from "./stage.ts";

/** Asks for a backup and reads its head alone. */
async function beginBackup({ port }: AdminStage): Promise<SocketReader> {
  const reader = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
  const head = `GET /api/v1/backup HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`;
  reader.socket.write(bytesOf(head));
  return reader;
}

/** More than sockets hold on their way: the reader that takes nothing holds its backup. */
async function fill({ store }: AdminStage, bytes: number): Promise<void> {
  const audit = { at: "2026-01-02T03:04:05.000Z", actor: "test", action: "test", subject: "it" };
  await store.commit([], { ...audit, detail: { text: "x".repeat(bytes) } });
}

const backupFolders = async (folder: string) => (await readdir(folder)).filter((name) => name.startsWith("backup-"));

describe("GET /api/v1/backup", () => {
  it("gives a file that restores to the same records, and leaves none behind", () =>
    onAdminStage(async (stage) => {
      const { port, folder, store } = stage;
      await stage.ask("/api/v1/nodes", { method: "POST", body: { name: "web-1" } });
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/backup`, {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      const bytes = new Uint8Array(await response.arrayBuffer());
      assert.equal(response.headers.get("content-type"), "application/vnd.sqlite3");
      assert.equal(response.headers.get("content-length"), String(bytes.length));
      assert.equal(response.headers.get("etag"), `"${store.epoch}-1"`);
      assert.equal(response.headers.get("cache-control"), "no-store");
      await eventually(async () => (await backupFolders(folder)).length === 0);
      await writeFile(join(folder, "file"), bytes);
      await restoreBackup(join(folder, "file"), join(folder, "restored.db"));
      const restored = await openSqliteStore({ path: join(folder, "restored.db") });
      assert.deepEqual(await restored.list("node"), await store.list("node"));
      await restored.close();
    }));

  it("is bounded in number, and given up with its reader", () =>
    onAdminStage(async (stage) => {
      const { ask, folder } = stage;
      await fill(stage, 16 * 1024 * 1024);
      const readers = await Promise.all(Array.from({ length: 4 }, () => beginBackup(stage)));
      for (const reader of readers) {
        assert.match(await reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
        reader.socket.pause();
      }
      const refused = await ask("/api/v1/backup");
      assert.deepEqual([refused.status, refused.json.code], [503, "overloaded"]);
      // An edge that is killed now leaves nothing behind.
      assert.deepEqual(await backupFolders(folder), []);
      for (const { socket } of readers) socket.reset();
      await eventually(async () => {
        const reader = await beginBackup(stage);
        const head = await reader.readUntil("\r\n\r\n");
        reader.socket.reset();
        return head.startsWith("HTTP/1.1 200 ");
      });
      assert.equal((await ask("/api/v1/backup", { method: "HEAD" })).status, 200);
      await eventually(async () => (await backupFolders(folder)).length === 0);
    }));

  it("answers 503 where the store cannot be used, and frees its place", () =>
    onAdminStage(async ({ ask, store, folder }) => {
      await store.close();
      for (let count = 0; count < 6; count++) {
        const { status, json } = await ask("/api/v1/backup");
        assert.deepEqual([status, json.code], [503, "store_unavailable"]);
      }
      assert.deepEqual(await backupFolders(folder), []);
    }));
});
