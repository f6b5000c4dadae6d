/**
 * How many sockets this process may open. Where descriptors run out, only new sockets must suffer. The runtimes do not
 * ensure that: once accept(2) has failed with EMFILE, a listener of Deno never accepts again, and reports nothing
 * (2.9.6). So sockets are counted here, and some descriptors are reserved for other uses.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Descriptors for files, the database, DNS lookups and sockets that are rejected. */
const RESERVED_DESCRIPTORS = 64;

let open = 0;
let limit: number | null = null;

/** True while one more socket may be opened. */
export function hasDescriptor(): boolean {
  return open < socketLimit();
}

/** Counts a socket that was opened. Its owner calls `closeDescriptor()` once it has closed. */
export function openDescriptor(): void {
  open++;
}

export function closeDescriptor(): void {
  open--;
}

/**
 * How many sockets may be open, beside the descriptors in use at the first call. Infinity where the limit is unknown.
 */
export function socketLimit(): number {
  limit ??= measureLimit();
  return limit;
}

function measureLimit(): number {
  try {
    const row = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    if (row === null) return Infinity;
    const total = Number(row[1]);
    const taken = readdirSync("/proc/self/fd").length - open;
    return Math.max(1, total - taken - Math.min(RESERVED_DESCRIPTORS, Math.ceil(total / 8)));
  } catch {
    // No /proc: not Linux, or a sandbox. Then the system's limit makes single calls fail.
    return Infinity;
  }
}
