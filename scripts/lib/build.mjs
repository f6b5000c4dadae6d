// @ts-check
/** Compiles both programs, and makes the archives of a release. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readOptions, usageError } from "./arguments.mjs";
import { writeArchive, writeChecksums } from "./archive.mjs";
import {
  BuildError,
  bunProgram,
  checkoutCommit,
  compileWithBun,
  compileWithDeno,
  outputOf,
  programs,
} from "./bundle.mjs";
import { bunNotice, thirdPartyLicenses } from "./licenses.mjs";
import { manifest, root, setUp } from "./toolchain.mjs";

/** @typedef {import("./ustar.mjs").Entry} Entry */

/** Our names of systems, and Bun's. @type {Record<string, string>} */
const bunTargets = {
  "linux-x64": "bun-linux-x64",
  "linux-arm64": "bun-linux-arm64",
  "linux-x64-musl": "bun-linux-x64-musl",
  "darwin-x64": "bun-darwin-x64",
  "darwin-arm64": "bun-darwin-arm64",
  "windows-x64": "bun-windows-x64",
};

/** Where shells look for completions of a command. @type {Record<string, (program: string) => string>} */
const completionFiles = {
  bash: (program) => `${program}.bash`,
  zsh: (program) => `_${program}`,
  fish: (program) => `${program}.fish`,
  powershell: (program) => `${program}.ps1`,
};

const help = `Usage: scripts/build.sh [--target TARGET] [--out FOLDER] [--runtime bun|deno] [--commit ID]

Compiles edge and agent into FOLDER for this machine, each a single program that needs no runtime. With --target
also makes the archive runnel-VERSION-TARGET.tar.gz. SHA256SUMS has the checksum of each file. The same sources give
the same bytes; SOURCE_DATE_EPOCH sets the time of the files in an archive.

  --target TARGET    ${Object.keys(bunTargets).join(", ")} or all; may be
                     repeated. Bun gets what other systems need from npm
  --out FOLDER       where all of it goes (default dist)
  --runtime RUNTIME  what compiles the programs for this machine, and is in them (default bun). Deno gets what it
                     needs from dl.deno.land, or from the file that DENORT_BIN names; archives are always Bun's
  --commit ID        what --version says (default the commit of this checkout)
  --help             print this`;

function readArguments() {
  const { values } = readOptions("build", help, {
    options: {
      target: { type: "string", multiple: true, default: [] },
      out: { type: "string", default: join(root, "dist") },
      runtime: { type: "string", default: "bun" },
      commit: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const targets = values.target.includes("all") ? Object.keys(bunTargets) : [...new Set(values.target)];
  for (const target of targets) {
    if (!Object.hasOwn(bunTargets, target)) usageError("build", `no such target: ${target}`);
  }
  if (values.runtime !== "bun" && values.runtime !== "deno") usageError("build", `no such runtime: ${values.runtime}`);
  if (values.commit !== undefined && !/^[0-9a-f]{7,64}$/.test(values.commit)) {
    usageError("build", `no commit: ${values.commit}`);
  }
  const commit = values.commit?.slice(0, 12);
  return { targets, out: resolve(values.out), runtime: values.runtime, commit };
}

/** The completion scripts of both programs, as entries of an archive under `prefix`. @param {string} prefix */
function completions(prefix) {
  const text = outputOf(bunProgram(), ["scripts/lib/completions.ts"], "the completions could not be made");
  /** @type {Record<string, Record<string, string>>} */
  const scripts = JSON.parse(text);
  return programs.flatMap((program) =>
    Object.entries(completionFiles).map(([shell, fileOf]) =>
      entry(`${prefix}/completions/${fileOf(program)}`, Buffer.from(scripts[program][shell]))
    )
  );
}

/** @param {string} path @param {Uint8Array} data @param {number} mode @returns {Entry} */
const entry = (path, data, mode = 0o644) => ({ path, data, mode });

/**
 * The files of the archive for `target`, whose programs are in `folder`.
 * @param {string} folder @param {string} target
 */
function* contents(folder, target) {
  const prefix = `runnel-${manifest.version}-${target}`;
  const suffix = target.startsWith("windows") ? ".exe" : "";
  const bunVersion = outputOf(bunProgram(), ["--version"], "bun does not start").trim();
  for (const program of programs) {
    yield entry(`${prefix}/${program}${suffix}`, readFileSync(join(folder, `${program}${suffix}`)), 0o755);
  }
  yield entry(`${prefix}/LICENSE`, readFileSync(join(root, "LICENSE")));
  yield entry(`${prefix}/THIRD-PARTY-LICENSES`, Buffer.from(thirdPartyLicenses() + bunNotice(bunVersion)));
  yield* completions(prefix);
  if (!target.startsWith("linux")) return;
  for (const name of readdirSync(join(root, "systemd")).sort()) {
    yield entry(`${prefix}/systemd/${name}`, readFileSync(join(root, "systemd", name)));
  }
}

/** @param {string} target @param {string} out @param {string} commit */
async function makeArchive(target, out, commit) {
  const folder = mkdtempSync(join(tmpdir(), "runnel-build-"));
  try {
    const suffix = target.startsWith("windows") ? ".exe" : "";
    compileWithBun(folder, { commit, bunTarget: bunTargets[target], suffix });
    const name = `runnel-${manifest.version}-${target}.tar.gz`;
    await writeArchive(join(out, name), contents(folder, target));
    console.log(`build: ${name}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  const { targets, out, runtime, commit: wanted } = readArguments();
  setUp();
  try {
    const commit = wanted ?? checkoutCommit();
    mkdirSync(out, { recursive: true });
    if (runtime === "deno") compileWithDeno(out, commit);
    else compileWithBun(out, { commit, suffix: process.platform === "win32" ? ".exe" : "" });
    console.log(`build: ${programs.join(" and ")} ${manifest.version} (${commit}) in ${out}`);
    for (const target of targets) await makeArchive(target, out, commit);
    copyFileSync(join(root, "scripts", "install.sh"), join(out, "install.sh"));
    await writeChecksums(out, manifest.version);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`build: ${error.message}`);
    process.exit(1);
  }
}

await main();
