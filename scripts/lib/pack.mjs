// @ts-check
/** Makes the npm package: both programs and the library as bundled JavaScript, with the library's types. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readOptions, usageError } from "./arguments.mjs";
import { writeChecksums } from "./archive.mjs";
import { BuildError, bundle, checkoutCommit, outputOf } from "./bundle.mjs";
import { thirdPartyLicenses } from "./licenses.mjs";
import { manifest, root, setUp } from "./toolchain.mjs";

const help = `Usage: scripts/pack.sh [--out FOLDER] [--commit ID]

Makes the npm package, with the programs edge and agent and the library: the folder FOLDER/npm, and the file
FOLDER/runnel-VERSION.tgz of it. It depends on no other package, and runs under Node 22 or later, Bun and Deno.

  --out FOLDER   where it goes (default dist)
  --commit ID    what --version says (default the commit of this checkout)
  --help         print this`;

function readArguments() {
  const { values } = readOptions("pack", help, {
    options: {
      out: { type: "string", default: join(root, "dist") },
      commit: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.commit !== undefined && !/^[0-9a-f]{7,64}$/.test(values.commit)) {
    usageError("pack", `no commit: ${values.commit}`);
  }
  return { out: resolve(values.out), commit: values.commit?.slice(0, 12) };
}

/** The manifest of the package: what whoever installs it needs, and nothing of the checkout's. */
const packageManifest = {
  name: manifest.name,
  version: manifest.version,
  description: manifest.description,
  license: manifest.license,
  type: "module",
  engines: { node: ">=22" },
  bin: { edge: "edge.js", agent: "agent.js" },
  exports: { ".": { types: "./types/mod.d.ts", default: "./mod.js" }, "./package.json": "./package.json" },
  // Declarations of sockets name types of node:net.
  peerDependencies: { "@types/node": ">=22" },
  peerDependenciesMeta: { "@types/node": { optional: true } },
};

/** @param {string} folder */
function emitTypes(folder) {
  const args = ["--declaration", "--emitDeclarationOnly", "--strict", "--skipLibCheck", "--resolveJsonModule"];
  args.push("--target", "esnext", "--module", "nodenext", "--allowImportingTsExtensions", "--types", "node");
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  args.push("--rootDir", root, "--outDir", folder, join(root, "mod.ts"));
  outputOf(process.execPath, [tsc, ...args], "the types of mod.ts could not be made");
}

async function main() {
  const { out, commit } = readArguments();
  setUp();
  const folder = join(out, "npm");
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    bundle(folder, commit ?? checkoutCommit());
    emitTypes(join(folder, "types"));
    writeFileSync(join(folder, "package.json"), `${JSON.stringify(packageManifest, null, 2)}\n`);
    for (const name of ["LICENSE", "README.md"]) cpSync(join(root, name), join(folder, name));
    writeFileSync(join(folder, "THIRD-PARTY-LICENSES"), thirdPartyLicenses());
    outputOf("npm", ["pack", folder, "--ignore-scripts", "--pack-destination", out], "npm pack failed");
    await writeChecksums(out, manifest.version);
    console.log(`pack: runnel-${manifest.version}.tgz in ${out}`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`pack: ${error.message}`);
    process.exit(1);
  }
}

await main();
