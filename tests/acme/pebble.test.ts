/** AcmeClientIssuer against a CA that others wrote, which asks a real edge for the challenges. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AcmeCertificates, type AcmeCertificatesOptions } from "../../src/acme/acme_certificates.ts";
import { AcmeClientIssuer } from "../../src/acme/acme_client_issuer.ts";
import { DnsHook } from "../../src/acme/dns_hook.ts";
import type { FailedOrder, IssuedNames } from "../../src/acme/events.ts";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import type { Edge } from "../../src/edge/edge.ts";
import type { TlsCertificate } from "../../src/net/mod.ts";
import { ProgramRun } from "../cli/program_run.ts";
import { eventually, freePort } from "../support/net.ts";
import { missingPeer } from "../support/peers.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { withScratch } from "../support/scratch.ts";
import { startTestEdge } from "../support/tunnel.ts";

const skip = missingPeer("pebble") || missingPeer("curl");
const DOMAIN = "example.com";

interface Stage {
  readonly certificates: AcmeCertificates;
  readonly issued: IssuedNames[];
  readonly failed: FailedOrder[];
  readonly terms: (string | null)[];
  readonly accountKeyPath: string;
}

async function assertIssued(pebble: Pebble, certificate: TlsCertificate | null, ...names: string[]): Promise<void> {
  const { root, intermediate } = await pebble.authorities();
  const [leaf] = certificate!.chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)!;
  const own = new X509Certificate(leaf!);
  assert.deepEqual(own.subjectAltName!.split(", ").sort(), names.map((name) => `DNS:${name}`));
  assert.ok(own.verify(new X509Certificate(intermediate).publicKey));
  assert.ok(new X509Certificate(intermediate).verify(new X509Certificate(root).publicKey));
}

describe("AcmeClientIssuer with pebble", { skip }, () => {
  /** The store of the running test. */
  let current: AcmeCertificates | null = null;
  let edge: Edge;
  let pebble: Pebble;

  before(async () => {
    const challengeAnswer = (host: string, token: string) => current?.challengeAnswer(host, token) ?? null;
    edge = await startTestEdge({ domain: DOMAIN, challengeAnswer });
    pebble = await startPebble({ httpPort: edge.address.port });
  });
  after(async () => {
    await pebble.close();
    await edge.close();
  });

  /** Runs `use` with a store that is not started yet, whose challenges the edge answers, and an account of its own. */
  function withStage(
    use: (stage: Stage) => Promise<void>,
    options: () => Partial<AcmeCertificatesOptions> = () => ({}),
  ): Promise<void> {
    return withScratch(async (folder) => {
      const [issued, failed, terms]: [IssuedNames[], FailedOrder[], (string | null)[]] = [[], [], []];
      const accountKeyPath = join(folder, "account.key");
      const certificates = current = new AcmeCertificates({
        domain: DOMAIN,
        ownerOf: () => ({ owner: "somebody" }),
        issuer: new AcmeClientIssuer({
          directoryUrl: pebble.directory,
          accountKeyPath,
          email: "admin@example.com",
          ca: await readFile(pebble.caFile, "utf8"),
          onTerms: (url) => terms.push(url),
        }),
        folder: join(folder, "acme"),
        events: { onIssued: (event) => issued.push(event), onFailed: (event) => failed.push(event) },
        ...options(),
      });
      await certificates.load();
      try {
        await use({ certificates, issued, failed, terms, accountKeyPath });
      } finally {
        await certificates.close();
      }
    });
  }

  it("gets certificates by HTTP for the domain and for a tunnel's name, with one account", () =>
    withStage(async ({ certificates, issued, failed, terms, accountKeyPath }) => {
      await certificates.start();
      const own = await certificates.certificateFor({ serverName: null });
      assert.deepEqual(failed, []);
      await assertIssued(pebble, own, DOMAIN);
      const accountKey = await readFile(accountKeyPath, "utf8");
      await assertIssued(pebble, await certificates.certificateFor({ serverName: "shop.test" }), "shop.test");
      assert.equal((await stat(accountKeyPath)).mode & 0o777, 0o600);
      assert.equal(await readFile(accountKeyPath, "utf8"), accountKey);
      assert.equal(issued.length, 2);
      assert.equal(terms.length, 1);
      assert.match(terms[0]!, /^data:|^https?:/);
      assert.equal(certificates.challengeAnswer(DOMAIN, "x"), null);
    }));

  it("gets one certificate for the domain and its wildcard by a hook for DNS", () =>
    withStage(async ({ certificates, failed }) => {
      await certificates.start();
      const own = await certificates.certificateFor({ serverName: "shop.example.com" });
      assert.deepEqual(failed, []);
      await assertIssued(pebble, own, `*.${DOMAIN}`, DOMAIN);
    }, () => ({ dns: new DnsHook({ command: pebble.dnsHook, timeoutMs: 60_000 }) })));

  it("has the words of the CA when that does not find the answer to its challenge", () =>
    withStage(async ({ certificates, failed }) => {
      // The CA asks an edge that does not know the challenge.
      certificates.challengeAnswer = () => null;
      await certificates.start();
      assert.equal(await certificates.certificateFor({ serverName: DOMAIN }), null);
      assert.match(failed[0]!.reason, /^The CA refuses http-01 for example\.com: .*404/);
    }));

  it("has the words of the CA when the hook sets nothing", () =>
    withStage(async ({ certificates, failed }) => {
      await certificates.start();
      assert.equal(await certificates.certificateFor({ serverName: DOMAIN }), null);
      assert.match(failed[0]!.reason, /^The CA refuses dns-01 for example\.com: .*TXT/);
    }, () => ({ dns: new DnsHook({ command: "true", timeoutMs: 60_000 }) })));

  it("has the words of the hook when that fails", () =>
    withStage(async ({ certificates, failed }) => {
      await certificates.start();
      assert.equal(await certificates.certificateFor({ serverName: DOMAIN }), null);
      assert.match(failed[0]!.reason, /^The hook false present _acme-challenge\.example\.com exited 1$/);
    }, () => ({ dns: new DnsHook({ command: "false", timeoutMs: 60_000 }) })));

  it("names the file of the account's key when that holds no key, and leaves it", () =>
    withStage(async ({ certificates, failed, accountKeyPath }) => {
      await writeFile(accountKeyPath, "no key");
      await certificates.start();
      assert.equal(await certificates.certificateFor({ serverName: DOMAIN }), null);
      assert.match(failed[0]!.reason, /^The account's key .*account\.key cannot be used: /);
      assert.equal(await readFile(accountKeyPath, "utf8"), "no key");
    }));

  it("serves what it has when the CA is down, and says that it is", () =>
    withStage(async ({ certificates, failed }) => {
      await certificates.start();
      const own = await certificates.certificateFor({ serverName: DOMAIN });
      await pebble.stop();
      assert.equal(await certificates.certificateFor({ serverName: "a.test" }), null);
      assert.equal(failed.length, 1);
      assert.match(failed[0]!.reason, /^The (?:directory of the CA cannot be read|CA takes no order): ./);
      assert.equal(certificates.certificateFor({ serverName: DOMAIN }), own);
    }));
});

describe("edge serve --acme with pebble", { skip }, () => {
  it("gets certificates for the domain and for names that were chosen, and none for one that was drawn", () =>
    withScratch(async (data) => {
      const port = await freePort();
      const { directory, caFile, close } = await startPebble({ httpPort: port });
      const token = "a-token-of-the-tests";
      const edge = new ProgramRun(edgeProgram, [
        ...[
          "serve",
          "--listen",
          `http://127.0.0.1:${port}`,
          "--listen",
          "https://127.0.0.1:0",
          "--domain",
          DOMAIN,
          "--data",
          data,
          "--token",
          token,
          "--json",
        ],
        ...["--acme", "--acme-directory", directory, "--acme-ca", caFile, "--admin-listen", "127.0.0.1:0"],
      ]);
      const agents: ProgramRun[] = [];
      const files = async () => {
        const [ca] = await readdir(join(data, "acme")).catch(() => []);
        return ca === undefined ? [] : await readdir(join(data, "acme", ca, "certificates")).catch(() => []);
      };
      const open = async (...args: readonly string[]) => {
        const url = `http://127.0.0.1:${port}`;
        const agent = new ProgramRun(agentProgram, [
          "http",
          "3000",
          "--edge",
          url,
          "--token",
          token,
          "--json",
          ...args,
        ]);
        agents.push(agent);
        await agent.event("ready");
      };
      try {
        await edge.event("ready");
        await eventually(async () => (await files()).join() === "example.com.pem");
        for (const protocol of ["v2", "json"]) {
          await open("--protocol", protocol);
          await open("--protocol", protocol, "--name", `shop-${protocol}`);
          await eventually(async () => (await files()).includes(`shop-${protocol}.example.com.pem`));
        }
        assert.equal((await files()).length, 3);
      } finally {
        for (const agent of agents) await agent.stop();
        await edge.stop();
        await close();
      }
    }));
});
