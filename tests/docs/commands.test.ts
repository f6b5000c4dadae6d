/** Every command that README.md, CONTRIBUTING.md and docs/ show is run as it stands there (stage.ts tells how). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { missingPeer } from "../support/peers.ts";
import { commandsOf, indentedCode, type Page, parsePage, readPages } from "./page.ts";
import { runCommands } from "./stage.ts";

/** What may stand behind the opening of a fence, and who sees to it that it is right. */
const languages: Readonly<Record<string, string>> = {
  sh: "this test runs it",
  text: "is no command: a picture, records, a part of a configuration",
  console: "a session with its output; its commands stand in a sh fence of the same page, too",
  nginx: "nginx.test.ts and proxies.test.ts run nginx with it",
  caddy: "proxies.test.ts runs Caddy with it",
  haproxy: "proxies.test.ts runs HAProxy with it",
  http: "is no command: a head on the wire",
  hex: "tests/frame/docs.test.ts decodes it",
  ts: "library.test.ts runs it",
};

/** `sh` fences that are not run here: the word behind `sh`, and why. */
const markers: Readonly<Record<string, string>> = {
  scripts: "demo.sh is run by tests/system, setup.sh and test.sh are what runs this test, path.test.ts looks at PATH",
  deno: "deno_permissions.test.ts runs these, and takes each permission away",
  install: "tests/packaging checks these commands: they install programs and start services",
  hook: "acme.test.ts runs these as hooks for DNS",
  proxies: "proxies.test.ts runs these edges, each behind its proxy",
  library: "library.test.ts runs these programs, with the same permissions",
};

/** Whose text is made from the programs' declarations, which tests/cli holds together. */
const generated = ["docs/cli.md"];

const pages = readPages();

/** The commands of a page that run here. */
function runnable({ fences }: Page): string[] {
  return fences.filter(({ language, marker }) => language === "sh" && marker === "").flatMap(commandsOf);
}

/** The foreign program that a page's commands need and that is missing, as a reason to skip; else false. */
function missingFor(commands: readonly string[]): string | false {
  for (const program of ["curl", "python3"]) {
    if (!commands.some((command) => command.startsWith(`${program} `))) continue;
    const missing = missingPeer(program);
    if (missing !== false) return missing;
  }
  return false;
}

describe("the documentation's commands", () => {
  for (const page of pages) {
    const commands = runnable(page);
    if (commands.length === 0) continue;
    it(`${page.path} does what it says when its ${commands.length} commands are run`, {
      skip: missingFor(commands),
    }, () => runCommands(commands));
  }

  it("runCommands fails when a command fails, a service ends early, or a stream gives nothing", async () => {
    await assert.rejects(runCommands(["false"]), /false/);
    await assert.rejects(runCommands(["edge serve --no-such-flag"]), /ended early/);
    await assert.rejects(runCommands(["agent http 3000 --token wrong"]), /ended early/);
  });
});

describe("the documentation's blocks", () => {
  for (const page of pages) {
    it(`${page.path} has only fences that are looked after when it shows commands`, () => {
      const unknown = page.fences.filter(({ language, marker }) =>
        languages[language] === undefined || (language === "sh" && marker !== "" && markers[marker] === undefined)
      );
      assert.deepEqual(unknown, []);
      if (!generated.includes(page.path)) assert.deepEqual(indentedCode(page), []);
    });

    it(`${page.path} shows no session of a command that it does not give`, () => {
      const given = page.fences.filter(({ language }) => language === "sh").flatMap(commandsOf);
      const typed = page.fences.filter(({ language }) => language === "console")
        .flatMap(({ lines }) => lines.filter((line) => line.startsWith("$ ")).map((line) => line.slice(2)));
      assert.deepEqual(typed.filter((command) => !given.includes(command)), []);
    });
  }

  it("every marker is in use when it is listed", () => {
    const used = new Set(pages.flatMap(({ fences }) => fences.map(({ marker }) => marker)));
    assert.deepEqual(Object.keys(markers).filter((marker) => !used.has(marker)), []);
  });
});

describe("parsePage", () => {
  it("tells fences from prose, and joins continued commands, when both stand in a page", () => {
    const page = parsePage(
      "a.md",
      "text `x`\n\n```sh scripts\n# a comment\na \\\n  b\n\nc  # d\n```\n\n    indented\n",
    );
    assert.deepEqual(page.fences.map(({ language, marker, lineNumber }) => [language, marker, lineNumber]), [
      ["sh", "scripts", 3],
    ]);
    assert.deepEqual(page.fences.flatMap(commandsOf), ["a b", "c"]);
    assert.deepEqual(indentedCode(page), ["    indented"]);
  });

  it("throws with page and line when a fence is not closed", () => {
    assert.throws(() => parsePage("a.md", "x\n```sh\n"), /a\.md: the fence of line 2 is not closed/);
  });
});
