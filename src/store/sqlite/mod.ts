/** The store in one SQLite file. */
export { openSqliteStore, restoreBackup, type SqliteStoreOptions } from "./open.ts";
