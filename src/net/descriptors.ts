/**
 * How many sockets this process may open. Where descriptors run out, only new sockets must suffer, and first those of
 * visitors. The runtimes do not ensure that, so sockets are counted here, and a part of the descriptors is reserved.
 */
import { readdirSync, readFileSync } from "node:fs";
import { libc } from "./libc.ts";

/**
 * A quarter of all descriptors, up to here, is reserved in four equal parts: two for sockets that are accepted to be
 * told that there are too many, one for sockets that are dialed and for those that are accepted in one turn of the
 * event loop, and one for files, the database and DNS lookups.
 */
const MAX_RESERVED_DESCRIPTORS = 2048;
/** What a process of ours has open at its start, where the system does not tell. */
const USUAL_DESCRIPTORS = 32;
const RLIMIT_NOFILE = 7;

let open = 0;
let shares: Shares | null = null;

/** Numbers of open sockets, beside the descriptors in use at the first call. All are infinite for an unknown limit. */
interface Shares {
  /** Up to here a socket is served. */
  readonly served: number;
  /** From there up to here, it is accepted to be told that there are too many. */
  readonly accepted: number;
  /** Up to here one may be dialed. */
  readonly dialed: number;
}

/** True while one more accepted socket may be served. */
export function canServe(): boolean {
  return open < socketShares().served;
}

/** True while one more socket may be accepted, if only to be told that there are too many. */
export function canAccept(): boolean {
  return open < socketShares().accepted;
}

/** True while one more socket may be dialed. */
export function canDial(): boolean {
  return open < dialLimit();
}

/** Sockets that may be open when one more is dialed. */
export function dialLimit(): number {
  return socketShares().dialed;
}

/** Counts a socket that is opened. Its owner calls `closeDescriptor()` once it has closed. */
export function openDescriptor(): void {
  open++;
}

export function closeDescriptor(): void {
  open--;
}

/** Sockets that are open, and up to how many visitors are served; `Infinity` where the system does not tell. */
export function socketCounts(): { readonly open: number; readonly served: number } {
  return { open, served: socketShares().served };
}

function socketShares(): Shares {
  shares ??= measureShares();
  return shares;
}

function measureShares(): Shares {
  const limit = descriptorLimit();
  const part = Math.floor(Math.min(MAX_RESERVED_DESCRIPTORS, limit / 4) / 4);
  const usable = limit - descriptorsInUse() + open;
  return {
    served: Math.max(1, usable - 4 * part),
    accepted: Math.max(1, usable - 2 * part),
    dialed: Math.max(1, usable - part),
  };
}

/** Of this process. Deno shows /proc with all permissions alone. */
function descriptorLimit(): number {
  try {
    const row = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    if (row !== null) return Number(row[1]);
  } catch {
    // Not Linux, or a sandbox.
  }
  const limits = new BigUint64Array(2);
  return libc()?.getrlimit(RLIMIT_NOFILE, limits) === 0 ? Number(limits[0]) : Infinity;
}

function descriptorsInUse(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return USUAL_DESCRIPTORS + open;
  }
}
