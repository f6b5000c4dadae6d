/** `--tls-cert` and `--tls-key`: which certificate a client gets, and what happens when files change. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { CertificateFiles } from "../../src/cli/edge_serve/certificate_files.ts";
import { certificateSource } from "../../src/cli/edge_serve/certificates.ts";
import { UsageError } from "../../src/config/mod.ts";
import type { TlsCertificate } from "../../src/net/mod.ts";
import { configureLog } from "../../src/observe/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { type Issued, TestAuthority, type Wish } from "../support/issued.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";

const DAY_MS = 86_400_000;
let authority: TestAuthority;
let logged = "";

before(async () => {
  authority = await TestAuthority.create();
  await configureLog({ level: "info", format: "text", write: (line) => void (logged += line) });
});

/** Files of certificates in a folder, and a clock that looks at them. */
class Stage {
  readonly clock = new FakeClock();
  readonly #folder: string;
  #open: CertificateFiles | null = null;

  constructor(folder: string) {
    this.#folder = folder;
    logged = "";
  }

  paths(name: string) {
    return { cert: join(this.#folder, `${name}.pem`), key: join(this.#folder, `${name}.key`) };
  }

  async write(name: string, { chain, key }: Partial<Issued>): Promise<void> {
    const paths = this.paths(name);
    if (chain !== undefined) await writeFile(paths.cert, chain);
    if (key !== undefined) await writeFile(paths.key, key);
  }

  async issue(name: string, wish: Wish): Promise<Issued> {
    const issued = await authority.issue(wish);
    await this.write(name, issued);
    return issued;
  }

  async open(...names: string[]): Promise<CertificateFiles> {
    return this.#open = await CertificateFiles.open(names.map((name) => this.paths(name)), this.clock);
  }

  /** Lets the watch look until what changed has stayed the same. */
  async look(): Promise<void> {
    for (let looks = 0; looks < 2; looks++) {
      const watches = this.clock.pending;
      this.clock.advance(1_000);
      await eventually(() => this.clock.pending === watches);
    }
  }

  close(): void {
    this.#open?.close();
    assert.equal(this.clock.pending, 0);
  }
}

function withStage(act: (stage: Stage) => Promise<void>): Promise<void> {
  return withScratch(async (folder) => {
    const stage = new Stage(folder);
    try {
      await act(stage);
    } finally {
      stage.close();
    }
  });
}

const chainFor = (files: CertificateFiles, serverName: string | null): string | undefined =>
  files.certificateFor({ serverName, protocols: [] })?.chain;

describe("CertificateFiles", () => {
  it("chooses an exact name before a wildcard, and the first of two", () =>
    withStage(async (stage) => {
      const wild = await stage.issue("wild", { names: ["*.example.com", "example.com"] });
      const exact = await stage.issue("exact", { names: ["Shop.example.com"] });
      const late = await stage.issue("late", { names: ["shop.example.com", "late.test"] });
      const files = await stage.open("wild", "exact", "late");
      const table: [name: string | null, expected: string | undefined][] = [
        ["shop.example.com", exact.chain],
        ["blog.example.com", wild.chain],
        ["example.com", wild.chain],
        ["late.test", late.chain],
        ["a.b.example.com", undefined],
        ["com", undefined],
        ["*.example.com", wild.chain],
        ["example.org", undefined],
        [null, undefined],
      ];
      for (const [name, expected] of table) assert.equal(chainFor(files, name), expected, String(name));
      assert.equal(files.first.chain, wild.chain);
    }));

  it("serves a changed pair once both files have stayed the same, for its names", () =>
    withStage(async (stage) => {
      const before = await stage.issue("site", { names: ["a.test"] });
      const files = await stage.open("site");
      const after = await authority.issue({ names: ["b.test"] });
      await stage.write("site", { chain: after.chain });
      stage.clock.advance(1_000);
      await eventually(() => stage.clock.pending === 1);
      assert.equal(chainFor(files, "a.test"), before.chain);
      await stage.write("site", { key: after.key });
      await stage.look();
      await eventually(() => chainFor(files, "b.test") === after.chain);
      assert.equal(chainFor(files, "a.test"), undefined);
      assert.match(logged, /The certificate .*site\.pem.* was read again/);
    }));

  it("keeps the old pair, with a loud log line, when certificate and key do not fit, are expired or half written", () =>
    withStage(async (stage) => {
      const before = await stage.issue("site", { names: ["a.test"] });
      const files = await stage.open("site");
      const other = await authority.issue({ names: ["a.test"] });
      const expired = await authority.issue({ names: ["a.test"], from: new Date(0), to: new Date(DAY_MS) });
      const future = await authority.issue({ from: new Date(Date.now() + DAY_MS) });
      const faults: [bad: Partial<Issued>, reason: RegExp][] = [
        [{ key: other.key }, /The key is not that of the certificate/],
        [expired, /it expired on 1970-01-02/],
        [future, /it is not valid before/],
        [{ chain: other.chain.slice(0, -40), key: other.key }, /incomplete/],
        [{ chain: other.chain, key: other.key.slice(0, 60) }, /incomplete/],
        [{ chain: "", key: "" }, /no certificate in PEM form/],
      ];
      for (const [bad, reason] of faults) {
        await stage.write("site", bad);
        logged = "";
        await stage.look();
        await eventually(() => reason.test(logged), { message: String(reason) });
        assert.match(logged, /error.*is not taken, and the one from before goes on/i);
        assert.equal(chainFor(files, "a.test"), before.chain);
      }
      // What fits again is taken.
      await stage.write("site", other);
      await stage.look();
      await eventually(() => chainFor(files, "a.test") === other.chain);
    }));

  it("reads again at once when it is told to", () =>
    withStage(async (stage) => {
      await stage.issue("site", { names: ["a.test"] });
      const files = await stage.open("site");
      const after = await stage.issue("site", { names: ["a.test"] });
      await files.reload();
      assert.equal(chainFor(files, "a.test"), after.chain);
    }));

  it("opens with an expired certificate, and logs that", () =>
    withStage(async (stage) => {
      const old = await stage.issue("site", { names: ["a.test"], from: new Date(0), to: new Date(DAY_MS) });
      const files = await stage.open("site");
      assert.equal(chainFor(files, "a.test"), old.chain);
      assert.match(logged, /error.*expired on 1970-01-02: visitors will not trust it/i);
    }));

  it("rejects, and names both files, when a pair cannot be used", () =>
    withStage(async (stage) => {
      await stage.issue("good", {});
      const { key } = await authority.issue();
      await stage.issue("bad", {});
      await stage.write("bad", { key });
      for (const name of ["bad", "missing"]) {
        await assert.rejects(stage.open("good", name), (error) => {
          assert.ok(error instanceof UsageError);
          const { cert, key } = stage.paths(name);
          assert.ok(error.reason.startsWith(`--tls-cert ${cert} with --tls-key ${key} cannot be used: `), error.reason);
          return true;
        });
      }
    }));
});

describe("certificateSource", () => {
  const hello = { serverName: "a.test", protocols: [] };
  const certificate = (id: string): TlsCertificate => ({ id, chain: "", key: "" });
  const at = (answer: TlsCertificate | null | Promise<TlsCertificate | null>) => ({ certificateFor: () => answer });

  it("asks one part after the other until one has a certificate, at once where they do", () => {
    const [a, b] = [certificate("a"), certificate("b")];
    assert.equal(certificateSource([at(null), at(a), at(b)]).certificateFor(hello), a);
    assert.equal(certificateSource([at(null), at(null)]).certificateFor(hello), null);
    assert.equal(certificateSource([]).certificateFor(hello), null);
  });

  it("waits for a part that takes its time", async () => {
    const b = certificate("b");
    const late = at(Promise.resolve(null));
    assert.equal(await certificateSource([late, at(null), late, at(b)]).certificateFor(hello), b);
    assert.equal(await certificateSource([late, at(null)]).certificateFor(hello), null);
    await assert.rejects(
      Promise.resolve(certificateSource([at(Promise.reject(new Error("no")))]).certificateFor(hello)),
    );
  });
});
