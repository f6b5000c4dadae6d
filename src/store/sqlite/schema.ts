/** The tables, and how those of older programs become these. */
import type { DatabaseSync } from "node:sqlite";
import type { Kind, Records } from "../records.ts";

/**
 * The steps from an empty file. `user_version` says how many of them were made. A step that was released is never
 * changed: a new one is added behind it.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('revision', '0');

  CREATE TABLE nodes (
    key TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE tokens (
    key TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    value TEXT NOT NULL,
    node TEXT GENERATED ALWAYS AS (json_extract(value, '$.node')) STORED
      REFERENCES nodes (key) DEFERRABLE INITIALLY DEFERRED
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tokens_by_node ON tokens (node);

  CREATE TABLE tunnels (
    key TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE tunnel_nodes (
    tunnel TEXT NOT NULL REFERENCES tunnels (key) ON DELETE CASCADE,
    node TEXT NOT NULL REFERENCES nodes (key) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (tunnel, node)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tunnel_nodes_by_node ON tunnel_nodes (node);
  CREATE TRIGGER tunnel_added AFTER INSERT ON tunnels BEGIN
    INSERT INTO tunnel_nodes SELECT new.key, each.value FROM json_each(new.value, '$.nodes') AS each;
  END;
  CREATE TRIGGER tunnel_changed AFTER UPDATE ON tunnels BEGIN
    DELETE FROM tunnel_nodes WHERE tunnel = new.key;
    INSERT INTO tunnel_nodes SELECT new.key, each.value FROM json_each(new.value, '$.nodes') AS each;
  END;

  CREATE TABLE hostnames (
    key TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    value TEXT NOT NULL,
    tunnel TEXT GENERATED ALWAYS AS (json_extract(value, '$.tunnel')) STORED
      REFERENCES tunnels (key) DEFERRABLE INITIALLY DEFERRED
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX hostnames_by_tunnel ON hostnames (tunnel);

  CREATE TABLE versions (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    value TEXT,
    PRIMARY KEY (kind, key, revision)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX versions_by_revision ON versions (revision);

  CREATE TABLE acknowledgements (
    node TEXT NOT NULL REFERENCES nodes (key) ON DELETE CASCADE,
    instance TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (node, instance)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE audit (id INTEGER PRIMARY KEY, value TEXT NOT NULL) STRICT;
  `,
  `
  CREATE TABLE projects (
    key TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
];

/** The table of each kind of record. */
export const tables: Readonly<Record<Kind, string>> = {
  node: "nodes",
  token: "tokens",
  tunnel: "tunnels",
  hostname: "hostnames",
  project: "projects",
};

/** How a record of this kind is called in a sentence. */
export const titles: Readonly<Record<Kind, string>> = {
  node: "node",
  token: "token",
  tunnel: "tunnel",
  hostname: "hostname",
  project: "project",
};

/** The statements for one kind of record. */
export function statementsFor(database: DatabaseSync, kind: Kind) {
  const table = tables[kind];
  return {
    get: database.prepare(`SELECT revision, value FROM ${table} WHERE key = ?`),
    list: database.prepare(`SELECT key, revision, value FROM ${table} WHERE key > ? ORDER BY key LIMIT ?`),
    put: database.prepare(`
      INSERT INTO ${table} (key, revision, value) VALUES (?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value`),
    remove: database.prepare(`DELETE FROM ${table} WHERE key = ?`),
  };
}

export function parseRecord<K extends Kind>(json: unknown): Records[K] {
  return JSON.parse(json as string) as Records[K];
}
