/** Clients that must show a certificate: who is let in, whatever the runtime thinks of it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { ClientPolicy } from "../../../src/net/mod.ts";
import { eventually } from "../../support/net.ts";
import { authorityExtensions, type MadeCertificate, makeCertificate, OpensslClient } from "../../support/openssl.ts";
import { missingPeer } from "../../support/peers.ts";
import { pem } from "../../support/tls.ts";
import { greet, startTlsListener, type TlsListener } from "../../support/tls_listener.ts";

const intermediateExtensions = authorityExtensions.replace("CA:TRUE", "CA:TRUE, pathlen:0");
const staticFolder = fileURLToPath(new URL("../../support/certificates/", import.meta.url));

describe("A client policy", { skip: missingPeer("openssl") }, () => {
  let folder: string;
  let server: TlsListener;
  const made: Record<string, MadeCertificate> = {};
  const policies: Record<string, ClientPolicy> = {};

  async function make(name: string, signer?: string, extensions?: string, subject?: string): Promise<void> {
    made[name] = await makeCertificate(folder, name, { signer: made[signer ?? ""], extensions, subject });
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "runnel-"));
    await make("root", undefined, authorityExtensions);
    await make("other_root", undefined, authorityExtensions);
    // The same name as the root's, which is not enough.
    await make("false_root", undefined, authorityExtensions, "/CN=root");
    await make("intermediate", "root", intermediateExtensions);
    await make("second_intermediate", "intermediate", intermediateExtensions);
    await make("alice", "root", undefined, "/O=Shop/CN=alice");
    await make("bob", "intermediate");
    await make("deep", "second_intermediate");
    await make("everything", "root", "basicConstraints = CA:FALSE");
    await make("server_only", "root", "basicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth");
    await make("rogue", "other_root");
    await make("forged", "false_root");
    await make("self_signed");
    await make("child_of_alice", "alice");
    policies["closed.test"] = { id: "root", ca: made.root.pem };
    policies["others.test"] = { id: "other root", ca: made.other_root.pem };
    policies["old.test"] = { id: "old", ca: pem("authority") };
    server = await startTlsListener({ clientPolicyOf: (name) => policies[name ?? ""] ?? null }, greet);
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  /** What became of a client with this certificate that sends a request at once; null: it was let in. */
  async function refusalOf(name: string, ...args: readonly string[]): Promise<string | null> {
    const [accepted, refused] = [server.secured.length, server.errors.length];
    const client = new OpensslClient(server.port, "-ign_eof", "-servername", name, ...args);
    client.send("GET / HTTP/1.1\r\n\r\n");
    await eventually(() => server.secured.length > accepted || server.errors.length > refused);
    await client.exited;
    assert.equal(server.secured.length - accepted + server.errors.length - refused, 1);
    const error = server.errors.at(refused);
    if (error === undefined) return null;
    assert.equal(error.code, "tls_failed");
    assert.equal(client.output.includes("greetings"), false);
    return error.message;
  }

  function show(name: string, ...between: readonly string[]): string[] {
    const { file, keyFile } = made[name];
    const chain = between.flatMap((one) => ["-cert_chain", made[one].file]);
    return ["-cert", file, "-key", keyFile, ...chain];
  }

  for (const flag of ["-tls1_2", "-tls1_3"]) {
    describe(`with ${flag}`, () => {
      it("lets in a client whose certificate its authority signed, and tells whose it is", async () => {
        assert.equal(await refusalOf("closed.test", flag, ...show("alice")), null);
        const { clientCertificate, clientPolicyId, serverName } = server.secured.at(-1)!;
        assert.equal(serverName, "closed.test");
        assert.equal(clientPolicyId, "root");
        assert.equal(clientCertificate?.subject, "O=Shop, CN=alice");
        assert.match(clientCertificate!.fingerprint256, /^[0-9A-F]{2}(?::[0-9A-F]{2}){31}$/);
      });

      it("lets in a client whose certificate another one signed that it shows", async () => {
        assert.equal(await refusalOf("closed.test", flag, ...show("bob", "intermediate")), null);
      });

      it("lets in a client whose certificate is for anything", async () => {
        assert.equal(await refusalOf("closed.test", flag, ...show("everything")), null);
      });

      it("asks nobody who asks for another name", async () => {
        assert.equal(await refusalOf("localhost", flag), null);
        assert.equal(server.secured.at(-1)!.clientPolicyId, null);
        assert.equal(await refusalOf("localhost", flag, ...show("rogue")), null);
      });

      const unknown = /: its certificate is signed by an unknown authority$/;
      for (
        const [what, name, reason, between = []] of [
          ["another authority signed", "rogue", unknown],
          ["an authority of the same name signed", "forged", unknown],
          ["it signed itself", "self_signed", /: its certificate is self-signed$/],
          ["a client signed", "child_of_alice", /signed by an unknown authority$|for another purpose$/, ["alice"]],
          ["one signed that it does not show", "bob", unknown],
          ["is for servers", "server_only", /: its certificate is (?:not for clients|for another purpose)$/],
          ["has more authorities above it than one of them allows", "deep", unknown, [
            "second_intermediate",
            "intermediate",
          ]],
        ] as const
      ) {
        it(`refuses a client whose certificate ${what}`, async () => {
          assert.match(await refusalOf("closed.test", flag, ...show(name, ...between)) ?? "let in", reason);
        });
      }

      it("refuses a client without a certificate", async () => {
        assert.match(await refusalOf("closed.test", flag) ?? "let in", /: it shows no certificate$/);
      });

      it("refuses a client whose certificate has expired", async () => {
        const files = ["-cert", `${staticFolder}expired.pem`, "-key", `${staticFolder}server.key`];
        assert.match(await refusalOf("old.test", flag, ...files) ?? "let in", /: its certificate (?:has )?expired/);
      });

      /** Takes a session of the first call to the second one. */
      async function resume(first: readonly string[], second: readonly string[]): Promise<string | null> {
        const file = join(folder, "session");
        await rm(file, { force: true });
        assert.equal(await refusalOf(first[0], flag, ...first.slice(1), "-sess_out", file), null);
        return await refusalOf(second[0], flag, ...second.slice(1), "-sess_in", file);
      }

      it("is met by a session of a client that has met it, with the same certificate", async () => {
        assert.equal(await resume(["closed.test", ...show("alice")], ["closed.test", ...show("alice")]), null);
        assert.equal(server.secured.at(-1)!.clientCertificate?.subject, "O=Shop, CN=alice");
      });

      it("is not met by a session of a name without one", async () => {
        assert.match(await resume(["localhost"], ["closed.test"]) ?? "let in", /: it shows no certificate$/);
      });

      it("is not met by a session from before it was there", async () => {
        const file = join(folder, "session");
        assert.equal(await refusalOf("later.test", flag, "-sess_out", file), null);
        policies["later.test"] = { id: "later", ca: made.root.pem };
        const reason = await refusalOf("later.test", flag, "-sess_in", file);
        delete policies["later.test"];
        assert.match(reason ?? "let in", /: it shows no certificate$/);
      });

      it("is not met by a session of a certificate that it trusts no more", async () => {
        const file = join(folder, "session");
        policies["changed.test"] = { id: "before", ca: made.root.pem };
        assert.equal(await refusalOf("changed.test", flag, ...show("alice"), "-sess_out", file), null);
        policies["changed.test"] = { id: "after", ca: made.other_root.pem };
        assert.match(await refusalOf("changed.test", flag, ...show("alice"), "-sess_in", file) ?? "let in", unknown);
        delete policies["changed.test"];
      });

      it("is not met by a session of another one", async () => {
        assert.match(await resume(["closed.test", ...show("alice")], ["others.test", ...show("alice")]) ?? "", unknown);
        assert.match(
          await resume(["closed.test", ...show("alice")], ["others.test"]) ?? "",
          /: it shows no certificate$/,
        );
      });
    });
  }
});
