/** The npm package that pack.sh makes, installed as its users install it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { nodeProgram, oldNodeProgram, programOf } from "../../scripts/lib/toolchain.mjs";
import { packageReadme, readPage } from "../docs/page.ts";
import { commit, root, run, script, Service, succeed, version } from "./stage.ts";

interface Host {
  readonly name: string;
  /** Null where this machine has none. */
  readonly program: string | null;
  readonly args: readonly string[];
}

const hosts: readonly Host[] = [
  { name: "bun", program: programOf("bun"), args: [] },
  { name: "deno", program: programOf("deno"), args: ["run", "-A"] },
  { name: "node", program: nodeProgram(), args: [] },
];

/** `--install-peers` installs a Node where npm has one for the machine. */
const skipWithout = ({ name, program }: Host) => program === null ? `there is no ${name} for it` : false;

/** Sends `pieces` one by one, each once the one before has surely arrived alone, and gives the first bytes back. */
async function sendInPieces(port: number, pieces: readonly string[]): Promise<string> {
  const socket: Socket = connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  for (const piece of pieces) {
    await new Promise<void>((sent) => socket.write(piece, () => sent()));
    // The other process reads a piece before this one has asked it something else.
    await (await fetch(`http://127.0.0.1:${port}/healthz`)).text();
  }
  const [data] = await once(socket, "data");
  socket.destroy();
  return String(data);
}

describe("the npm package", () => {
  let folder: string;
  let installed: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "runnel-npm-"));
    script("pack.sh", "--out", folder, "--commit", commit);
    await writeFile(join(folder, "package.json"), '{ "type": "module", "private": true }');
    // Offline: it must need nothing else.
    const archive = join(folder, `runnel-${version}.tgz`);
    succeed("npm", ["install", "--offline", "--no-audit", "--no-fund", archive], {
      cwd: folder,
      env: { ...process.env, npm_config_cache: join(folder, "cache") } as Record<string, string>,
    });
    installed = join(folder, "node_modules", "runnel");
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it("has programs, library, types and licenses, and no sources, when it is installed", async () => {
    const manifest = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
    assert.equal(manifest.version, version);
    assert.equal(manifest.dependencies, undefined);
    const named = ["edge.js", "agent.js", "mod.js", "types/mod.d.ts", "LICENSE", "THIRD-PARTY-LICENSES", "README.md"];
    for (const path of named) assert.ok(existsSync(join(installed, path)), path);
    for (const path of ["src", "bin", "node_modules"]) assert.ok(!existsSync(join(installed, path)), path);
    for (const program of ["edge", "agent"]) assert.ok(existsSync(join(folder, "node_modules", ".bin", program)));
  });

  it("has a README and pages of its own, whose links lead somewhere", async () => {
    assert.equal(
      await readFile(join(installed, "README.md"), "utf8"),
      await readFile(join(root, packageReadme), "utf8"),
    );
    const pages = [join(installed, "README.md")];
    for (const name of readdirSync(join(installed, "docs"))) pages.push(join(installed, "docs", name));
    assert.ok(pages.length > 10);
    for (const path of pages) {
      const { prose } = readPage(relative(root, path));
      const links = Array.from(prose.join("\n").matchAll(/\]\(([^)\s#]+)[^)]*\)/g), ([, link]) => link as string);
      const files = links.filter((link) => !/^https?:/.test(link));
      assert.deepEqual(files.filter((link) => !existsSync(join(dirname(path), link))), [], path);
    }
  });

  describe("on a Node that is too old", () => {
    const old = oldNodeProgram();
    const recent = nodeProgram();
    /** A Node that is, and one that says it is. */
    const nodes = [
      { what: "is", program: old, args: () => [], version: "\\d+\\.\\d+\\.\\d+" },
      {
        what: "says it is",
        program: recent,
        args: () => ["--import", join(folder, "old.mjs")],
        version: "20\\.19\\.0",
      },
    ];
    before(() =>
      writeFile(
        join(folder, "old.mjs"),
        'Object.defineProperty(process, "versions", { value: { node: "20.19.0" } });\n',
      )
    );

    for (const { what, program, args, version } of nodes) {
      const skip = program === null ? "there is none for it" : false;

      it(`has programs that say in a line that they need 22, where it ${what}`, { skip }, () => {
        for (const own of ["edge", "agent"]) {
          const { status, stdout, stderr } = run(program!, [...args(), join(installed, `${own}.js`), "--version"]);
          assert.deepEqual([status, stdout], [1, ""]);
          assert.match(stderr, new RegExp(`^${own}: runnel needs Node 22 or later, this is ${version}\n$`));
        }
      });

      it(`has a library that says at its import that it needs 22, where it ${what}`, { skip }, async () => {
        const file = join(folder, "importing.mjs");
        await writeFile(file, 'import("runnel").catch((error) => console.log(error.message));\n');
        const { stdout } = succeed(program!, [...args(), file], { cwd: folder });
        assert.match(stdout, new RegExp(`^runnel needs Node 22 or later, this is ${version}\n$`));
      });
    }
  });

  it("is the same when it is packed again", async () => {
    const again = join(folder, "again");
    script("pack.sh", "--out", again, "--commit", commit);
    const [one, two] = [folder, again].map((place) => readFile(join(place, `runnel-${version}.tgz`)));
    assert.ok((await one).equals(await two));
  });

  for (const host of hosts) {
    const { name, program, args } = host;
    const skip = skipWithout(host);
    const command = program ?? name;

    it(`has programs that say their version when ${name} runs them`, { skip }, () => {
      for (const own of ["edge", "agent"]) {
        const { stdout } = succeed(command, [...args, join(folder, "node_modules", ".bin", own), "--version"], {
          cwd: folder,
        });
        assert.match(stdout, new RegExp(`^${own} ${version} \\(${commit}, ${name} \\d+\\.\\d+\\.\\d+, `));
      }
    });

    it(`has an edge that reads a head in pieces when ${name} runs it`, { skip }, async () => {
      const serve = ["serve", "--listen", "127.0.0.1:0", "--token", "secret", "--json", "--log-level", "error"];
      const edge = new Service(command, [...args, join(installed, "edge.js"), ...serve]);
      try {
        const port = Number(String((await edge.first()).listen).split(":")[1]);
        const head = ["GET /heal", "thz HTTP/1.1\r\nHo", "st: 127.0.0.1\r\n", "\r\n"];
        assert.match(await sendInPieces(port, head), /^HTTP\/1\.1 200 /);
      } finally {
        await edge.stop();
      }
    });

    it(`has a library that can be imported when ${name} runs it`, { skip }, async () => {
      const file = join(folder, "library.js");
      await writeFile(
        file,
        'import { expose, RunnelError } from "runnel";\nconsole.log(typeof expose, typeof RunnelError);\n',
      );
      assert.equal(succeed(command, [...args, file], { cwd: folder }).stdout, "function function\n");
    });
  }

  it("has types that TypeScript checks its users by", async () => {
    await mkdir(join(folder, "node_modules", "@types"), { recursive: true });
    await symlink(join(root, "node_modules", "@types", "node"), join(folder, "node_modules", "@types", "node"));
    for (const name of ["undici-types", "hono"]) {
      await symlink(join(root, "node_modules", name), join(folder, "node_modules", name));
    }
    const right = 'import { expose } from "runnel";\n' +
      'export const exposed = expose({ edge: "https://example.com", token: "t", fetch: () => new Response("hi") });\n';
    await writeFile(join(folder, "right.ts"), right);
    await writeFile(join(folder, "wrong.ts"), right.replace('"t"', "1"));
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const flags = ["--noEmit", "--strict", "--target", "esnext", "--module", "nodenext", "--types", "node"];
    const programs = readPage("docs/library.md").fences.filter(({ language }) => language === "ts");
    for (const { marker, lines } of programs) await writeFile(join(folder, marker), lines.join("\n"));
    const files = ["right.ts", "wrong.ts", ...programs.map(({ marker }) => marker)];
    const { status, stdout } = run("node", [tsc, ...flags, ...files], { cwd: folder });
    assert.notEqual(status, 0);
    // An error of another file would be a second line; what follows the first one is indented.
    assert.equal(stdout.match(/^\S.*$/gm)?.length, 1, stdout);
    assert.match(stdout, /^wrong\.ts\(2,\d+\): error TS2322/);
  });
});
