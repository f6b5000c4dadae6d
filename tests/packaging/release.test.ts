/** A release's archive, from build.sh to install.sh, and the commands of docs/install.md on the way. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { nodeProgram } from "../../scripts/lib/toolchain.mjs";
import { commandsOf, readPage } from "../docs/page.ts";
import { missingPeer } from "../support/peers.ts";
import { withScratch } from "../support/scratch.ts";
import { hostTarget, type Output, root, run, script, Service, succeed, version } from "./stage.ts";

// The archives are thrown away: they need not be small.
process.env.RUNNEL_GZIP_LEVEL = "0";

const name = `runnel-${version}-${hostTarget}`;
const archive = `${name}.tar.gz`;
const installScript = join(root, "scripts", "install.sh");
const installed = [
  ...["bin/agent", "bin/edge", "share/bash-completion/completions/agent", "share/bash-completion/completions/edge"],
  ...["share/doc/runnel/LICENSE", "share/doc/runnel/THIRD-PARTY-LICENSES"],
  ...["share/fish/vendor_completions.d/agent.fish", "share/fish/vendor_completions.d/edge.fish"],
  ...["share/runnel/systemd/agent-run.service"],
  ...["share/runnel/systemd/agent.service", "share/runnel/systemd/edge.service", "share/runnel/systemd/edge.socket"],
  ...["share/runnel/systemd/edge@.service"],
  ...["share/zsh/site-functions/_agent", "share/zsh/site-functions/_edge"],
].filter((path) => process.platform === "linux" || !path.includes("systemd"));

/** The line of the archive in the list of checksums of `folder`. */
async function checksumIn(folder: string): Promise<string> {
  const lines = (await readFile(join(folder, "SHA256SUMS"), "utf8")).split("\n");
  return lines.find((line) => line.endsWith(`  ${archive}`)) ?? "";
}

/** The files under `folder`, sorted. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

/** A command that needs this process to go on meanwhile, as one that talks to a server in it does. */
async function runBeside(command: string, args: string[], cwd: string, env: Record<string, string>): Promise<Output> {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
  const [status] = await once(child, "close");
  return { status, stdout, stderr };
}

/** Serves the files of `folder` over HTTP for as long as `use` takes. */
async function serving(folder: string, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(async (request, response) => {
    const file = join(folder, basename(request.url ?? ""));
    if (!existsSync(file)) response.writeHead(404).end();
    else response.end(await readFile(file));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/runnel`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

describe("a release", () => {
  let out: string;

  before(async () => {
    out = await mkdtemp(join(tmpdir(), "runnel-release-"));
    script("build.sh", "--out", out, "--target", hostTarget);
  });

  after(() => rm(out, { recursive: true, force: true }));

  it("has programs, licenses, completions and units in its archive", () => {
    const { stdout } = succeed("tar", ["-tzf", join(out, archive)]);
    const completions = ["agent", "edge"].flatMap((program) =>
      [`${program}.bash`, `_${program}`, `${program}.fish`, `${program}.ps1`].map((file) => `completions/${file}`)
    );
    const units = process.platform === "linux"
      ? ["edge.service", "edge@.service", "edge.socket", "agent.service", "agent-run.service"]
      : [];
    const expected = ["edge", "agent", "LICENSE", "THIRD-PARTY-LICENSES", ...completions];
    expected.push(...units.map((unit) => `systemd/${unit}`));
    assert.deepEqual(stdout.trim().split("\n").sort(), expected.map((file) => `${name}/${file}`).sort());
  });

  it("has the license of each package that the programs contain", () => {
    const { stdout } = succeed("tar", ["-xzOf", join(out, archive), `${name}/THIRD-PARTY-LICENSES`]);
    for (const part of ["citty", "hono", "zod", "yaml", "@logtape/logtape", "@hono/zod-openapi", "openapi3-ts"]) {
      assert.match(stdout, new RegExp(`^${part} \\d`, "m"));
    }
    assert.match(stdout, /contain Bun \d/);
  });

  it("is installed from its folder, and over an edge that runs", () =>
    withScratch(async (prefix) => {
      const args = [installScript, out, "--prefix", prefix, "--target", hostTarget];
      const { stdout } = succeed("sh", args);
      assert.match(
        stdout,
        new RegExp(
          `^install: edge ${version} .*\ninstall: agent ${version} .*\n.* is not on PATH: export PATH="/.*/bin:\\$PATH"\n$`,
        ),
      );
      assert.deepEqual(await filesIn(prefix), installed);

      const serve = ["serve", "--listen", "127.0.0.1:0", "--token", "secret", "--json", "--log-level", "error"];
      const edge = new Service(join(prefix, "bin", "edge"), serve);
      const { listen } = await edge.first();
      succeed("sh", args);
      assert.equal((await fetch(`http://${listen}/healthz`)).status, 200);
      await edge.stop();
      assert.deepEqual(await filesIn(prefix), installed);
    }));

  it(
    "is installed from a URL, for this machine, when there is no target given",
    { skip: missingPeer("curl") },
    () =>
      withScratch((prefix) =>
        serving(out, async (url) => {
          const { status, stderr } = await runBeside("sh", [installScript, url, "--prefix", prefix], prefix, {});
          assert.equal(status, 0, stderr);
          assert.deepEqual(await filesIn(prefix), installed);
        })
      ),
  );

  it("is not installed when a byte of it is another, it is not listed, or it is not there", () =>
    withScratch(async (folder) => {
      const prefix = join(folder, "prefix");
      const install = (from: string) => run("sh", [installScript, from, "--prefix", prefix]);
      await copyFile(join(out, archive), join(folder, archive));
      await copyFile(join(out, "SHA256SUMS"), join(folder, "SHA256SUMS"));
      const file = await open(join(folder, archive), "r+");
      await file.write(Uint8Array.of(0), 0, 1, 1_000_000);
      await file.write(Uint8Array.of(1), 0, 1, 1_000_001);
      await file.close();
      const changed = install(join(folder, archive));
      assert.match(
        changed.stderr,
        /checksum of .* is [0-9a-f]{64}, but SHA256SUMS says [0-9a-f]{64}: nothing was inst/,
      );
      await writeFile(join(folder, "SHA256SUMS"), "");
      const unlisted = install(join(folder, archive));
      assert.match(unlisted.stderr, /does not list/);
      const nowhere = install(join(folder, "nowhere"));
      assert.match(nowhere.stderr, /could not be read/);
      assert.deepEqual([changed.status, unlisted.status, nowhere.status], [1, 1, 1]);
      assert.ok(!existsSync(prefix));
    }));

  /** Stand-ins for what would change this machine, or what it has not: each writes down how it was called. */
  const standIns = ["sudo", "docker"];
  const fences = readPage("docs/install.md").fences.filter(({ marker }) => marker === "install");

  it(
    "is made again with the same checksum, and installed, when the commands of docs/install.md are run",
    { skip: missingPeer("curl"), timeout: 240_000 },
    () =>
      withScratch(async (folder) => {
        const bin = join(folder, "bin");
        const calls = join(folder, "calls");
        await mkdir(bin);
        await symlink(join(root, "scripts"), join(folder, "scripts"));
        for (const program of standIns) {
          await writeFile(join(bin, program), `#!/bin/sh\necho "${program} $*" >>"${calls}"\n`);
          await chmod(join(bin, program), 0o755);
        }
        // The Node on PATH may be too old for the package: then it must say so.
        const node = nodeProgram();
        if (node !== null) await symlink(node, join(bin, "node"));
        const env = {
          PATH: `${bin}:${process.env.PATH}`,
          HOME: join(folder, "home"),
          npm_config_prefix: join(folder, "global"),
          npm_config_cache: join(folder, "cache"),
          npm_config_update_notifier: "false",
          npm_config_offline: "true",
        };
        await serving(join(folder, "dist"), async (url) => {
          for (const written of fences.flatMap(commandsOf)) {
            // There is no compose here that it could ask; compose.yaml has a test of its own.
            if (written.includes("demo.localhost:8080")) continue;
            const command = written.replaceAll("linux-x64", hostTarget).replace(
              "https://downloads.example.com/runnel",
              url,
            );
            const { status, stdout, stderr } = await runBeside("sh", ["-ec", command], folder, env);
            if (node === null && written.startsWith("npx ")) {
              assert.deepEqual([status, stdout], [1, ""]);
              assert.match(stderr, /^agent: runnel needs Node 22 or later/m);
              continue;
            }
            assert.equal(status, 0, `${written}\n${stdout}${stderr}`);
            if (written.endsWith("--version")) assert.match(stdout, new RegExp(`^(edge|agent) ${version} \\(`, "m"));
          }
        });
        const [checksum, again] = await Promise.all([out, join(folder, "dist")].map(checksumIn));
        assert.match(checksum, /^[0-9a-f]{64} /);
        assert.equal(again, checksum);
        assert.deepEqual(await filesIn(join(folder, "home", ".local")), installed);
        for (const program of ["edge", "agent"]) assert.ok(existsSync(join(folder, "global", "bin", program)));
        const copied = (await readFile(calls, "utf8")).match(/(?<=\/usr\/local\/)share\/\S+/g) ?? [];
        assert.equal(copied.length, 3);
        for (const path of copied) assert.ok(installed.includes(path), path);
      }),
  );
});
