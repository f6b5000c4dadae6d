// @ts-check
/** The TypeScript of this checkout made into what can leave it: bundled JavaScript, or programs. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { programOf, root } from "./toolchain.mjs";

export const programs = /** @type {const} */ (["edge", "agent"]);

/** Something outside of this checkout, or in it, does not let the build go on; the message is for a person. */
export class BuildError extends Error {}

/** The path of a Bun, which every build needs. */
export function bunProgram() {
  const bun = programOf("bun");
  if (bun === null) throw new BuildError("there is no bun on this machine, and nothing else bundles");
  return bun;
}

/**
 * What the command prints; it must succeed.
 * @param {string} command @param {string[]} args @param {string} whatFails the beginning of the sentence if it does not
 */
export function outputOf(command, args, whatFails) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  if (status === 0) return stdout;
  throw new BuildError(`${whatFails}: ${error?.message ?? `${stderr}${stdout}`.trim()}`);
}

/** The commit of this checkout as `--version` says it, without git. */
export function checkoutCommit() {
  const script = 'import { commit } from "./src/cli/commit.ts"; console.log(commit())';
  return outputOf(bunProgram(), ["-e", script], "the commit cannot be told").trim();
}

/** Flags that bake the commit in. @param {string} commit */
const definitions = (commit) => ["--define", `RUNNEL_BUILD_COMMIT=${JSON.stringify(commit)}`];

/**
 * Compiles both programs with Bun.
 * @param {string} folder is made
 * @param {{ commit: string, bunTarget?: string, suffix?: string }} options `bunTarget` such as `bun-linux-x64`; by
 *   default this machine
 */
export function compileWithBun(folder, { commit, bunTarget, suffix = "" }) {
  mkdirSync(folder, { recursive: true });
  for (const program of programs) {
    const made = join(folder, `${program}.new${suffix}`);
    // A program must not take settings from .env and bunfig.toml files in the folder it is called from.
    const args = ["build", "--compile", "--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];
    if (bunTarget !== undefined) args.push(`--target=${bunTarget}`);
    args.push(...definitions(commit), `bin/${program}.ts`, "--outfile", made);
    outputOf(bunProgram(), args, `bun could not compile ${program}${bunTarget ? ` for ${bunTarget}` : ""}`);
    // The old program may be running at this moment, and cannot be written to then.
    renameSync(made, join(folder, `${program}${suffix}`));
  }
}

/**
 * Bundles `edge.js`, `agent.js` and `mod.js`, with what they share in files beside them, for every runtime.
 * @param {string} folder is made @param {string} commit
 */
export function bundle(folder, commit) {
  const args = ["build", "--target=node", "--splitting", "--entry-naming=[name].js", "--chunk-naming=shared-[hash].js"];
  args.push(...definitions(commit), "--outdir", folder, ...programs.map((name) => `bin/${name}.ts`), "mod.ts");
  outputOf(bunProgram(), args, "bun could not bundle");
  for (const program of programs) {
    const file = join(folder, `${program}.js`);
    writeFileSync(file, `#!/usr/bin/env node\n${readFileSync(file, "utf8")}`, { mode: 0o755 });
  }
}

/**
 * Compiles both programs with Deno, out of the bundle: given the sources, it would embed all of node_modules.
 * @param {string} folder is made @param {string} commit
 */
export function compileWithDeno(folder, commit) {
  const deno = programOf("deno");
  if (deno === null) throw new BuildError("there is no deno on this machine");
  const bundled = join(folder, "bundle.new");
  mkdirSync(folder, { recursive: true });
  try {
    bundle(bundled, commit);
    for (const program of programs) {
      const made = join(folder, `${program}.new`);
      const included = readdirSync(bundled).filter((name) => name.startsWith("shared-"));
      const args = ["compile", "-A", "--no-check", "--no-config", "--output", made];
      for (const name of included) args.push("--include", join(bundled, name));
      outputOf(
        deno,
        [...args, join(bundled, `${program}.js`)],
        `deno could not compile ${program}. It downloads the program that it adds ours to (denort) from dl.deno.land; ` +
          "where that cannot be reached, set DENORT_BIN to a denort of the same version. It said",
      );
      renameSync(made, join(folder, program));
    }
  } finally {
    rmSync(bundled, { recursive: true, force: true });
  }
}
