import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { ConfigFileError, readYaml, readYamlFile } from "../../src/config/yaml_file.ts";
import { UsageError } from "../../src/config/usage_error.ts";

const tunnel = z.strictObject({
  upstream: z.string(),
  port: z.int().min(1).max(65_535).optional(),
  compress: z.boolean().optional(),
  hostnames: z.array(z.string()).optional(),
  timeouts: z.strictObject({ firstByte: z.string().optional() }).optional(),
});
const schema = z.strictObject({
  project: z.string().optional(),
  tunnels: z.record(
    z.string().regex(/^[a-z]+$/, "is no name"),
    z.union([tunnel, z.strictObject({ folder: z.string() })]),
  ),
});

function read(text: string, variables: Record<string, string> = {}) {
  return readYaml(text, schema, { file: "f.yaml", variables: (name) => variables[name] });
}

describe("readYaml", () => {
  it("reads YAML and JSON, with anchors and merge keys", () => {
    const value = { tunnels: { a: { upstream: "1", compress: true }, b: { upstream: "2", compress: true } } };
    const yaml = 'tunnels:\n  a: &a { upstream: "1", compress: true }\n  b: { <<: *a, upstream: "2" }\n';
    assert.deepEqual(read(yaml), value);
    assert.deepEqual(read(JSON.stringify(value, null, "\t")), value);
  });

  it("puts the values of variables into texts, numbers and booleans, and never into keys", () => {
    const text = [
      "project: $${P} and ${P}",
      "tunnels:",
      "  a:",
      "    upstream: ${HOST}:${PORT}",
      "    port: ${PORT}",
      "    compress: ${YES}",
      "    hostnames: ['${P}', \"x-${P}\"]",
    ].join("\n");
    assert.deepEqual(read(text, { HOST: "h", PORT: "80", YES: "true", P: "a: {b}" }), {
      project: "${P} and a: {b}",
      tunnels: { a: { upstream: "h:80", port: 80, compress: true, hostnames: ["a: {b}", "x-a: {b}"] } },
    });
    assert.throws(() => read("tunnels: { '${P}': { upstream: x } }", { P: "a" }), { message: /is no name/ });
    assert.equal(readYaml("${P}", z.string(), { file: "f" }), "${P}");
  });

  for (
    const [what, text, at, message] of [
      ["an unset variable", "tunnels:\n  a: { upstream: 'x${NO}' }", "2:18", "the variable NO is not set"],
      ["an empty variable name", "project: ${}", "1:10", '"${}" names no variable'],
      ["an unknown key at the top", "tunels: {}", "1:1", 'unknown key "tunels"; did you mean tunnels?'],
      [
        "an unknown key of a union's member",
        "tunnels:\n  a:\n    upstream: x\n    prot: 1",
        "4:5",
        'unknown key "prot" in tunnels.a; did you mean port?',
      ],
      [
        "an unknown key deep inside",
        "tunnels: {a: {upstream: x, timeouts: {firstbyte: 1s}}}",
        "1:39",
        'unknown key "firstbyte" in tunnels.a.timeouts; did you mean firstByte?',
      ],
      ["a missing key", "project: x", "1:1", "the key tunnels is missing"],
      ["a wrong type", "tunnels:\n  a: { upstream: 3 }", "2:18", "tunnels.a.upstream: expected string"],
      ["a wrong item", "tunnels: { a: { upstream: x, hostnames: [a, 2] } }", "1:45", "tunnels.a.hostnames[1]: "],
      ["a number that a variable is not", "tunnels: { a: { upstream: x, port: $P } }", "1:36", "expected number"],
      ["a value out of its range", "tunnels: { a: { upstream: x, port: 70000 } }", "1:36", "tunnels.a.port: "],
      ["a wrong name", "tunnels:\n  A1: { upstream: x }", "2:3", "is no name"],
      ["a key twice", "project: a\nproject: b", "2:1", "no valid YAML (DUPLICATE_KEY)"],
      ["an open bracket", "tunnels: {", "1:11", "no valid YAML"],
      ["a tag", "project: !include x", "1:10", "no valid YAML (TAG_RESOLVE_FAILED)"],
      ["two documents", "project: x\n---\nproject: y", "2:1", "no valid YAML (MULTIPLE_DOCS)"],
      ["a key that is a list", "? [a]\n: x", "1:3", "a key is no text"],
      ["a merge of no map", "tunnels:\n  a: { <<: 5, upstream: x }", "2:12", "<< takes maps alone"],
      ["a merge of a list of texts", "<<: [a]\ntunnels: {}", "1:5", "<< takes maps alone"],
      ["an anchor that is not there", "project: *x", "1:10", 'there is no anchor "x" before'],
      ["a key twice as a number and a text", "tunnels: { 8: 1, '8': 2 }", "1:18", 'the key "8" stands twice'],
      ["a key twice by an anchor", "tunnels: { &k a : 1, *k : 2 }", "1:22", 'the key "a" stands twice'],
      ["a number that loses its form", "project: 1.10", "1:10", "would become another text: put it in quotes"],
      ["a key that loses its form", "tunnels: { 007: {} }", "1:12", "would become another text: put it in quotes"],
      ["an empty file", "", "1:1", "expected object"],
    ] as const
  ) {
    it(`names line and column of ${what}`, () => {
      assert.throws(() => read(text, { P: "x" }), (error) => {
        assert.ok(error instanceof ConfigFileError && error instanceof UsageError);
        assert.equal(`${error.line}:${error.column}`, at, error.reason);
        assert.ok(error.reason.startsWith(`f.yaml:${at}: `) && error.reason.includes(message), error.reason);
        assert.equal(error.code, "usage");
        return true;
      });
    });
  }

  it("shows no value, which may be a secret", () => {
    for (const text of ["project: [s3cret", "project: 's3cret\n", "tunnels: s3cret", "project: {a: s3cret}"]) {
      assert.throws(() => read(text), (error: Error) => !error.message.includes("s3cret"));
    }
    assert.throws(() => read("tunnels: ${P}", { P: "s3cret" }), (error: Error) => !error.message.includes("s3cret"));
  });

  it("refuses a file that is too long, and one that stands for gigabytes", () => {
    assert.throws(() => read(`project: ${"x".repeat(1024 * 1024)}`), /more than 1048576 characters/);
    const rows = ["a: &a [x,x,x,x,x,x,x,x,x,x]"];
    for (let level = 1; level < 9; level++) {
      const [from, to] = ["abcdefghi"[level - 1], "abcdefghi"[level]];
      rows.push(`${to}: &${to} [${Array(10).fill(`*${from}`)}]`);
    }
    assert.throws(() => read(rows.join("\n")), { message: "f.yaml:1:1: anchors are repeated more than 100 times" });
  });

  it("gives the place of what a caller finds wrong", () => {
    const file = readYamlFile("tunnels:\n  a: &x { upstream: y }\n  b: *x", schema, { file: "f" });
    assert.equal(file.errorAt(["tunnels", "a", "upstream"], "bad").reason, "f:2:21: bad");
    assert.equal(file.errorAt(["tunnels", "b", "port"], "bad").reason, "f:2:9: bad");
    assert.equal(file.errorAt(["other"], "bad").reason, "f:1:1: bad");
  });
});
