/** `/api/v1/backup`: the whole store as one file. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Store } from "../store/mod.ts";
import { etagOf } from "./conditions.ts";
import { Refusal } from "./problems.ts";
import { common, etagHeaders } from "./responses.ts";

const backup = createRoute({
  method: "get",
  path: "/api/v1/backup",
  summary: "A copy of the whole store, for edge restore",
  description: "It holds no token, but the hashes of all: keep it private.",
  responses: {
    ...common,
    200: {
      description: "An SQLite file",
      headers: etagHeaders,
      content: {
        "application/vnd.sqlite3": { schema: z.string().openapi({ format: "binary" }) },
      },
    },
  },
});

/** Backups that are read at one time: each is a file until its reader has it. */
const MAX_BACKUPS = 4;
const CHUNK_BYTES = 64 * 1024;

const backupHeaders = {
  "Content-Type": "application/vnd.sqlite3",
  "Content-Disposition": 'attachment; filename="runnel.db"',
  "Cache-Control": "no-store",
};

/** @param folder where a backup is made before it is sent. Default: the system's for temporary files. */
export function addBackupRoutes(app: OpenAPIHono, store: Store, folder = tmpdir()): void {
  let count = 0;
  app.openapi(backup, async (c) => {
    // A body that nobody reads would hold its place for ever.
    if (c.req.raw.method === "HEAD") return new Response(null, { headers: backupHeaders }) as never;
    if (count >= MAX_BACKUPS) throw new Refusal("overloaded", `${MAX_BACKUPS} backups are being read already`);
    count++;
    try {
      const revision = await store.revision();
      const { stream, size } = await makeBackup(store, folder, () => count--);
      const headers = { ...backupHeaders, "Content-Length": String(size), "ETag": etagOf(store.epoch, revision) };
      return new Response(stream, { headers }) as never;
    } catch (error) {
      count--;
      throw error;
    }
  });
}

/** @param onEnd is called once the stream was read or canceled. It is not where this rejects. */
async function makeBackup(store: Store, folder: string, onEnd: () => void) {
  // Its folder is private (mkdtemp makes it so), whoever may look into the one around it.
  const own = await mkdtemp(join(folder, "backup-"));
  const remove = () => rm(own, { recursive: true, force: true });
  try {
    const path = join(own, "runnel.db");
    await store.backup(path);
    const file = await open(path);
    // What is open needs no name: a program that is killed leaves nothing behind. Windows may refuse until it is closed.
    await remove().catch(() => {});
    const { size } = await file.stat();
    const end = async () => {
      onEnd();
      await file.close();
      await remove();
    };
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        const chunk = new Uint8Array(CHUNK_BYTES);
        const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
        if (bytesRead > 0) return controller.enqueue(chunk.subarray(0, bytesRead));
        await end();
        controller.close();
      },
      cancel: end,
    }, { highWaterMark: 0 });
    return { stream, size };
  } catch (error) {
    await remove();
    throw error;
  }
}
