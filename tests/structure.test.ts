/** Rules that hold for the repository as a whole, checked on its files alone. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { codeOf, importsOf } from "./support/source_text.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Imports point from a higher rank to a lower one, or stay within a folder of `src/`. */
const ranks: Record<string, number> = {
  "package.json": 0,
  base: 0,
  memory: 1,
  net: 2,
  observe: 2,
  config: 3,
  http: 3,
  http1: 4,
  websocket: 5,
  httpstream: 6,
  session: 7,
  edge: 8,
  agent: 8,
  cli: 9,
  mod: 9,
  bin: 10,
};

/** Rooms that may use the `process` object, which must then be imported: a program's arguments, signals and streams. */
const processRooms = new Set(["net", "cli", "bin"]);

/** A smell to look at, and no law below it: a state machine may stand in one place. */
const maxLines = 600;

/** Every file of the repository that is not installed or built, relative to the root. */
const files = readdirSync(root, { withFileTypes: true })
  .filter(({ name }) => ![".git", "node_modules", "dist"].includes(name))
  .flatMap((entry) => entry.isDirectory() ? filesUnder(entry.name) : [entry.name])
  .filter((file) => !file.endsWith(".log"));

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.name === "node_modules") return [];
    return entry.isDirectory() ? filesUnder(path) : entry.isFile() ? [path] : [];
  });
}

const read = (file: string) => readFileSync(join(root, file), "utf8");
const readJson = (file: string) => JSON.parse(read(file));
const sources = files.filter((file) => /^(src|bin)\/.*\.ts$/.test(file) || file === "mod.ts");

/** `src/net/socket.ts` is in `net`, `src/clock.ts` in `clock`, `bin/edge.ts` in `bin`. */
function roomOf(file: string): string {
  const parts = file.replace(/^src\//, "").split("/");
  return parts[0].replace(/\.ts$/, "");
}

describe("imports", () => {
  it("every room has a rank when there are files in it", () => {
    assert.ok(sources.length > 0);
    assert.deepEqual(sources.filter((file) => ranks[roomOf(file)] === undefined), []);
  });

  it("point one way when they leave a room", () => {
    const wrong = sources.flatMap((file) =>
      importsOf(read(file))
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => relative(root, join(root, dirname(file), specifier)).replaceAll("\\", "/"))
        .filter((target) => roomOf(target) !== roomOf(file) && !(ranks[roomOf(target)] < ranks[roomOf(file)]))
        .map((target) => `${file} imports ${target}`)
    );
    assert.deepEqual(wrong, []);
  });

  it("name only pinned packages and node: modules when they leave the repository", () => {
    const allowed = Object.keys(readJson("package.json").dependencies);
    const wrong = sources.flatMap((file) =>
      importsOf(read(file))
        .filter((specifier) => !/^(\.|node:)/.test(specifier))
        .filter((specifier) => !allowed.some((name) => specifier === name || specifier.startsWith(`${name}/`)))
        .map((specifier) => `${file} imports ${specifier}`)
    );
    assert.deepEqual(wrong, []);
  });
});

describe("source files", () => {
  it("know no runtime when they are outside src/net", () => {
    const wrong = sources.filter((file) => roomOf(file) !== "net").flatMap((file) => {
      const code = codeOf(read(file));
      const found: string[] = code.match(/\b(?:Bun|Deno)\b(?=\s*[.?[]|\s*$)/gm) ?? [];
      const imported = importsOf(read(file)).includes("node:process");
      const usesProcess = /(?<![.\w])process\s*\??\./.test(code);
      if (usesProcess && !(imported && processRooms.has(roomOf(file)))) found.push("process");
      return found.map((name) => `${file} uses ${name}`);
    });
    assert.deepEqual(wrong, []);
  });

  it(`have at most ${maxLines} lines when someone has to read them`, () => {
    const long = files.filter((file) => /^(src|bin|scripts)\/.*\.(ts|mjs)$/.test(file))
      .map((file) => ({ file, lines: read(file).split("\n").length - 1 }))
      .filter(({ lines }) => lines > maxLines);
    assert.deepEqual(long, []);
  });
});

describe("packages", () => {
  const manifest = readJson("package.json");
  const pins: Record<string, string> = { ...manifest.dependencies, ...manifest.devDependencies };

  it("are pinned exactly when package.json names them", () => {
    const loose = Object.entries(pins).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
    assert.deepEqual(loose, []);
  });

  it("agree between the files when both runtimes import them", () => {
    const imports: Record<string, string> = readJson("deno.json").imports;
    for (const [name, specifier] of Object.entries(imports)) assert.equal(specifier, `npm:${name}@${pins[name]}`);
    for (const name of Object.keys(manifest.dependencies)) assert.ok(imports[name], `deno.json lacks ${name}`);
    const lock = readJson("package-lock.json");
    for (const [name, version] of Object.entries(pins)) {
      assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name);
    }
  });

  it("have one line of reason in CONTRIBUTING.md when they are used", () => {
    const lines = read("CONTRIBUTING.md").split("\n");
    const listed = lines.flatMap((line) => line.match(/^- `(@?[\w./*-]+)`: \S/)?.[1] ?? []);
    assert.deepEqual(listed.sort(), Object.keys(pins).sort());
  });
});

describe("the repository", () => {
  it("names no place of one machine when it is read anywhere else", () => {
    // Written in pieces, so that this file does not find itself.
    const places = new RegExp(
      ["/wo" + "rk/", "/ho" + "me/\\w", "/ro" + "ot/", "/Us" + "ers/\\w", "C:\\\\Us" + "ers"].join("|"),
    );
    const wrong = files.flatMap((file) =>
      read(file).split("\n").flatMap((line, i) => places.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])
    );
    assert.deepEqual(wrong, []);
  });
});
