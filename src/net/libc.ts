/**
 * The C library's calls on the descriptors of sockets, for options that no runtime offers. Linux alone: the numbers of
 * options differ elsewhere.
 */
import process from "node:process";
import { runtime } from "./current_runtime.ts";
import type { Libc } from "./libc_functions.ts";

/** Of glibc, and of musl. */
const libraryNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

let library: Libc | null | undefined;

/** Null where this is not Linux, or the process may not call it: on Deno that takes `--allow-ffi`; Node has no way. */
export function libc(): Libc | null {
  if (library === undefined) library = process.platform === "linux" ? openLibrary() : null;
  return library;
}

function openLibrary(): Libc | null {
  for (const name of libraryNames) {
    try {
      return runtime.openLibc(name);
    } catch {
      // Another C library, or a system that allows no calls of it.
    }
  }
  return null;
}
