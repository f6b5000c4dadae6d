/** The flags of `edge serve` about certificates: which fit each other. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edgeProgram } from "../../src/cli/edge.ts";
import { runToEnd } from "./program_run.ts";

const serve = ["serve", "--listen", "127.0.0.1:0", "--token", "a-token-of-the-tests"];

const wrong: readonly [args: string, message: RegExp][] = [
  ["--acme", /--acme gets no certificate for --domain localhost/],
  ["--acme --domain 127.0.0.1", /--acme gets no certificate for --domain 127\.0\.0\.1/],
  ["--acme --domain edge.localhost", /--acme gets no certificate for --domain edge\.localhost/],
  ["--acme-email a@example.com", /--acme-email is for the certificates of --acme/],
  ["--acme-ca ca.pem", /--acme-ca is for the certificates of --acme/],
  ["--acme-dns-hook ./hook", /--acme-dns-hook is for the certificates of --acme/],
  ["--acme-directory https://ca.test/dir", /--acme-directory is for the certificates of --acme/],
  [
    "--acme-directory https://acme-v02.api.letsencrypt.org/directory",
    /--acme-directory is for the certificates of --acme/,
  ],
  ["--acme-dns-timeout 5m", /--acme-dns-timeout is for the certificates of --acme/],
  ["--acme-names-per-week 40", /--acme-names-per-week is for the certificates of --acme/],
  ["--acme-names-per-token 20", /--acme-names-per-token is for the certificates of --acme/],
  ["--acme --domain example.com", /--acme is for a listener with TLS, and there is none/],
  ["--acme --acme-email admin", /--acme-email "admin" is no address such as/],
  ["--acme --acme-directory http://ca.test/dir", /--acme-directory "http:\/\/ca\.test\/dir" is no URL such as https:/],
  ["--acme --acme-names-per-week 0", /--acme-names-per-week "0" is not between 1 and 100000/],
  ["--acme --acme-names-per-token 100001", /--acme-names-per-token "100001" is not between/],
  [
    "--acme --listen https://127.0.0.1:0 --domain example.com --acme-ca /no/such/file",
    /--acme-ca "\/no\/such\/file" holds no certificates/,
  ],
];

describe("edge serve", () => {
  for (const [args, message] of wrong) {
    it(`ends with 2 and names the flag when it is called with ${args}`, async () => {
      const { exitCode, stderr } = await runToEnd(edgeProgram, [...serve, ...args.split(" ")]);
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, message);
    });
  }
});
