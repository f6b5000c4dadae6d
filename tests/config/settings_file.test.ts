import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { listOption, textOption } from "../../src/config/option.ts";
import { readSettings, updateSettings } from "../../src/config/settings_file.ts";
import { tokenOptions } from "../../src/config/token_options.ts";
import { UsageError } from "../../src/config/usage_error.ts";
import { withScratch } from "../support/scratch.ts";

const specs = {
  edge: textOption({ name: "edge", hint: "URL", help: "the edge" }),
  connectTimeout: textOption({ name: "connect-timeout", hint: "DURATION", help: "how long" }),
  allow: listOption({ name: "allow", hint: "HOST", help: "who may" }, (text) => text),
  ...tokenOptions("opens"),
};

function withFile<T>(text: string, use: (path: string) => Promise<T>): Promise<T> {
  return withScratch(async (folder) => {
    const path = join(folder, "agent.yaml");
    await writeFile(path, text);
    return await use(path);
  });
}

const valuesOf = (text: string) =>
  withFile(text, async (path) => Object.fromEntries((await readSettings(path, specs))?.values ?? []));

describe("readSettings", () => {
  it("gives null when there is no file", () =>
    withScratch(async (folder) => assert.equal(await readSettings(join(folder, "agent.yaml"), specs), null)));

  it("gives each value as text when the file has texts, numbers, booleans and lists", async () => {
    const text = "# mine\nedge: http://x\nconnectTimeout: 5\ntoken: true\nallow: [a, 1]\n";
    assert.deepEqual(await valuesOf(text), {
      edge: ["http://x"],
      connectTimeout: ["5"],
      token: ["true"],
      allow: ["a", "1"],
    });
  });

  for (const text of ["", "# only words\n", "---\n"]) {
    it(`gives no value when the file is ${JSON.stringify(text)}`, async () =>
      assert.deepEqual(await valuesOf(text), {}));
  }

  const faults: readonly [name: string, text: string, reason: RegExp][] = [
    [
      "a key is unknown",
      "edge: x\nconectTimeout: 5s\n",
      /agent\.yaml:2:1: unknown key "conectTimeout"; did you mean connectTimeout\?$/,
    ],
    ["a value is a map", "edge: { a: b }\n", /agent\.yaml:1:1: edge has no value/],
    ["a value is a list", "\n\nedge: [a]\n", /agent\.yaml:3:1: edge has no value/],
    ["a value is missing", "edge:\n", /agent\.yaml:1:1: edge has no value/],
    ["it is a list", "- edge\n", /agent\.yaml:1:1: expected keys with values/],
    ["it is no YAML", "edge: [\n", /agent\.yaml:2:1: no valid YAML/],
    ["a key stands twice", "edge: a\nedge: b\n", /agent\.yaml:2:1: no valid YAML \(DUPLICATE_KEY\)/],
    ["it is larger than 1 MiB", "#".repeat(1024 * 1024 + 1), /more than 1048576 characters/],
  ];
  for (const [name, text, reason] of faults) {
    it(`says where when ${name}`, () =>
      withFile(text, (path) =>
        assert.rejects(readSettings(path, specs), (error) => {
          assert.ok(error instanceof UsageError);
          assert.match(error.reason, reason);
          return true;
        })));
  }

  it("never shows a value when the file is wrong", () =>
    withFile(
      "token: SECRET: x\nedge: [",
      (path) => assert.rejects(readSettings(path, specs), (error) => !String(error).includes("SECRET")),
    ));
});

describe("updateSettings", () => {
  it("makes folder and file, for the owner alone, when there is none", () =>
    withScratch(async (folder) => {
      const path = join(folder, "runnel", "agent.yaml");
      await updateSettings(path, { edge: "http://x", token: "t" });
      assert.equal(await readFile(path, "utf8"), "edge: http://x\ntoken: t\n");
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      assert.equal((await stat(join(folder, "runnel"))).mode & 0o777, 0o700);
      assert.deepEqual(await readdir(join(folder, "runnel")), ["agent.yaml"]);
    }));

  it("keeps comments and other keys, and closes the file to others, when there is one", () =>
    withFile("# mine\nedge: http://old\ntokenFile: t\nconnectTimeout: 5s # slow line\n", async (path) => {
      await updateSettings(path, { edge: "http://new", token: "123", tokenFile: undefined });
      const text = '# mine\nedge: http://new\nconnectTimeout: 5s # slow line\ntoken: "123"\n';
      assert.equal(await readFile(path, "utf8"), text);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
    }));
});
