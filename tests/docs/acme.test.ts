/** docs/acme.md: its hooks are run as they stand there, and its numbers are those of the code. */
import assert from "node:assert/strict";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { DnsHook } from "../../src/acme/dns_hook.ts";
import { DEFAULT_NAMES_PER_OWNER, DEFAULT_NAMES_PER_WEEK, FIRST_RETRY_MS } from "../../src/acme/order_book.ts";
import { edgeServeOptions } from "../../src/config/edge_options.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { ProgramRun } from "../cli/program_run.ts";
import { AdminApi } from "../support/admin_api.ts";
import { freePort } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { inlineCode, readPage, tableRows } from "./page.ts";

const page = readPage("docs/acme.md");
const hooks = page.fences.filter(({ marker }) => marker === "hook");
const proof = { host: "example.com", token: "t", text: "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0" };
const record = "_acme-challenge.example.com.";

/** Writes programs that note their arguments and input, and runs the hook beside them. */
function callsOf(hook: string): Promise<string> {
  return withScratch(async (folder) => {
    const script = async (name: string, text: string) => {
      await writeFile(join(folder, name), text);
      await chmod(join(folder, name), 0o755);
    };
    const noting = `#!/bin/sh\necho "$(basename "$0") $*" >> "${folder}/calls"\n`;
    await script("nsupdate", `${noting}cat >> "${folder}/calls"\n`);
    await script("lexicon", noting);
    await script("sleep", noting);
    await script("the-hook", hook.replace("#!/bin/sh\n", `#!/bin/sh\nPATH="${folder}:${process.env.PATH}"\n`));
    const dns = new DnsHook({ command: join(folder, "the-hook"), timeoutMs: 60_000 });
    await dns.present(proof);
    await dns.cleanUp(proof);
    return await readFile(join(folder, "calls"), "utf8");
  });
}

describe("docs/acme.md", () => {
  it("has a hook that updates a zone by nsupdate when it is called", async () => {
    const update = (change: string) => `nsupdate -k /etc/runnel/tsig.key\nserver 192.0.2.53\n${change}\nsend\n`;
    assert.equal(
      await callsOf(`${hooks[0]!.lines.join("\n")}\n`),
      update(`update add ${record} 60 TXT "${proof.text}"`) + "sleep 10\n" +
        update(`update delete ${record} TXT "${proof.text}"`),
    );
  });

  it("has a hook that asks a provider by lexicon when it is called", async () => {
    const call = `example.com TXT --name ${record} --content ${proof.text}`;
    assert.equal(
      await callsOf(`${hooks[1]!.lines.join("\n")}\n`),
      `lexicon cloudflare create ${call} --ttl 60\nsleep 30\nlexicon cloudflare delete ${call}\n`,
    );
  });

  it("has the numbers of the code", () => {
    const text = page.text.replaceAll("\n", " ");
    for (
      const fact of [
        `at most ${DEFAULT_NAMES_PER_WEEK} new names within 7 days`,
        `at most ${DEFAULT_NAMES_PER_OWNER} for the tunnels of one token`,
        `after ${FIRST_RETRY_MS / 60_000} minutes`,
      ]
    ) assert.ok(text.includes(fact), fact);
    assert.equal(edgeServeOptions.acmeNamesPerWeek.default, String(DEFAULT_NAMES_PER_WEEK));
    assert.equal(edgeServeOptions.acmeNamesPerToken.default, String(DEFAULT_NAMES_PER_OWNER));
    assert.equal(edgeServeOptions.acmeDnsTimeout.default, "5m");
  });
});

describe("The feed of docs/events.md", () => {
  it("tells of a certificate that was not issued, with the keys that stand there", () =>
    withScratch(async (data) => {
      const rows = tableRows(readPage("docs/events.md"), "event of the feed");
      const row = rows.find(([event]) => event!.includes("certificate_failed"))!;
      const keys = row[1]!.replace(/\([^)]*\)/g, "").split(";")[0]!;
      const args = [
        "serve",
        "--listen",
        "https://127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--data",
        data,
        "--json",
      ];
      const directory = `https://127.0.0.1:${await freePort()}/dir`;
      const edge = new ProgramRun(edgeProgram, [
        ...[...args, "--domain", "example.com", "--token", "a-token-of-the-tests"],
        ...["--acme", "--acme-directory", directory],
      ], { environment: { RUNNEL_LOG_LEVEL: "error" } });
      try {
        const { admin } = await edge.event("ready");
        const api = await AdminApi.of(String(admin), data);
        const told = await eventOf(api, "certificate_failed");
        const { event: _event, eventId: _id, time: _time, ...rest } = told;
        assert.deepEqual(Object.keys(rest).sort(), inlineCode({ prose: [keys] }).sort());
        assert.deepEqual(rest.names, ["example.com"]);
        assert.match(String(rest.reason), /^The directory of the CA cannot be read: /);
        assert.equal(rest.retryInMs, FIRST_RETRY_MS);
      } finally {
        await edge.stop();
      }
    }));
});

/** The first event of that name, those before this reader came among them. */
async function eventOf(api: AdminApi, name: string): Promise<Record<string, unknown>> {
  const body = await api.open("/api/v1/events?since=another-1", "application/x-ndjson");
  let text = "";
  for await (const piece of body) {
    text += new TextDecoder().decode(piece);
    const found = text.split("\n").slice(0, -1).map((line) => JSON.parse(line)).find(({ event }) => event === name);
    if (found !== undefined) return found;
  }
  throw new Error(`no ${name} in ${text}`);
}
