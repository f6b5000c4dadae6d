// @ts-check
/** Makes the npm package: both programs and the library as bundled JavaScript, with the library's types. */
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readOptions, usageError } from "./arguments.mjs";
import { writeChecksums } from "./archive.mjs";
import { BuildError, bundle, checkoutCommit, outputOf, programs } from "./bundle.mjs";
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

/** It explains the sources, which the package does not have. */
const insidePage = "internals.md";
/** What pages link to outside of docs/. */
const linkedFiles = ["scripts/examples/agent.py", "scripts/examples/managed_agent.py"];

/** @param {string} folder */
function emitTypes(folder) {
  const args = ["--declaration", "--emitDeclarationOnly", "--strict", "--skipLibCheck", "--resolveJsonModule"];
  args.push("--target", "esnext", "--module", "nodenext", "--allowImportingTsExtensions", "--types", "node");
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  args.push("--rootDir", root, "--outDir", folder, join(root, "mod.ts"));
  outputOf(process.execPath, [tsc, ...args], "the types of mod.ts could not be made");
}

/**
 * Makes the package say at once that a Node is too old. What a module imports is evaluated in its order, so the library
 * looks first; a program has a launcher, which also makes one line of it.
 * @param {string} folder
 */
function checkNodeFirst(folder) {
  cpSync(join(root, "scripts", "npm", "node_version.js"), join(folder, "node_version.js"));
  const library = join(folder, "mod.js");
  writeFileSync(library, `import "./node_version.js";\n${readFileSync(library, "utf8")}`);
  for (const program of programs) {
    renameSync(join(folder, `${program}.js`), join(folder, `${program}_program.js`));
    writeFileSync(join(folder, `${program}.js`), launcher(program), { mode: 0o755 });
  }
}

/** @param {string} program */
const launcher = (program) =>
  `#!/usr/bin/env node
import process from "node:process";

try {
  await import("./node_version.js");
} catch (error) {
  console.error(\`${program}: \${error.message}\`);
  process.exit(1);
}
await import("./${program}_program.js");
`;

/** The pages that someone without a checkout reads, and what they link to. @param {string} folder */
function addPages(folder) {
  cpSync(join(root, "scripts", "npm", "README.md"), join(folder, "README.md"));
  mkdirSync(join(folder, "docs"));
  for (const name of readdirSync(join(root, "docs")).filter((name) => name !== insidePage)) {
    const lines = readFileSync(join(root, "docs", name), "utf8").split("\n");
    writeFileSync(join(folder, "docs", name), lines.filter((line) => !line.includes(`(${insidePage})`)).join("\n"));
  }
  for (const path of linkedFiles) cpSync(join(root, path), join(folder, path));
}

async function main() {
  const { out, commit } = readArguments();
  setUp();
  const folder = join(out, "npm");
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    bundle(folder, commit ?? checkoutCommit());
    checkNodeFirst(folder);
    emitTypes(join(folder, "types"));
    writeFileSync(join(folder, "package.json"), `${JSON.stringify(packageManifest, null, 2)}\n`);
    cpSync(join(root, "LICENSE"), join(folder, "LICENSE"));
    addPages(folder);
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
