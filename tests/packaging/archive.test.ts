import assert from "node:assert/strict";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { writeArchive, writeChecksums } from "../../scripts/lib/archive.mjs";
import { tarOf } from "../../scripts/lib/ustar.mjs";
import { withScratch } from "../support/scratch.ts";
import { succeed } from "./stage.ts";

const bytes = (size: number) => new Uint8Array(size).map((_, i) => i * 31);
const entries = [
  { path: "a/empty", mode: 0o644, data: bytes(0) },
  { path: "a/program", mode: 0o755, data: bytes(512) },
  { path: "a/b/odd ü", mode: 0o600, data: bytes(70_001) },
];

describe("writeArchive", () => {
  it("writes what the system's tar unpacks with contents, modes and times", () =>
    withScratch(async (folder) => {
      await writeArchive(join(folder, "a.tar.gz"), entries);
      succeed("tar", ["-xzpf", "a.tar.gz"], { cwd: folder });
      for (const { path, mode, data } of entries) {
        assert.ok((await readFile(join(folder, path))).equals(data), path);
        const { mode: unpacked, mtimeMs } = await stat(join(folder, path));
        assert.equal(unpacked & 0o777, mode);
        assert.equal(mtimeMs, Date.UTC(1985, 9, 26, 8, 15));
      }
    }));

  it("writes the same bytes when it writes the same entries again, and names no system", () =>
    withScratch(async (folder) => {
      const [one, two] = [join(folder, "1"), join(folder, "2")];
      await writeArchive(one, entries);
      await writeArchive(two, entries);
      const archive = await readFile(one);
      assert.ok(archive.equals(await readFile(two)));
      assert.deepEqual([...archive.subarray(0, 10)], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }));
});

describe("tarOf", () => {
  it("throws and names the path when a header cannot hold it or its size", () => {
    const long = "x".repeat(101);
    assert.throws(() => [...tarOf([{ path: long, mode: 0o644, data: bytes(0) }], 0)], new RegExp(`${long}$`));
    const data = Object.defineProperty(bytes(0), "length", { value: 8 ** 11 });
    assert.throws(() => [...tarOf([{ path: "huge", mode: 0o644, data }], 0)], /too large.*: huge$/);
  });
});

describe("writeChecksums", () => {
  it("lists what is released of this version, and nothing else, when other files stand beside it", () =>
    withScratch(async (folder) => {
      const released = ["agent", "edge", "install.sh", "runnel-1.2.0-linux-x64.tar.gz", "runnel-1.2.0.tgz"];
      await mkdir(join(folder, "npm"));
      for (const name of [...released, "runnel-1.1.0-linux-x64.tar.gz", "edge.new", "notes"]) {
        await writeFile(join(folder, name), name);
      }
      await writeChecksums(folder, "1.2.0");
      const list = await readFile(join(folder, "SHA256SUMS"), "utf8");
      assert.deepEqual(list.trim().split("\n").map((line) => line.split("  ")[1]), released);
      assert.match(list, /^[0-9a-f]{64} {2}edge$/m);
      succeed("sh", [
        "-c",
        "if command -v sha256sum; then sha256sum -c SHA256SUMS; else shasum -a 256 -c SHA256SUMS; fi",
      ], {
        cwd: folder,
      });
    }));
});
