import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  choiceOption,
  countOption,
  durationOption,
  environmentName,
  listOption,
  sizeOption,
  switchOption,
  textOption,
} from "../../src/config/option.ts";
import { resolveOptions, type Sources } from "../../src/config/resolve.ts";
import { tokenFault, tokenOptions } from "../../src/config/token_options.ts";
import { UsageError } from "../../src/config/usage_error.ts";

const specs = {
  edge: textOption({ name: "edge", hint: "URL", help: "the edge", default: "http://default" }),
  label: textOption({ name: "label", hint: "TEXT", help: "a label" }),
  waitTime: durationOption({ name: "wait-time", help: "how long", default: "10s" }),
  bodyLimit: sizeOption({ name: "body-limit", help: "how much", default: "4MiB" }),
  headLimit: sizeOption({ name: "head-limit", help: "how much", default: "8KiB" }, ["8KiB", "16KiB"]),
  fieldLimit: countOption({ name: "field-limit", help: "how many", default: "20" }, ["1", "20"]),
  level: choiceOption({ name: "level", help: "how loud", default: "info" }, ["info", "debug"]),
  force: switchOption({ name: "force", help: "whatever it takes" }),
  allow: listOption({ name: "allow", hint: "HOST", help: "who may" }, (text) => {
    if (text === "") throw new Error("is empty");
    return text.toUpperCase();
  }),
  ...tokenOptions("opens"),
};

interface Given {
  flags?: Record<string, string[]>;
  environment?: Record<string, string>;
  settings?: Record<string, string[]>;
}

function resolve({ flags = {}, environment = {}, settings }: Given) {
  const sources: Sources = {
    flags: new Map(Object.entries(flags)),
    environment: (name) => environment[name],
    settings: settings === undefined ? null : { path: "/etc/agent.yaml", values: new Map(Object.entries(settings)) },
  };
  return resolveOptions(specs, sources);
}

describe("environmentName", () => {
  it("is RUNNEL_ and the flag in upper snake case when a flag has hyphens", () => {
    assert.equal(environmentName("connect-timeout"), "RUNNEL_CONNECT_TIMEOUT");
  });
});

describe("resolveOptions", () => {
  const everywhere = {
    flags: { edge: ["http://flag"] },
    environment: { RUNNEL_EDGE: "http://variable" },
    settings: { edge: ["http://file"] },
  };

  it("takes the flag before the variable, the file and the default when all are there", () => {
    const { flags, environment, settings } = everywhere;
    const seen = [{ flags, environment, settings }, { environment, settings }, { settings }, {}].map((given) => {
      const { values, origins } = resolve(given);
      return [values.edge, origins.edge];
    });
    assert.deepEqual(seen, [
      ["http://flag", "flag"],
      ["http://variable", "environment"],
      ["http://file", "settings"],
      ["http://default", "default"],
    ]);
  });

  it("gives each option its value and unit when nothing is given", () => {
    assert.deepEqual(resolve({}).values, {
      edge: "http://default",
      label: undefined,
      waitTime: 10_000,
      bodyLimit: 4_194_304,
      headLimit: 8_192,
      fieldLimit: 20,
      level: "info",
      force: false,
      allow: [],
      token: undefined,
      tokenFile: undefined,
    });
  });

  it("takes an empty variable for an unset one when a shell exports it so", () => {
    assert.equal(resolve({ environment: { RUNNEL_EDGE: "", RUNNEL_FORCE: "" } }).values.edge, "http://default");
  });

  for (const [text, value] of [["true", true], ["1", true], ["false", false], ["0", false]] as const) {
    it(`makes ${value} of a switch when the variable is ${text}`, () => {
      assert.equal(resolve({ environment: { RUNNEL_FORCE: text } }).values.force, value);
    });
  }

  it("collects a list when flags repeat, a variable has commas or a file has items", () => {
    assert.deepEqual(resolve({ flags: { allow: ["a", "b"] } }).values.allow, ["A", "B"]);
    assert.deepEqual(resolve({ environment: { RUNNEL_ALLOW: "a, b" } }).values.allow, ["A", "B"]);
    assert.deepEqual(resolve({ settings: { allow: ["a", "b"] } }).values.allow, ["A", "B"]);
  });

  const faults: readonly [name: string, given: Given, reason: string][] = [
    [
      "a flag has no unit",
      { flags: { "wait-time": ["5"] } },
      '--wait-time "5" is no duration such as 500ms, 30s, 5m, 1h',
    ],
    [
      "a variable is no size",
      { environment: { RUNNEL_BODY_LIMIT: "4MB" } },
      'RUNNEL_BODY_LIMIT "4MB" is no size such as 64KiB, 4MiB',
    ],
    ["a size is too small", { flags: { "head-limit": ["4KiB"] } }, '--head-limit "4KiB" is not between 8KiB and 16KiB'],
    ["a size is too large", { flags: { "head-limit": ["1MiB"] } }, '--head-limit "1MiB" is not between 8KiB and 16KiB'],
    ["a number is too small", { flags: { "field-limit": ["0"] } }, '--field-limit "0" is not between 1 and 20'],
    ["a number is too large", { flags: { "field-limit": ["21"] } }, '--field-limit "21" is not between 1 and 20'],
    ["a number is none", { flags: { "field-limit": ["1.5"] } }, '--field-limit "1.5" is no whole number'],
    [
      "a file has another choice",
      { settings: { level: ["loud"] } },
      'level in /etc/agent.yaml "loud" is none of info, debug',
    ],
    ["a flag is empty", { flags: { label: [""] } }, '--label "" is empty'],
    ["a switch is no switch", { environment: { RUNNEL_FORCE: "yes" } }, 'RUNNEL_FORCE "yes" is neither true nor false'],
    ["an item of a list is wrong", { environment: { RUNNEL_ALLOW: "a,," } }, 'RUNNEL_ALLOW "" is empty'],
    [
      "a flag holds a password",
      { flags: { level: ["http://me:p@w@host"] } },
      '--level "http://host" is none of info, debug',
    ],
    ["a token is none", { flags: { token: ["se cret"] } }, "--token has other characters than visible ASCII"],
    [
      "a token of the environment is none",
      { environment: { RUNNEL_TOKEN: "sécret" } },
      "RUNNEL_TOKEN has other characters than visible ASCII",
    ],
  ];
  for (const [name, given, reason] of faults) {
    it(`names source, value and fault when ${name}`, () => {
      assert.throws(() => resolve(given), (error) => error instanceof UsageError && error.reason === reason);
    });
  }

  it("refuses two options when they stand for each other and come from the same source", () => {
    assert.throws(
      () => resolve({ flags: { token: ["t"], "token-file": ["f"] } }),
      { reason: "--token and --token-file are both given, and only one can count" },
    );
    assert.throws(
      () => resolve({ environment: { RUNNEL_TOKEN: "t", RUNNEL_TOKEN_FILE: "f" } }),
      { reason: "RUNNEL_TOKEN and RUNNEL_TOKEN_FILE are both given, and only one can count" },
    );
  });

  it("takes the one from the stronger source when two options stand for each other", () => {
    const file = resolve({ flags: { "token-file": ["f"] }, environment: { RUNNEL_TOKEN: "t" } });
    assert.deepEqual([file.values.token, file.values.tokenFile, file.origins.token], [undefined, "f", null]);
    const text = resolve({ environment: { RUNNEL_TOKEN: "t" }, settings: { tokenFile: ["f"] } });
    assert.deepEqual([text.values.token, text.values.tokenFile, text.origins.tokenFile], ["t", undefined, null]);
  });
});

describe("tokenFault", () => {
  it("is null when a token is visible ASCII of at most 4,096 characters", () => {
    for (const token of ["a", "~!-_", "x".repeat(4096)]) assert.equal(tokenFault(token), null);
  });

  it("says what is wrong, never with the text, when it is no token", () => {
    for (const token of ["", "a b", "a\n", "é", "x".repeat(4097)]) {
      const fault = tokenFault(token);
      assert.ok(fault !== null && (token === "" || !fault.includes(token)));
    }
  });
});
