/** Rules that hold for the repository as a whole, checked on its files alone. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import * as library from "../mod.ts";
import { codeOf, importsOf } from "./support/source_text.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Imports point from a higher rank to a lower one, or stay within a folder of `src/`. */
const ranks: Record<string, number> = {
  "package.json": 0,
  base: 0,
  memory: 1,
  net: 2,
  observe: 2,
  http: 3,
  sse: 3,
  config: 4,
  store: 4,
  control: 5,
  events: 4,
  push: 5,
  acme: 5,
  limits: 4,
  http1: 4,
  websocket: 5,
  httpstream: 6,
  session: 7,
  edge: 8,
  admin: 8,
  agent: 8,
  metrics: 9,
  cli: 10,
  mod: 9,
  bin: 11,
};

/** Folders that may use the `process` object, which must then be imported: a program's arguments, signals and streams. */
const processFolders = new Set(["net", "cli", "bin"]);

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

/** `src/net/tls/mod.ts` is in `net`, `mod.ts` in `mod`, `bin/edge.ts` in `bin`. */
function folderOf(file: string): string {
  const parts = file.replace(/^src\//, "").split("/");
  return parts[0].replace(/\.ts$/, "");
}

/** What `file` imports of this repository, types included, relative to the root. */
const targetsOf = (file: string): string[] =>
  importsOf(read(file))
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => relative(root, join(root, dirname(file), specifier)).replaceAll("\\", "/"));

/** The folders of `src/` with a `mod.ts` of their own that `file` lies in, the outermost first. */
const entered = new Set(sources.filter((file) => file.startsWith("src/") && file.endsWith("/mod.ts")).map(dirname));
function enteredFolders(file: string): string[] {
  const parts = file.split("/");
  return parts.map((_, index) => parts.slice(0, index).join("/")).filter((folder) => entered.has(folder));
}

/** The one file through which `from` may import `target`: the `mod.ts` of the outermost folder that `from` is not in. */
function entranceTo(target: string, from: string): string {
  const around = enteredFolders(from);
  const folder = enteredFolders(target).find((item) => !around.includes(item));
  return folder === undefined ? target : `${folder}/mod.ts`;
}

/** Files that import each other, directly or by way of others: each such group once (Tarjan). */
function circles(files: readonly string[]): string[][] {
  const found: string[][] = [];
  const low = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string): number => {
    const index = low.size;
    let lowest = index;
    low.set(file, index);
    const depth = stack.push(file) - 1;
    for (const target of targetsOf(file)) {
      if (!low.has(target) && files.includes(target)) lowest = Math.min(lowest, visit(target));
      else if (stack.includes(target)) lowest = Math.min(lowest, low.get(target) as number);
    }
    low.set(file, lowest);
    if (lowest === index) {
      const group = stack.splice(depth);
      if (group.length > 1) found.push(group.sort());
    }
    return lowest;
  };
  for (const file of files) if (!low.has(file)) visit(file);
  return found;
}

describe("imports", () => {
  it("every folder has a rank when there are files in it", () => {
    assert.ok(sources.length > 0);
    assert.deepEqual(sources.filter((file) => ranks[folderOf(file)] === undefined), []);
  });

  it("point one way when they leave a folder", () => {
    const wrong = sources.flatMap((file) =>
      targetsOf(file)
        .filter((target) => folderOf(target) !== folderOf(file) && !(ranks[folderOf(target)] < ranks[folderOf(file)]))
        .map((target) => `${file} imports ${target}`)
    );
    assert.deepEqual(wrong, []);
  });

  it("enter a folder through its mod.ts, but for the library's", () => {
    const wrong = sources.filter((file) => file !== "mod.ts").flatMap((file) =>
      targetsOf(file)
        .filter((target) => entranceTo(target, file) !== target)
        .map((target) => `${file} imports ${target}, not ${entranceTo(target, file)}`)
    );
    assert.deepEqual(wrong, []);
  });

  it("make no circle, those of types included", () => {
    assert.deepEqual(circles(sources), []);
  });

  it("entranceTo leads through the outermost folder that the importing file is not in", () => {
    assert.equal(entranceTo("src/http1/codec/writer.ts", "src/edge/edge.ts"), "src/http1/mod.ts");
    assert.equal(entranceTo("src/http1/codec/writer.ts", "src/http1/server/server.ts"), "src/http1/codec/mod.ts");
    assert.equal(entranceTo("src/http1/codec/writer.ts", "src/http1/codec/limits.ts"), "src/http1/codec/writer.ts");
    assert.equal(entranceTo("src/http1/write_chunk.ts", "src/http1/server/server.ts"), "src/http1/write_chunk.ts");
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
    const wrong = sources.filter((file) => folderOf(file) !== "net").flatMap((file) => {
      const code = codeOf(read(file));
      const found: string[] = code.match(/\b(?:Bun|Deno)\b(?=\s*[.?[]|\s*$)/gm) ?? [];
      const imported = importsOf(read(file)).includes("node:process");
      const usesProcess = /(?<![.\w])process\s*\??\./.test(code);
      if (usesProcess && !(imported && processFolders.has(folderOf(file)))) found.push("process");
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

describe("errors", () => {
  it("have their class's name as a text, since bundlers shorten the names of classes", () => {
    const wrong: string[] = [];
    let found = 0;
    for (const file of sources) {
      const classes = read(file).matchAll(
        /class (\w+) extends (?:\w+Error|Error) \{\n(?: {2}static \{\n {4}nameErrorClass\(this, "(\w+)"\);)?/g,
      );
      for (const [, name, text] of classes) {
        found++;
        if (name !== text) wrong.push(`${file}: ${name} has the name ${text}`);
      }
    }
    assert.ok(found > 20, `${found} classes`);
    assert.deepEqual(wrong, []);
  });
});

describe("secrets", () => {
  /** Those that check what others show. */
  const checking = new Set(["edge", "admin", "control", "store", "session"]);
  const secret = String.raw`[\w.]*(?:[tT]oken|[sS]ecret|[hH]ash)`;
  const operator = String.raw`\s*(?:===?|!==?)(?!=)\s*`;
  // `undefined`, `null` and the empty text are no secrets.
  const compared = new RegExp(
    String.raw`\b${secret}${operator}(?!\s*(?:undefined\b|null\b|[;)&|?]))|${operator}${secret}\b(?![(.\w])`,
  );

  it("are compared by timingSafeEqual alone, so that time does not tell how much of a guess is right", () => {
    const wrong = sources.filter((file) => checking.has(folderOf(file)) || file.startsWith("src/cli/edge_serve/"))
      .flatMap((file) => codeOf(read(file)).split("\n").map((line) => `${file}: ${line}`))
      .filter((line) => compared.test(line));
    assert.deepEqual(wrong, []);
    for (const line of ["if (given === token) return", "record.hash !== hashToken(text)", "expected == token)"]) {
      assert.ok(compared.test(line), line);
    }
    const users = sources.filter((file) => codeOf(read(file)).includes("timingSafeEqual("));
    assert.deepEqual(users.sort(), ["src/edge/tokens.ts", "src/store/token.ts"]);
  });
});

describe("the pages about the inside", () => {
  const folders = new Set(sources.filter((file) => file.startsWith("src/")).map((file) => dirname(file)));

  it("CONTRIBUTING.md lists every folder of src, and no other", () => {
    const layout = read("CONTRIBUTING.md").split("## Layout")[1].split("```")[1];
    const listed = [...layout.matchAll(/^(src\/[\w/]+)\/ /gm)].map(([, folder]) => folder);
    const top = [...folders].filter((folder) => folder.split("/").length === 2);
    assert.deepEqual(listed.sort(), top.sort());
  });

  it("docs/internals.md names every folder of src, and only files that are there", () => {
    const text = read("docs/internals.md");
    const named = new Set([...text.matchAll(/`((?:src|scripts|tests|docs)\/[\w./-]*\w)`/g)].map(([, path]) => path));
    assert.ok(named.size > 50, `${named.size} paths`);
    assert.deepEqual([...named].filter((path) => !existsSync(join(root, path))), []);
    assert.deepEqual([...folders].filter((folder) => !named.has(folder)), []);
  });
});

describe("the library", () => {
  it("gives these values, and nothing that is Runnel's own affair", () => {
    assert.deepEqual(Object.keys(library).sort(), [
      "AgentError",
      "Connection",
      "ConnectionError",
      "EdgeUrlError",
      "ErrorCode",
      "HandshakeError",
      "HttpServer",
      "MemoryAccount",
      "OptionError",
      "RunnelError",
      "SocketError",
      "StreamError",
      "WebSocketLink",
      "WebSocketRoundTripper",
      "WebSocketUpgrader",
      "defaultMaxConcurrentStreams",
      "expose",
      "fetchHandler",
      "listen",
      "noOpNewStreamHandler",
      "systemClock",
      "tuneRuntime",
    ]);
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
