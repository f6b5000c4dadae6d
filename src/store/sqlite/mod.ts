/** The store in one SQLite file. */
export { openSqliteStore, type SqliteStoreOptions } from "./open.ts";
export { restoreBackup } from "./restore.ts";
