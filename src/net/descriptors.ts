/**
 * How many sockets this process may have open. Running out of descriptors must cost the newcomer alone, and the system
 * does not see to that: a listener of Deno's accepts nothing ever again once accept(2) failed with EMFILE, and says
 * nothing (2.9.6). So sockets are counted here, and the last descriptors are never given to them.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Kept for what comes and goes beside sockets: files, the database, names being looked up, a socket being shed. */
const RESERVED = 64;

let open = 0;
let limit: number | null = null;

/** True while one more socket may be opened. */
export function hasDescriptor(): boolean {
  return open < socketLimit();
}

/** Counts a socket that was opened; its owner calls `closeDescriptor()` once, when it has closed. */
export function openDescriptor(): void {
  open++;
}

export function closeDescriptor(): void {
  open--;
}

/** The sockets that fit beside what was open when this was first asked; no limit where the system tells none. */
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
    return Math.max(1, total - taken - Math.min(RESERVED, Math.ceil(total / 8)));
  } catch {
    // No /proc: not Linux, or a sandbox. The system's own limit then speaks at each call.
    return Infinity;
  }
}
