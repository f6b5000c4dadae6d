/** What the pages say in prose: flags exist, links lead somewhere, numbers are those of the code. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { Command, Program } from "../../src/cli/command.ts";
import { defaultExchangeTimeouts } from "../../src/http/timeouts.ts";
import { defaultLimits } from "../../src/http1/codec/limits.ts";
import { DEFAULT_MAX_FRAME_BYTES } from "../../src/edge/json_acceptor.ts";
import { verifyServerOptions } from "../../src/http1/server/options.ts";
import { connectionLimits } from "../../src/httpstream/options.ts";
import { defaultBackpressureLimits } from "../../src/session/wsproto/backpressure.ts";
import { DEFAULT_BODY_LIMIT_BYTES, UNANNOUNCED_BODY_LIMIT_BYTES } from "../../src/session/wsproto/edge_session.ts";
import { BUSY_DEAD_AFTER_MS, DEAD_AFTER_MS } from "../../src/session/wsproto/heartbeat.ts";
import { defaultReservedNames } from "../../src/config/names.ts";
import { edgeServeOptions } from "../../src/config/edge_options.ts";
import { DEFAULT_MAX_SESSIONS_PER_OWNER } from "../../src/edge/session_quota.ts";
import { DEFAULT_MAX_NAMES_PER_OWNER } from "../../src/edge/tunnels.ts";
import { DEFAULT_MAX_WAITING_BYTES } from "../../src/observe/line_writer.ts";
import { commandsOf, inlineCode, packageReadme, type Page, readPage, readPages, root } from "./page.ts";

const programs: readonly Program[] = [edgeProgram, agentProgram];
const pages = readPages();

/** Flags in the prose that are none of ours. */
const foreignFlags: Readonly<Record<string, readonly string[]>> = {
  "README.md": ["once", "cut", "edge-runtime", "agent-runtime", "port"],
  "CONTRIBUTING.md": ["install-peers", "release"],
  "docs/install.md": [
    "prefix",
    "no-prompt",
    "allow-all",
    "allow-env",
    "allow-ffi",
    "allow-net",
    "allow-read",
    "allow-run",
    "allow-sys",
    "allow-write",
  ],
  "docs/server.md": ["allow-ffi"],
  "docs/troubleshooting.md": ["allow-net"],
  "docs/migrate.md": ["auth", "no-chunked-encoding", "url", "reverse", "sd"],
};
const everywhere = ["help", "version"];

const flagsIn = (text: string) =>
  Array.from(text.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g), ([, flag]) => flag as string);
const optionNames = (command: Command) => Object.values(command.options).map(({ name }) => name);

/** The command that `text` calls; undefined where it calls none of ours. */
function commandOf(text: string): { command: Command | undefined } | undefined {
  // `edge help serve` names a command, too.
  const [name, ...words] = text.replace(/^(edge|agent) help /, "$1 ").split(" ");
  const program = programs.find((item) => item.name === name);
  // `edge node` alone stands for all commands that begin so.
  if (program?.commands.some((item) => item.name.startsWith(`${words.join(" ")} `))) return undefined;
  // `edge` alone, or `edge --version`, is the program and not a call of a command.
  if (program === undefined || !/^[a-z]+$/.test(words[0] ?? "")) return undefined;
  return { command: program.commands.find((item) => words.join(" ").startsWith(item.name)) };
}

/** Every flag that a call of one of our commands has and that command does not take. */
function wrongFlags(calls: readonly string[]): string[] {
  return calls.flatMap((call) => {
    const found = commandOf(call);
    if (found === undefined) return [];
    if (found.command === undefined) return [`no such command: ${call}`];
    const known = [...optionNames(found.command), ...everywhere];
    return flagsIn(call).filter((flag) => !known.includes(flag)).map((flag) => `--${flag}: ${call}`);
  });
}

/** The anchor that a heading gets. */
const anchorOf = (heading: string) => heading.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");

function deadLinks(page: Page): string[] {
  const links = Array.from(page.prose.join("\n").matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link as string);
  const folder = page.path === packageReadme ? "" : dirname(page.path);
  return links.filter((link) => !/^https?:/.test(link)).filter((link) => {
    const [file = "", anchor] = link.split("#");
    const path = file === "" ? page.path : join(folder, file);
    if (!existsSync(join(root, path))) return true;
    if (anchor === undefined) return false;
    const headings = readPage(path).prose.filter((line) => line.startsWith("#"));
    return !headings.some((line) => anchorOf(line.replace(/^#+ /, "")) === anchor);
  });
}

describe("the documentation's words", () => {
  for (const page of pages) {
    it(`${page.path} names only flags that exist when it calls a program or names a flag alone`, () => {
      const code = inlineCode(page);
      const indented = page.prose.filter((line) => /^ {4}\S/.test(line)).map((line) => line.trim());
      const calls = [...code, ...indented, ...page.fences.flatMap(commandsOf)];
      assert.deepEqual(wrongFlags(calls), []);

      const known = new Set([
        ...programs.flatMap(({ commands }) => commands.flatMap(optionNames)),
        ...everywhere,
        ...(foreignFlags[page.path] ?? []),
      ]);
      const alone = code.filter((text) => text.startsWith("--")).flatMap(flagsIn);
      assert.deepEqual(alone.filter((flag) => !known.has(flag)), []);
    });

    it(`${page.path} quotes each URL with a query when it is in a command`, () => {
      const shown = page.fences.filter(({ language }) => ["sh", "console", "text"].includes(language))
        .flatMap(({ lines }) => lines);
      const commands = [...shown, ...inlineCode(page)].filter((line) => /\bcurl\b/.test(line));
      // zsh takes a ? in a word without quotes for a pattern, and runs nothing.
      assert.deepEqual(commands.filter((line) => /(?<!['"]\S*)https?:\S*\?/.test(line)), []);
    });

    it(`${page.path} leads somewhere when a link is followed`, () => assert.deepEqual(deadLinks(page), []));
  }

  it("wrongFlags finds a wrong command and a wrong flag when there is one", () => {
    const calls = [
      "edge serv --listen x",
      "agent http 3000 --nam shop",
      "agent http 3000 --name shop",
      "frpc --x",
      "edge",
    ];
    assert.deepEqual(wrongFlags(calls), ["no such command: edge serv --listen x", "--nam: agent http 3000 --nam shop"]);
  });
});

describe("the documentation's numbers", () => {
  const kib = (bytes: number) => `${bytes / 1024} KiB`;
  const mib = (bytes: number) => `${bytes / 1024 / 1024} MiB`;
  const seconds = (ms: number) => `${ms / 1000} s`;
  const minutes = (ms: number) => `${ms / 60_000} min`;
  const connection = connectionLimits("edge");
  const server = verifyServerOptions();

  /** Page, and what it says; white space counts as one blank. */
  const facts: readonly [page: string, text: string][] = [
    ["README.md", `a stream holds ${kib(connection.initialWindowBytes)} on either side`],
    ["README.md", `up to the ${mib(connection.growthPoolBytes)} that all streams`],
    ["README.md", `(${mib(UNANNOUNCED_BODY_LIMIT_BYTES)}, 413 past it)`],
    [
      "docs/streaming.md",
      `may hold ${kib(connection.initialWindowBytes)}, and grow from a pool of ${mib(connection.growthPoolBytes)}`,
    ],
    ["docs/streaming.md", `buffers up to ${mib(defaultBackpressureLimits.bufferBytes)} of a slow visitor's`],
    ["docs/streaming.md", `takes nothing for ${seconds(defaultBackpressureLimits.stallMs)} loses that answer`],
    ["docs/streaming.md", `pushes this back | ${seconds(defaultExchangeTimeouts.firstByteMs)} |`],
    ["docs/streaming.md", `answer of known length began | ${minutes(defaultExchangeTimeouts.idleMs)} |`],
    ["docs/streaming.md", `answer of unknown length | ${minutes(defaultExchangeTimeouts.streamIdleMs)} |`],
    ["docs/llm.md", `waits ${seconds(defaultExchangeTimeouts.firstByteMs)} for the head`],
    ["docs/streaming.md", `a visitor's request head | ${seconds(server.headTimeoutMs)} |`],
    ["docs/streaming.md", `between requests | ${seconds(server.keepAliveMs)} |`],
    ["docs/streaming.md", `an answer that moves pushes this back | ${seconds(server.bodyIdleMs)} |`],
    ["docs/json-agent.md", `silent for ${seconds(DEAD_AFTER_MS)} is taken for dead`],
    ["docs/json-agent.md", `may be silent for ${seconds(BUSY_DEAD_AFTER_MS)},`],
    ["docs/json-agent.md", `body may have ${mib(UNANNOUNCED_BODY_LIMIT_BYTES)},`],
    ["docs/json-agent.md", `the edge allows ${mib(DEFAULT_BODY_LIMIT_BYTES)};`],
    ["docs/json-agent.md", `frame of the agent may have ${mib(DEFAULT_MAX_FRAME_BYTES)}.`],
    ["docs/server.md", `One token has ${DEFAULT_MAX_NAMES_PER_OWNER} names at most`],
    ["docs/server.md", `and ${DEFAULT_MAX_SESSIONS_PER_OWNER} connected agents`],
    ["docs/events.md", `the request line is over ${kib(defaultLimits.requestLineBytes)}`],
    ["docs/events.md", `Up to ${mib(DEFAULT_MAX_WAITING_BYTES)} of lines wait`],
    ["docs/events.md", `over ${kib(defaultLimits.headBytes)} or ${defaultLimits.fieldCount} fields`],
  ];
  it("the command line has the defaults of a token's quotas", () => {
    assert.equal(edgeServeOptions.namesPerToken.default, String(DEFAULT_MAX_NAMES_PER_OWNER));
    assert.equal(edgeServeOptions.sessionsPerToken.default, String(DEFAULT_MAX_SESSIONS_PER_OWNER));
  });

  it("docs/server.md lists the names that are reserved", () => {
    const list = readPage("docs/server.md").fences.find(({ lines }) =>
      lines.includes("admin agent api edge healthz readyz www")
    );
    assert.deepEqual(list?.lines.join(" ").split(" ").sort(), [...defaultReservedNames].sort());
  });

  for (const [path, text] of facts) {
    it(`${path} says "${text}"`, () => {
      assert.ok(readPage(path).text.replace(/\s+/g, " ").includes(text.replace(/\s+/g, " ")), text);
    });
  }
});
