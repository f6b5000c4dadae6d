/** `--tls-self-signed`: the certificate that an edge makes for itself, and its pin. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SelfSignedCertificate, selfSignedNames } from "../../src/cli/edge_serve/self_signed.ts";
import { DataFolderError } from "../../src/config/mod.ts";
import { pinPattern } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";

const DAY_MS = 86_400_000;
const start = Date.parse("2026-01-01T00:00:00Z");
const names = ["example.com", "*.example.com", "localhost", "127.0.0.1", "::1"];

/** Runs `act` with what opens the certificate of one folder, at the time of a clock that stands still. */
function withFolder(
  act: (
    stage: { path: string; clock: FakeClock; open(names?: string[]): Promise<SelfSignedCertificate> },
  ) => Promise<void>,
): Promise<void> {
  return withScratch(async (folder) => {
    const clock = new FakeClock();
    const path = join(folder, "data", "self-signed.pem");
    const open = (wanted = names) =>
      SelfSignedCertificate.open({ path, names: wanted, clock, now: () => start + clock.now() });
    await act({ path, clock, open });
  });
}

const read = (own: SelfSignedCertificate) => new X509Certificate(own.certificateFor().chain);

describe("SelfSignedCertificate", () => {
  it("is for the names and addresses, for a year, and kept where its owner alone can read it", () =>
    withFolder(async ({ path, open }) => {
      const own = await open();
      const certificate = read(own);
      const alternatives = certificate.subjectAltName!;
      for (const name of ["DNS:example.com", "DNS:*.example.com", "DNS:localhost", "IP Address:127.0.0.1"]) {
        assert.ok(alternatives.split(", ").includes(name), alternatives);
      }
      assert.ok(/IP Address:(?:0:0:0:0:0:0:0:1|::1)(?:,|$)/.test(alternatives), alternatives);
      assert.equal(Date.parse(certificate.validFrom), start - DAY_MS);
      assert.equal(Date.parse(certificate.validTo), start + 364 * DAY_MS);
      assert.ok(certificate.verify(certificate.publicKey));
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      own.close();
    }));

  it("has the same key, certificate and pin after a restart", () =>
    withFolder(async ({ open }) => {
      const first = await open();
      first.close();
      assert.match(first.pin, pinPattern);
      const second = await open();
      second.close();
      assert.equal(second.pin, first.pin);
      assert.deepEqual(second.certificateFor(), first.certificateFor());
    }));

  it("keeps its key when the names are other ones", () =>
    withFolder(async ({ open }) => {
      const first = await open();
      first.close();
      const second = await open(["example.org", "10.0.0.1"]);
      second.close();
      assert.equal(second.pin, first.pin);
      assert.equal(read(second).subjectAltName, "DNS:example.org, IP Address:10.0.0.1");
    }));

  it("is renewed with the same key after two thirds of its time, while it runs and at a start", () =>
    withFolder(async ({ path, clock, open }) => {
      const own = await open();
      const first = own.certificateFor();
      const day = async () => {
        clock.advance(DAY_MS);
        await eventually(() => clock.pending === 1);
      };
      // It was made a day early, and lives for 365 days.
      for (let days = 0; days < 242; days++) await day();
      assert.equal(own.certificateFor(), first);
      await day();
      const second = own.certificateFor();
      assert.notEqual(second.id, first.id);
      assert.equal(Date.parse(read(own).validTo), start + (243 + 364) * DAY_MS);
      assert.equal(await readFile(path, "utf8"), second.chain);
      own.close();
      assert.equal(clock.pending, 0);
      clock.advance(300 * DAY_MS);
      const later = await open();
      later.close();
      assert.notEqual(later.certificateFor().id, second.id);
      assert.equal(later.pin, own.pin);
    }));

  it("goes on with a renewed certificate when the file cannot be written", () =>
    withFolder(async ({ path, clock, open }) => {
      const own = await open();
      const first = own.certificateFor();
      // Nothing can be put in the place of a folder that is not empty.
      await rm(path);
      await mkdir(join(path, "folder"), { recursive: true });
      clock.advance(300 * DAY_MS);
      await eventually(() => own.certificateFor().id !== first.id);
      await eventually(() => clock.pending === 1);
      own.close();
    }));

  it("rejects when the file holds something else, and leaves it as it is", () =>
    withFolder(async ({ path, open }) => {
      (await open()).close();
      const whole = await readFile(path, "utf8");
      for (const text of ["", "nonsense", whole.slice(0, -100)]) {
        await writeFile(path, text);
        await assert.rejects(open(), (error) => {
          assert.ok(error instanceof DataFolderError);
          assert.ok(error.reason.includes(path), error.reason);
          assert.match(error.reason, /agents need another pin/);
          return true;
        });
        assert.equal(await readFile(path, "utf8"), text);
      }
    }));

  it("is one for two edges that make it at the same time", () =>
    withFolder(async ({ open }) => {
      const edges = await Promise.all([open(), open(), open()]);
      for (const edge of edges) edge.close();
      assert.equal(new Set(edges.map(({ pin }) => pin)).size, 1);
    }));
});

describe("selfSignedNames", () => {
  const own = ["example.com", "*.example.com", "localhost", "*.localhost", "127.0.0.1", "::1"];

  it("has the domain, this machine, and the addresses that the edge listens on", () => {
    const targets = [
      { kind: "tcp", host: "203.0.113.7", port: 443 },
      { kind: "tcp", host: "127.0.0.1", port: 8443 },
      { kind: "tcp", host: "edge.internal", port: 8443 },
      { kind: "unix", path: "/run/edge.sock" },
      { kind: "fd", fd: 3 },
    ] as const;
    assert.deepEqual(selfSignedNames("Example.com", targets), [...own, "203.0.113.7"]);
  });

  it("has at most 64 addresses of the machine, and none that stands for all of them", () => {
    const all = selfSignedNames("example.com", [{ kind: "tcp", host: "::", port: 443 }]);
    assert.deepEqual(all.slice(0, own.length), own);
    assert.ok(all.length <= own.length + 64);
    assert.ok(!all.includes("::") && !all.includes("0.0.0.0"));
    assert.equal(new Set(all).size, all.length);
  });
});
