// @ts-check
/** Files as a release hands them out: a compressed archive, and the list of checksums beside it. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, readdirSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { tarOf } from "./ustar.mjs";

/** @typedef {import("./ustar.mjs").Entry} Entry */

/** The time of files in archives, as npm has it: tar warns of 1970. */
const defaultSeconds = Date.UTC(1985, 9, 26, 8, 15) / 1000;

/** `SOURCE_DATE_EPOCH` (reproducible-builds.org), or a fixed time. */
function entrySeconds() {
  const text = process.env.SOURCE_DATE_EPOCH ?? "";
  if (text === "") return defaultSeconds;
  if (!/^\d{1,11}$/.test(text)) throw new Error(`SOURCE_DATE_EPOCH is no number of seconds: ${text}`);
  return Number(text);
}

/** Level 6 takes twice the time and saves 2% on what is mostly machine code. Tests, which throw it away, say 0. */
const gzipLevel = Number(process.env.RUNNEL_GZIP_LEVEL ?? 4);

/**
 * Writes `entries` to `file` as tar.gz. The same entries give the same bytes.
 * @param {string} file @param {Iterable<Entry>} entries
 */
export async function writeArchive(file, entries) {
  await pipeline(
    Readable.from(tarOf(entries, entrySeconds())),
    createGzip({ level: gzipLevel }),
    createWriteStream(file),
  );
  // RFC 1952 §2.3: the byte at 9 names the system that compressed, which must not matter: 255 is "unknown".
  const handle = await open(file, "r+");
  await handle.write(Uint8Array.of(255), 0, 1, 9);
  await handle.close();
}

/** @param {string} file */
async function sha256(file) {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece);
  return hash.digest("hex");
}

/**
 * Writes `SHA256SUMS` for everything in `folder` that is a release's, in the form that `sha256sum -c` reads.
 * @param {string} folder @param {string} version
 */
export async function writeChecksums(folder, version) {
  const isReleased = (/** @type {string} */ name) =>
    /^(edge|agent)(\.exe)?$/.test(name) || name === "install.sh" || name === `runnel-${version}.tgz` ||
    (name.startsWith(`runnel-${version}-`) && name.endsWith(".tar.gz"));
  const lines = [];
  for (const name of readdirSync(folder).filter(isReleased).sort()) {
    lines.push(`${await sha256(join(folder, name))}  ${name}\n`);
  }
  writeFileSync(join(folder, "SHA256SUMS"), lines.join(""));
}
