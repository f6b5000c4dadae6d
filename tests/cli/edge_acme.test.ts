/** What `edge serve --acme` orders certificates for: by tunnels as they open, and by what clients ask for. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import type { AcmeEvents } from "../../src/acme/mod.ts";
import { EdgeAcme } from "../../src/cli/edge_serve/acme.ts";
import { DataFolder } from "../../src/config/data_folder.ts";
import { edgeServeOptions } from "../../src/config/edge_options.ts";
import { resolveOptions } from "../../src/config/resolve.ts";
import type { Edge } from "../../src/edge/edge.ts";
import type { DeclaredTunnels } from "../../src/edge/declared.ts";
import { ScriptedIssuer } from "../acme/stage.ts";
import { answering } from "../support/control_stage.ts";
import { TestAuthority } from "../support/issued.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { type Protocol, protocols, startTestAgent, startTestEdge, token } from "../support/tunnel.ts";

/** `docs` has a hostname and a wildcard. */
const declared: DeclaredTunnels = {
  has: (name) => name === "docs",
  ofHost: (host) => host === "docs.test" || host.endsWith(".wild.test") ? "docs" : null,
  get: (name) => name === "docs" ? { hostnames: ["docs.test", "*.wild.test"], requires: [] } : null,
};

interface Stage {
  readonly edge: Edge;
  readonly acme: EdgeAcme;
  readonly issuer: ScriptedIssuer;
  readonly notOrdered: string[];
  /** Opens a tunnel; resolves to what closes it. */
  open(name: string | null, protocol: Protocol): Promise<() => void>;
}

function withAcme(use: (stage: Stage) => Promise<void>, flags: readonly [string, string][] = []): Promise<void> {
  return withScratch(async (folder) => {
    const given = new Map([["domain", ["example.com"]], ["acme", ["true"]]]);
    for (const [name, value] of flags) given.set(name, [value]);
    const { values } = resolveOptions(edgeServeOptions, { flags: given, environment: () => undefined });
    const issuer = new ScriptedIssuer(Date.now);
    issuer.isEager = true;
    const notOrdered: string[] = [];
    const events: AcmeEvents = { onNotOrdered: (name) => notOrdered.push(name) };
    const acme = await EdgeAcme.open({ values, data: new DataFolder(join(folder, "data")), declared, events, issuer });
    const edge = await startTestEdge({ domain: "example.com", events: acme.events });
    const { port } = edge.address;
    const closers: (() => void)[] = [];
    const open = async (name: string | null, protocol: Protocol) => {
      let close: () => void;
      if (name === null) {
        const asked = {
          edge: parseEdgeUrl(`http://127.0.0.1:${port}`),
          token,
          upstream: answering("x"),
          version: "0.0.0",
        };
        const tunnel = await openV2Tunnel(asked, new AbortController().signal);
        close = () => tunnel.session.close("The test is over");
      } else {
        const agent = await startTestAgent(edge, answering("x"), name, protocol);
        close = () => agent.close();
      }
      closers.push(close);
      return close;
    };
    try {
      await acme.start(edge);
      await eventually(() => acme.certificates.ordering === 0);
      await use({ edge, acme, issuer, notOrdered, open });
    } finally {
      for (const close of closers) close();
      await edge.close();
      await eventually(() => acme.certificates.ordering === 0);
      await acme.close();
    }
  });
}

const idle = ({ acme }: Stage) => eventually(() => acme.certificates.ordering === 0);
const ask = ({ acme }: Stage, serverName: string) => acme.certificates.certificateFor({ serverName });

describe("EdgeAcme", () => {
  for (const protocol of protocols) {
    it(`orders a certificate for the name of a tunnel when that first opens on ${protocol}`, () =>
      withAcme(async (stage) => {
        const { issuer, open } = stage;
        assert.equal(ask(stage, "shop.example.com"), null);
        const close = await open("shop", protocol);
        await idle(stage);
        assert.deepEqual(issuer.names, ["example.com", "shop.example.com"]);
        close();
        await eventually(() => stage.edge.tunnels.online === 0);
        await open("shop", protocol);
        await idle(stage);
        assert.equal(issuer.names.length, 2);
        // It goes on being served while the tunnel is offline.
        assert.notEqual(ask(stage, "shop.example.com"), null);
      }));

    it(`orders those of a declared tunnel's hostnames when it opens on ${protocol}`, () =>
      withAcme(async (stage) => {
        await stage.open("docs", protocol);
        await idle(stage);
        assert.deepEqual(stage.issuer.names.sort(), ["docs.example.com", "docs.test", "example.com"]);
        assert.deepEqual(stage.notOrdered, ["*.wild.test"]);
      }));
  }

  it("orders what a declared tunnel has when a client asks for it, also while the tunnel is offline", () =>
    withAcme(async (stage) => {
      for (const name of ["docs.test", "docs.example.com"]) assert.notEqual(await ask(stage, name), null);
      for (const name of ["other.test", "blog.example.com", "a.docs.example.com", "x.docs.test", "a.wild.test"]) {
        assert.equal(ask(stage, name), null, name);
      }
      assert.deepEqual(stage.issuer.names, ["example.com", "docs.test", "docs.example.com"]);
    }));

  it("orders none for a name that was drawn, and says that it is plain", () =>
    withAcme(async (stage) => {
      const { acme, edge, issuer } = stage;
      const close = await stage.open(null, "v2");
      const { name } = edge.tunnels.list()[0]!;
      const host = `${name}.example.com`;
      assert.equal(acme.isPlainHost(host), true);
      assert.equal(ask(stage, host), null);
      assert.equal(acme.isPlainHost("shop.example.com"), false);
      assert.equal(acme.isPlainHost("example.com"), false);
      assert.deepEqual(issuer.names, ["example.com"]);
      close();
      await eventually(() => !acme.isPlainHost(host));
    }));

  it("orders the wildcards, and no name under them, with a hook", () =>
    withAcme(async (stage) => {
      const { acme, edge, issuer } = stage;
      await stage.open(null, "v2");
      await stage.open("docs", "v2");
      await stage.open("shop", "json");
      await idle(stage);
      const { name } = edge.tunnels.list()[0]!;
      assert.equal(acme.isPlainHost(`${name}.example.com`), false);
      assert.deepEqual(issuer.names.sort(), ["*.wild.test", "docs.test", "example.com *.example.com"]);
      for (const host of [`${name}.example.com`, "shop.example.com", "a.wild.test"]) {
        assert.notEqual(await ask(stage, host), null, host);
      }
      assert.equal(issuer.names.length, 3);
    }, [["acme-dns-hook", "true"]]));

  it("counts the tunnels of one token together", () =>
    withAcme(async (stage) => {
      for (const name of ["a", "b", "c"]) await stage.open(name, "v2");
      await idle(stage);
      assert.deepEqual(stage.issuer.names, ["example.com", "a.example.com", "b.example.com"]);
      assert.deepEqual(stage.notOrdered, ["c.example.com"]);
      // The operator's own are not bounded by that.
      assert.notEqual(await ask(stage, "docs.test"), null);
    }, [["acme-names-per-token", "2"]]));

  it("waits behind a failure over a restart with the same flags, and tries at once with others that matter", () =>
    withScratch(async (folder) => {
      const ca = join(folder, "ca.pem");
      await writeFile(ca, (await TestAuthority.create()).pem);
      const data = new DataFolder(join(folder, "data"));
      const edge = await startTestEdge({ domain: "example.com" });
      /** Starts it, and fails what it orders. Resolves to the names of orders, and to those that wait. */
      const start = async (...flags: readonly [string, string][]) => {
        const given = new Map([["domain", ["example.com"]], ["acme", ["true"]]]);
        for (const [name, value] of flags) given.set(name, [value]);
        const { values } = resolveOptions(edgeServeOptions, { flags: given, environment: () => undefined });
        const issuer = new ScriptedIssuer(Date.now);
        const waiting: string[] = [];
        const events: AcmeEvents = { onWaiting: ({ name, reason }) => waiting.push(`${name}: ${reason}`) };
        const acme = await EdgeAcme.open({ values, data, events, issuer });
        await acme.start(edge);
        await eventually(() => acme.certificates.ordering === 0 || issuer.asked.length > 0);
        for (const { fail } of issuer.asked) fail("it is wrong");
        await eventually(() => acme.certificates.ordering === 0);
        await acme.close();
        return [issuer.asked.length, waiting];
      };
      const waits = [0, ["example.com: it is wrong"]];
      assert.deepEqual(await start(), [1, []]);
      assert.deepEqual(await start(), waits);
      assert.deepEqual(await start(["acme-names-per-week", "30"], ["hsts", "1d"]), waits);
      const mended: [string, string][] = [];
      for (
        const flag of [
          ["acme-email", "a@example.com"],
          ["acme-ca", ca],
          ["acme-dns-hook", "/usr/bin/hook"],
          ["acme-dns-timeout", "1m"],
          ["acme-directory", "https://ca.test/directory"],
        ] as const
      ) {
        mended.push([...flag]);
        assert.deepEqual(await start(...mended), [1, []], flag.join(" "));
        assert.deepEqual(await start(...mended), waits, flag.join(" "));
      }
      // Other authorities in the same file.
      await writeFile(ca, (await TestAuthority.create("another")).pem);
      assert.deepEqual(await start(...mended), [1, []]);
      await edge.close();
    }));
});
