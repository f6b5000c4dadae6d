/** AcmeCertificates: what is ordered, when, and what is served meanwhile; with a scripted issuer and a clock that is moved. */
import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { CertificateFolder, MAX_NAME_CHARACTERS } from "../../src/acme/certificate_folder.ts";
import type { TlsCertificate } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import {
  type AcmeStage,
  certificateOf,
  DAY_MS,
  HOUR_MS,
  notingProver,
  openStage,
  STARTED_AT,
  withStage,
} from "./stage.ts";

const MINUTE_MS = 60_000;

/** The one that is served at once. */
function servedNow({ certificates }: AcmeStage, serverName: string | null): TlsCertificate | null {
  const served = certificates.certificateFor({ serverName });
  assert.ok(!(served instanceof Promise), `${serverName} is being ordered`);
  return served;
}

/** Starts a stage whose domain has its certificate. */
async function started(stage: AcmeStage): Promise<void> {
  stage.issuer.isEager = true;
  await stage.certificates.start();
  await stage.idle();
  stage.issuer.isEager = false;
}

describe("AcmeCertificates", () => {
  it("orders nothing when it is not started, and the domain's certificate when it is", () =>
    withStage(async (stage) => {
      const { certificates, issuer } = stage;
      assert.equal(servedNow(stage, "example.com"), null);
      await certificates.start();
      await eventually(() => issuer.asked.length === 1);
      assert.deepEqual([...issuer.asked[0]!.request.names], ["example.com"]);
      assert.equal(issuer.asked[0]!.request.challenge, "http-01");
      issuer.asked[0]!.issue();
      await stage.idle();
      assert.notEqual(servedNow(stage, "example.com"), null);
      assert.equal(servedNow(stage, null), servedNow(stage, "example.com"));
      assert.deepEqual(stage.issued.map(({ names, isRenewal }) => [...names, isRenewal]), [["example.com", false]]);
    }));

  it("orders one certificate for the domain and all names under it when a hook proves them by DNS", () =>
    withStage(async (stage) => {
      await started(stage);
      assert.deepEqual(stage.issuer.names, ["example.com *.example.com"]);
      assert.equal(stage.issuer.asked[0]!.request.challenge, "dns-01");
      assert.equal(servedNow(stage, "shop.example.com"), servedNow(stage, "example.com"));
      assert.notEqual(servedNow(stage, "shop.example.com"), null);
    }, { dns: notingProver(), ownerOf: () => null }));

  it("has no certificate for a name that nobody owns, however often it is asked for one", () =>
    withStage(async (stage) => {
      await started(stage);
      for (const name of ["other.org", "shop.example.com", "a.b.example.com", "com"]) {
        for (let i = 0; i < 3; i++) assert.equal(servedNow(stage, name), null);
      }
      assert.equal(stage.issuer.asked.length, 1);
    }, { ownerOf: () => null }));

  it("orders a name once when many clients ask for it at the same time", () =>
    withStage(async (stage) => {
      await started(stage);
      const served = Array.from({ length: 50 }, () => stage.certificates.certificateFor({ serverName: "shop.test" }));
      await eventually(() => stage.issuer.asked.length === 2);
      stage.certificates.want("shop.test");
      stage.issuer.asked[1]!.issue();
      const all = new Set(await Promise.all(served));
      assert.equal(all.size, 1);
      assert.equal(servedNow(stage, "shop.test"), [...all][0]);
      assert.equal(stage.issuer.asked.length, 2);
    }));

  it("orders a wildcard, and no name under it, when that is what the tunnel has", () =>
    withStage(async (stage) => {
      await started(stage);
      const served = stage.certificates.certificateFor({ serverName: "a.shop.test" });
      await eventually(() => stage.issuer.asked.length === 2);
      assert.equal(stage.issuer.names[1], "*.shop.test");
      stage.issuer.asked[1]!.issue();
      assert.equal(await served, servedNow(stage, "b.shop.test"));
      assert.equal(stage.issuer.asked.length, 2);
    }, { dns: notingProver(), ownerOf: () => ({ owner: "somebody", name: "*.shop.test" }) }));

  it("says once that a wildcard needs a hook when there is none", () =>
    withStage(async (stage) => {
      await started(stage);
      for (let i = 0; i < 5; i++) assert.equal(servedNow(stage, `${i}.shop.test`), null);
      assert.deepEqual(stage.notOrdered, ["*.shop.test: A wildcard needs --acme-dns-hook"]);
      stage.clock.advance(10 * MINUTE_MS);
      assert.equal(servedNow(stage, "a.shop.test"), null);
      assert.equal(stage.notOrdered.length, 2);
      assert.equal(stage.issuer.asked.length, 1);
    }, { ownerOf: () => ({ owner: "somebody", name: "*.shop.test" }) }));

  it("orders names of up to so many characters, and none that is longer", () =>
    withStage(async (stage) => {
      await started(stage);
      const name = `${"a.".repeat(MAX_NAME_CHARACTERS / 2)}`.slice(0, MAX_NAME_CHARACTERS - 5) + ".test";
      assert.equal(name.length, MAX_NAME_CHARACTERS);
      stage.issuer.isEager = true;
      assert.notEqual(await stage.certificates.certificateFor({ serverName: name }), null);
      assert.equal(servedNow(stage, `a${name}`), null);
      assert.match(stage.notOrdered[0]!, /characters/);
      assert.deepEqual(stage.faults, []);
    }));
});

describe("AcmeCertificates on failure", () => {
  it("names the reason, and orders again only behind pauses that double up to a day", () =>
    withStage(async (stage) => {
      await started(stage);
      const pauses: number[] = [];
      for (let round = 1; round <= 10; round++) {
        const served = stage.certificates.certificateFor({ serverName: "shop.test" });
        await eventually(() => stage.issuer.asked.length === round + 1);
        stage.issuer.asked[round]!.fail("NXDOMAIN looking up A for shop.test");
        assert.equal(await served, null);
        await stage.idle();
        const { retryInMs, reason, oldNotAfter } = stage.failed.at(-1)!;
        assert.match(reason, /NXDOMAIN/);
        assert.equal(oldNotAfter, null);
        pauses.push(retryInMs / MINUTE_MS);
        stage.clock.advance(retryInMs - 1);
        assert.equal(servedNow(stage, "shop.test"), null);
        stage.clock.advance(1);
      }
      assert.deepEqual(pauses, [15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440]);
    }));

  it("serves the old certificate when a renewal fails, also behind its end, and tries again", () =>
    withStage(async (stage) => {
      await started(stage);
      const old = servedNow(stage, "example.com");
      let failed = 0;
      while (stage.now() < STARTED_AT + 91 * DAY_MS) {
        stage.clock.advance(HOUR_MS);
        if (stage.certificates.ordering === 0) continue;
        await eventually(() => stage.issuer.asked.length === failed + 2);
        stage.issuer.asked[++failed]!.fail("the CA is down");
        await stage.idle();
        assert.equal(servedNow(stage, "example.com"), old);
      }
      assert.ok(failed > 20, `${failed} attempts`);
      assert.equal(stage.failed[0]!.oldNotAfter, STARTED_AT + 90 * DAY_MS);
      stage.issuer.isEager = true;
      await stage.pass(DAY_MS);
      assert.notEqual(servedNow(stage, "example.com"), old);
    }));

  it("keeps the old certificate when the CA sends what cannot be served", () =>
    withStage(async (stage) => {
      await started(stage);
      const old = servedNow(stage, "example.com");
      const good = certificateOf(["example.com"], STARTED_AT, 400 * DAY_MS);
      const other = certificateOf(["example.com"], STARTED_AT, 400 * DAY_MS);
      const answers = [
        { ...good, key: other.key },
        { ...good, chain: "no certificate" },
        { ...good, key: "no key" },
        certificateOf(["other.test"], STARTED_AT, 400 * DAY_MS),
        certificateOf(["example.com"], STARTED_AT, DAY_MS),
      ];
      const reasons = [
        /The key is not that of the certificate/,
        /no certificate in PEM/,
        /There is no key in PEM form/,
        /is not for example.com/,
        /ended/,
      ];
      for (const [index, answer] of answers.entries()) {
        while (stage.certificates.ordering === 0) stage.clock.advance(HOUR_MS);
        await eventually(() => stage.issuer.asked.length === index + 2);
        stage.issuer.asked[index + 1]!.answer(answer);
        await stage.idle();
        assert.match(stage.failed[index]!.reason, reasons[index]!);
        assert.equal(servedNow(stage, "example.com"), old);
      }
    }));

  it("gives an order up when the CA does not answer for 10 minutes", () =>
    withStage(async (stage) => {
      await stage.certificates.start();
      await eventually(() => stage.issuer.asked.length === 1);
      stage.clock.advance(10 * MINUTE_MS);
      await stage.idle();
      assert.match(stage.failed[0]!.reason, /within 10 minutes/);
    }));
});

describe("AcmeCertificates over time", () => {
  it("renews at two thirds of the lifetime, a little later for some", () =>
    withStage(async (stage) => {
      stage.issuer.isEager = true;
      await stage.certificates.start();
      for (let i = 0; i < 20; i++) stage.certificates.want(`n${i}.test`);
      await stage.idle();
      assert.equal(stage.issuer.asked.length, 21);
      await stage.pass(60 * DAY_MS - 1);
      assert.equal(stage.issuer.asked.length, 21);
      const days: number[] = [];
      for (let day = 0; day < 5; day++) {
        await stage.pass(DAY_MS);
        days.push(stage.issuer.asked.length);
      }
      assert.equal(days.at(-1), 42);
      // Spread over more than one day.
      assert.ok(days[0]! < 42, days.join());
      assert.ok(stage.issued.slice(21).every(({ isRenewal }) => isRenewal));
    }, { limits: { namesPerWeek: 100, namesPerOwner: 100 } }));

  it("serves what it has kept, and renews it in time, when it is opened again", () =>
    withScratch(async (folder) => {
      const first = await openStage(folder);
      await started(first);
      const served = servedNow(first, "example.com")!;
      await first.certificates.close();
      const again = await openStage(folder);
      assert.deepEqual(servedNow(again, "example.com"), served);
      await again.certificates.start();
      assert.equal(again.certificates.ordering, 0);
      await again.certificates.close();
      const later = await openStage(folder, { clock: again.clock });
      later.clock.advance(65 * DAY_MS);
      later.issuer.isEager = true;
      await later.certificates.start();
      await later.idle();
      assert.equal(later.issuer.asked.length, 1);
      assert.notDeepEqual(servedNow(later, "example.com"), served);
      assert.equal(later.issued[0]!.isRenewal, true);
      await later.certificates.close();
    }));

  it("remembers names, failures and owners when it is opened again", () =>
    withScratch(async (folder) => {
      const limits = { namesPerWeek: 100, namesPerOwner: 2 };
      const first = await openStage(folder, { limits });
      await started(first);
      first.issuer.isEager = true;
      for (const name of ["a.test", "b.test"]) await first.certificates.certificateFor({ serverName: name });
      first.issuer.isEager = false;
      await first.certificates.close();
      const again = await openStage(folder, { limits });
      await again.certificates.start();
      assert.equal(servedNow(again, "c.test"), null);
      assert.match(again.notOrdered[0]!, /--acme-names-per-token/);
      await again.certificates.close();
    }));

  it("waits on when it is opened again with the same settings, and says for what and how long", () =>
    withScratch(async (folder) => {
      const clock = new FakeClock();
      const first = await openStage(folder, { clock, settings: "a" });
      await first.certificates.start();
      await eventually(() => first.issuer.asked.length === 1);
      first.issuer.asked[0]!.fail("the hook is wrong");
      await first.idle();
      assert.deepEqual(first.waiting, []);
      await first.certificates.close();

      clock.advance(5 * MINUTE_MS);
      const same = await openStage(folder, { clock, settings: "a" });
      await same.certificates.start();
      assert.deepEqual(same.issuer.names, []);
      const retryAt = STARTED_AT + 15 * MINUTE_MS;
      assert.deepEqual(same.waiting, [{ name: "example.com", reason: "the hook is wrong", retryAt }]);
      await same.certificates.close();

      const other = await openStage(folder, { clock, settings: "b" });
      await other.certificates.start();
      assert.deepEqual(other.waiting, []);
      await eventually(() => other.issuer.names.join() === "example.com");
      other.issuer.asked[0]!.fail("the CA is wrong");
      await other.idle();
      // Failures of other settings do not make the pause longer.
      assert.equal(other.failed[0]!.retryInMs, 15 * MINUTE_MS);
      await other.certificates.close();
    }));

  it("renews in time when a certificate comes due while another one is being ordered", () =>
    withStage(async (stage) => {
      await started(stage);
      const [kept] = await new CertificateFolder(join(stage.folder, "certificates")).load(assert.fail);
      const dueInMs = Math.ceil(kept!.renewAt - stage.now());
      await stage.pass(dueInMs - 500);
      assert.equal(stage.issuer.names.length, 1);
      const ask = (serverName: string) => Promise.resolve(stage.certificates.certificateFor({ serverName }));
      for (const name of ["a.test", "b.test"]) {
        const asked = ask(name);
        await eventually(() => stage.issuer.names.includes(name));
        stage.clock.advance(350);
        stage.issuer.asked.at(-1)!.issue();
        await asked;
        await stage.idle();
      }
      stage.clock.advance(2_000);
      await eventually(() => stage.issuer.names.length === 4);
      assert.equal(stage.issuer.names[3], "example.com");
    }));

  it("forgets a certificate when nobody has wanted it until a day behind its end, and its file", () =>
    withScratch(async (folder) => {
      let owned = true;
      const stage = await openStage(folder, { ownerOf: () => owned ? { owner: "somebody" } : null });
      await started(stage);
      stage.issuer.isEager = true;
      await stage.certificates.certificateFor({ serverName: "gone.test" });
      owned = false;
      await stage.pass(90 * DAY_MS);
      assert.notEqual(servedNow(stage, "gone.test"), null);
      await stage.pass(DAY_MS + HOUR_MS);
      assert.equal(servedNow(stage, "gone.test"), null);
      const files = () => readdir(join(folder, "certificates"));
      await eventually(async () => (await files()).join() === "example.com.pem");
      await stage.certificates.close();
    }));

  it("orders the wildcard when a hook comes to a domain that had a certificate without", () =>
    withScratch(async (folder) => {
      const first = await openStage(folder);
      await started(first);
      const old = servedNow(first, "example.com")!;
      await first.certificates.close();
      const again = await openStage(folder, { dns: notingProver() });
      assert.deepEqual(servedNow(again, "example.com"), old);
      await started(again);
      assert.deepEqual(again.issuer.names, ["example.com *.example.com"]);
      assert.notDeepEqual(servedNow(again, "example.com"), old);
      await again.certificates.close();
    }));
});

describe("AcmeCertificates within its budgets", () => {
  it("orders as many new names for an owner as it may, and again when a week has passed", () =>
    withStage(async (stage) => {
      await started(stage);
      stage.issuer.isEager = true;
      const ask = (name: string) => stage.certificates.certificateFor({ serverName: name });
      for (const name of ["a1.test", "a2.test", "a3.test"]) assert.notEqual(await ask(name), null);
      assert.equal(servedNow(stage, "a4.test"), null);
      assert.match(stage.notOrdered[0]!, /^a4\.test: Its owner has ordered 3 names within 7 days/);
      // Another one has a budget of its own.
      assert.notEqual(await ask("b1.test"), null);
      await stage.pass(7 * DAY_MS);
      assert.notEqual(await ask("a4.test"), null);
    }, { ownerOf: (host) => ({ owner: host[0]! }), limits: { namesPerWeek: 100, namesPerOwner: 3 } }));

  it("orders as many new names as all together may, the domain's own whatever that is", () =>
    withStage(async (stage) => {
      await started(stage);
      stage.issuer.isEager = true;
      for (const name of ["a.test", "b.test"]) {
        assert.notEqual(await stage.certificates.certificateFor({ serverName: name }), null);
      }
      assert.equal(servedNow(stage, "c.test"), null);
      assert.match(stage.notOrdered[0]!, /--acme-names-per-week is 3/);
    }, { ownerOf: (host) => ({ owner: host }), limits: { namesPerWeek: 3, namesPerOwner: 100 } }));

  it("keeps room for renewals that come up, and renews whatever the budget says", () =>
    withStage(async (stage) => {
      await started(stage);
      stage.issuer.isEager = true;
      for (const name of ["a.test", "b.test"]) await stage.certificates.certificateFor({ serverName: name });
      await stage.pass(58 * DAY_MS);
      // Three come up within the week, so that nothing is left for another name.
      assert.equal(servedNow(stage, "c.test"), null);
      assert.match(stage.notOrdered[0]!, /3 renewals come up/);
      await stage.pass(7 * DAY_MS);
      assert.equal(stage.issued.filter(({ isRenewal }) => isRenewal).length, 3);
      assert.notEqual(await stage.certificates.certificateFor({ serverName: "c.test" }), null);
    }, { ownerOf: (host) => ({ owner: host }), limits: { namesPerWeek: 3, namesPerOwner: 100 } }));

  it("counts a name once when it fails and is ordered again", () =>
    withStage(async (stage) => {
      await started(stage);
      for (let round = 1; round <= 2; round++) {
        const served = stage.certificates.certificateFor({ serverName: "a.test" });
        await eventually(() => stage.issuer.asked.length === round + 1);
        stage.issuer.asked[round]!.fail("no");
        await served;
        await stage.idle();
        stage.clock.advance(HOUR_MS);
      }
      stage.issuer.isEager = true;
      assert.notEqual(await stage.certificates.certificateFor({ serverName: "b.test" }), null);
      assert.equal(servedNow(stage, "c.test"), null);
    }, { limits: { namesPerWeek: 100, namesPerOwner: 2 } }));
});

describe("The folder of AcmeCertificates", () => {
  it("has files that only their owner can read", () =>
    withStage(async (stage) => {
      await started(stage);
      const file = join(stage.folder, "certificates", "example.com.pem");
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      assert.equal((await stat(join(stage.folder, "orders.json"))).mode & 0o777, 0o600);
      assert.equal((await stat(join(stage.folder, "certificates"))).mode & 0o777, 0o700);
      const text = await readFile(file, "utf8");
      assert.match(text, /^-----BEGIN PRIVATE KEY-----/);
      assert.equal(text.match(/BEGIN CERTIFICATE/g)!.length, 2);
    }));

  it("is passed over, file by file, when it holds what cannot be read, and that is told", () =>
    withScratch(async (folder) => {
      const first = await openStage(folder);
      await started(first);
      first.issuer.isEager = true;
      await first.certificates.certificateFor({ serverName: "shop.test" });
      await first.certificates.close();
      const pathOf = (name: string) => join(folder, "certificates", `${name}.pem`);
      const good = await readFile(pathOf("example.com"), "utf8");
      const other = await readFile(pathOf("shop.test"), "utf8");
      await writeFile(pathOf("half"), good.slice(0, good.length - 40));
      await writeFile(
        pathOf("mixed"),
        other.slice(0, other.indexOf("-----BEGIN CERT")) + good.slice(good.indexOf("-----BEGIN CERT")),
      );
      await writeFile(pathOf("empty"), "");
      await writeFile(join(folder, "orders.json"), "{");
      const again = await openStage(folder);
      assert.equal(again.faults.length, 4);
      for (
        const [index, what] of [/orders\.json: /, /empty\.pem: .*key/, /half\.pem: /, /mixed\.pem: .*not that of the/]
          .entries()
      ) {
        assert.match(again.faults[index]!, what);
      }
      assert.notEqual(servedNow(again, "example.com"), null);
      assert.notEqual(servedNow(again, "shop.test"), null);
      await again.certificates.close();
    }));

  it("stops orders when it cannot be written, and the old certificate goes on", () =>
    withScratch(async (folder) => {
      const stage = await openStage(folder);
      await started(stage);
      const old = servedNow(stage, "example.com");
      await blocked(folder, async () => {
        while (stage.certificates.ordering === 0) stage.clock.advance(HOUR_MS);
        await stage.idle();
        assert.match(stage.failed[0]!.reason, /Nothing is ordered while its file cannot be written/);
        assert.equal(stage.issuer.asked.length, 1);
        assert.equal(servedNow(stage, "example.com"), old);
      });
      stage.issuer.isEager = true;
      await stage.pass(HOUR_MS);
      assert.notEqual(servedNow(stage, "example.com"), old);
      await stage.certificates.close();
    }));

  it("gets a certificate later when it could not be written at first, which is served at once", () =>
    withScratch(async (folder) => {
      const stage = await openStage(folder);
      await stage.certificates.start();
      await eventually(() => stage.issuer.asked.length === 1);
      // A file where the folder should be.
      const certificates = join(folder, "certificates");
      await writeFile(certificates, "");
      stage.issuer.asked[0]!.issue();
      await stage.idle();
      assert.notEqual(servedNow(stage, "example.com"), null);
      assert.match(stage.faults[0]!, /example\.com\.pem/);
      await rm(certificates);
      stage.clock.advance(MINUTE_MS);
      await eventually(async () => (await readdir(certificates).catch(() => [])).join() === "example.com.pem");
      await stage.certificates.close();
    }));
});

/** Runs `use` while the folder takes no file, also from root. */
async function blocked(folder: string, use: () => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) {
    await chmod(folder, 0o500);
    return await use().finally(() => chmod(folder, 0o700));
  }
  // Root may write everywhere: a folder stands where the file should be.
  const file = join(folder, "orders.json");
  await rm(file);
  await mkdir(join(file, "in-the-way"), { recursive: true });
  await use().finally(() => rm(file, { recursive: true }));
}
