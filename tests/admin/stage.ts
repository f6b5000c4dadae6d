/** The admin API on a real listener, and a client that writes its requests byte by byte. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AdminListener, type AdminOptions, createAdmin } from "../../src/admin/mod.ts";
import { Control } from "../../src/control/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { openSqliteStore, type Store } from "../../src/store/mod.ts";
import { bytesOf, latin1, SocketReader } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";

export const TOKEN = "the-token-of-the-admin";

export interface Ask {
  method?: string;
  /** An object is sent as JSON; a text as it is. */
  body?: unknown;
  /** Null leaves a field out that is usually sent. */
  headers?: Record<string, string | null>;
  /** Default 1.1. */
  httpVersion?: "1.0" | "1.1";
}

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Empty where the body is no JSON. */
  readonly json: Record<string, unknown>;
}

export interface AdminStage {
  ask(path: string, init?: Ask): Promise<AdminAnswer>;
  readonly control: Control;
  readonly store: Store;
  readonly app: ReturnType<typeof createAdmin>;
  readonly port: number;
  /** That of the store, and of backups. */
  readonly folder: string;
}

/** Fails where the API has made a mistake of its own. */
export function onAdminStage(
  use: (stage: AdminStage) => Promise<void>,
  options: Partial<AdminOptions> = {},
): Promise<void> {
  return withScratch(async (folder) => {
    const store = await openSqliteStore({ path: join(folder, "store.db") });
    const control = await Control.open({ store, domain: "example.com" });
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const app = createAdmin({
      control,
      version: "1.2.3",
      checkToken: (token) => token === TOKEN,
      hosts: ["edge.internal"],
      urlOf: (name) => `https://${name}.example.com`,
      isReady: () => true,
      backupFolder: folder,
      onError,
      ...options,
    });
    const listener = await AdminListener.start({
      listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
      fetch: (request, bindings) => app.fetch(request, bindings),
      onError,
    });
    const port = Number(listener.address.split(":").at(-1));
    const ask = (path: string, init: Ask = {}) => askAdmin(port, path, init);
    try {
      await use({ ask, control, store, app, port, folder });
      assert.deepEqual(errors, []);
    } finally {
      await listener.close();
      control.close();
      await store.close();
    }
  });
}

async function askAdmin(port: number, path: string, init: Ask): Promise<AdminAnswer> {
  const { method = "GET", body, headers = {}, httpVersion = "1.1" } = init;
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const fields = new Map<string, string | null>([["host", `127.0.0.1:${port}`], ["authorization", `Bearer ${TOKEN}`]]);
  if (text !== undefined) {
    fields.set("content-type", "application/json").set("content-length", String(new TextEncoder().encode(text).length));
  }
  for (const [name, value] of Object.entries(headers)) fields.set(name.toLowerCase(), value);
  const lines = [...fields].flatMap(([name, value]) => value === null ? [] : [`${name}: ${value}\r\n`]);
  const reader = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
  reader.socket.write(bytesOf(`${method} ${path} HTTP/${httpVersion}\r\n${lines.join("")}connection: close\r\n\r\n`));
  if (text !== undefined) reader.socket.write(new TextEncoder().encode(text));
  const answer = latin1(await reader.readAll());
  reader.socket.end();
  return parseAnswer(answer);
}

function parseAnswer(answer: string): AdminAnswer {
  const end = answer.indexOf("\r\n\r\n");
  const [statusLine = "", ...lines] = answer.slice(0, end).split("\r\n");
  const headers = new Headers(lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }));
  const isChunked = headers.get("transfer-encoding") === "chunked";
  const body = isChunked ? unchunked(answer.slice(end + 4)) : answer.slice(end + 4);
  const text = new TextDecoder().decode(bytesOf(body));
  const isJson = /json/.test(headers.get("content-type") ?? "") && text !== "";
  return { status: Number(statusLine.split(" ")[1]), headers, text, json: isJson ? JSON.parse(text) : {} };
}

/** Fails where the last chunk is missing. */
function unchunked(body: string): string {
  const line = body.indexOf("\r\n");
  assert.ok(line > 0, "the answer broke off");
  const size = parseInt(body.slice(0, line), 16);
  if (size === 0) return "";
  return body.slice(line + 2, line + 2 + size) + unchunked(body.slice(line + 2 + size + 2));
}
