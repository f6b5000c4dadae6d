/** Accepted sockets with TLS, as the client of OpenSSL finds them. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Socket } from "../../../src/net/mod.ts";
import { bytesOf, eventually, fillUntilStalled, latin1, patternBytes, SocketReader } from "../../support/net.ts";
import { makeCertificate, openssl, OpensslClient, opensslHandshake } from "../../support/openssl.ts";
import { missingPeer } from "../../support/peers.ts";
import { withScratch } from "../../support/scratch.ts";
import { pem, serverKey } from "../../support/tls.ts";
import { greet, startTlsListener, type TlsListener } from "../../support/tls_listener.ts";

const flagsOf = { "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3" } as const;

describe("TlsAcceptor with openssl s_client", { skip: missingPeer("openssl") }, () => {
  let server: TlsListener;
  before(async () => {
    server = await startTlsListener({}, greet);
  });
  after(() => server.close());

  for (const [version, flag] of Object.entries(flagsOf)) {
    it(`speaks ${version}, with a cipher that authenticates what it encrypts`, async () => {
      const output = await opensslHandshake(server.port, flag, "-servername", "localhost");
      assert.match(output, new RegExp(`New, ${version}, Cipher is `));
      assert.match(output, /Cipher is .*(?:GCM|CHACHA20)/);
    });
  }

  for (
    const [name, ...flags] of [
      ["TLS 1.1", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
      ["TLS 1.0", "-tls1", "-cipher", "ALL:@SECLEVEL=0"],
    ] as const
  ) {
    it(`sends protocol_version to a client of ${name}`, async () => {
      assert.match(await opensslHandshake(server.port, ...flags), /SSL alert number 70\b/);
    });
  }

  it("asks for another key when it does not take the client's first one (HelloRetryRequest)", async () => {
    const output = await opensslHandshake(server.port, "-tls1_3", "-groups", "P-521:P-256", "-servername", "localhost");
    assert.match(output, /New, TLSv1\.3, Cipher is /);
  });

  for (const cipher of ["AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "AECDH-AES128-SHA"]) {
    it(`sends handshake_failure to a client that knows ${cipher} alone`, async () => {
      const flags = ["-tls1_2", "-cipher", `${cipher}:@SECLEVEL=0`];
      assert.match(await opensslHandshake(server.port, ...flags), /SSL alert number 40\b/);
    });
  }

  for (const [name, subject] of [["localhost", "test server"], ["other.test", "test other_name"]] as const) {
    it(`shows the certificate of ${name} to a client that asks for it`, async () => {
      const output = await opensslHandshake(server.port, "-servername", name);
      assert.match(output, new RegExp(`subject=CN ?= ?${subject}\n`));
    });
  }

  it("shows a client that asks for no name what its source has for none", async () => {
    assert.match(await opensslHandshake(server.port, "-noservername"), /subject=CN ?= ?test server\n/);
  });

  it("sends unrecognized_name to a client whose name has no certificate", async () => {
    const output = await opensslHandshake(server.port, "-servername", "unknown.test");
    assert.match(output, /SSL alert number 112\b/);
  });

  it("agrees on http/1.1 when the client offers it, and sends no_application_protocol where it offers others", async () => {
    const both = await opensslHandshake(server.port, "-alpn", "h2,http/1.1");
    assert.match(both, /ALPN protocol: http\/1\.1/);
    assert.equal(server.secured.at(-1)!.protocol, "http/1.1");
    assert.match(await opensslHandshake(server.port, "-alpn", "h2,spdy/3"), /SSL alert number 120\b/);
  });

  it("agrees on what it prefers when it speaks several protocols", async () => {
    const several = await startTlsListener({ protocols: ["h2", "acme-tls/1", "http/1.1"] }, greet);
    for (const [offered, agreed] of [["http/1.1,h2", "h2"], ["http/1.1", "http/1.1"], ["acme-tls/1", "acme-tls/1"]]) {
      const output = await opensslHandshake(several.port, "-alpn", offered);
      assert.match(output, new RegExp(`ALPN protocol: ${agreed}`));
      assert.equal(several.secured.at(-1)!.protocol, agreed);
    }
    await several.close();
  });

  it("shows the certificates between its own and the authority", async () => {
    const chained = await startTlsListener({
      certificates: { certificateFor: () => ({ chain: pem("server") + pem("authority"), key: serverKey, id: "both" }) },
    }, greet);
    const output = await opensslHandshake(chained.port, "-servername", "localhost", "-showcerts");
    assert.equal(output.split("-----BEGIN CERTIFICATE-----").length - 1, 2);
    await chained.close();
  });

  it("serves RSA keys, too", () =>
    withScratch(async (folder) => {
      const { file, keyFile } = await makeRsaCertificate(folder);
      const rsa = await startTlsListener({
        certificates: { certificateFor: () => ({ chain: file, key: keyFile, id: "r" }) },
      }, greet);
      for (const flag of Object.values(flagsOf)) {
        assert.match(await opensslHandshake(rsa.port, flag), /subject=CN ?= ?rsa\n/);
      }
      await rsa.close();
    }));
});

describe("Sessions of TlsAcceptor", { skip: missingPeer("openssl") }, () => {
  /** Whether a session of `first` is resumed by `second`: two calls of s_client with one session file. */
  async function resumes(
    port: number,
    flag: string,
    first: readonly string[],
    second: readonly string[],
  ): Promise<boolean> {
    return await withScratch(async (folder) => {
      const file = join(folder, "session");
      const output = await opensslRequest(port, flag, ...first, "-sess_out", file);
      assert.match(output, /New, TLSv1/);
      const again = await opensslRequest(port, flag, ...second, "-sess_in", file);
      assert.match(again, /(?:New|Reused), TLSv1/);
      return /Reused, TLSv1/.test(again);
    });
  }

  for (const [version, flag] of Object.entries(flagsOf)) {
    it(`resume with ${version}`, async () => {
      const server = await startTlsListener({}, greet);
      const name = ["-servername", "localhost"];
      assert.equal(await resumes(server.port, flag, name, name), true);
      await server.close();
    });

    it(`do not resume with ${version} for another name with another certificate`, async () => {
      const name = ["-servername", "localhost"];
      const server = await startTlsListener({}, greet);
      assert.equal(await resumes(server.port, flag, name, ["-servername", "other.test"]), false);
      await server.close();
    });
  }
});

/** As `opensslHandshake`, but it waits until the server ends: tickets of TLS 1.3 come behind the handshake. */
async function opensslRequest(port: number, ...args: readonly string[]): Promise<string> {
  const client = new OpensslClient(port, "-ign_eof", ...args);
  await client.exited;
  return client.output;
}

async function makeRsaCertificate(folder: string): Promise<{ file: string; keyFile: string }> {
  const [file, keyFile] = [join(folder, "rsa.pem"), join(folder, "rsa.key")];
  await openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", keyFile, "-out", file, "-subj", "/CN=rsa");
  return { file: await readFile(file, "utf8"), keyFile: await readFile(keyFile, "utf8") };
}

for (const [version, flag] of Object.entries(flagsOf)) {
  describe(`An accepted socket with a foreign client of ${version}`, { skip: missingPeer("openssl") }, () => {
    let server: TlsListener;
    before(async () => {
      server = await startTlsListener();
    });
    after(() => server.close());

    async function connect(...args: readonly string[]): Promise<[OpensslClient, Socket]> {
      const client = new OpensslClient(server.port, "-quiet", flag, ...args);
      return [client, await server.next()];
    }

    it("carries bytes both ways, in order", async () => {
      const [client, socket] = await connect();
      const reader = new SocketReader(socket);
      const sent = patternBytes(3_000_000, 5);
      client.send(sent);
      assert.equal(Buffer.compare(await reader.read(sent.length), sent), 0);
      const text = "0123456789abcdef".repeat(100_000);
      socket.write(bytesOf(text));
      await eventually(() => client.output.length >= text.length);
      assert.equal(client.output.slice(client.output.indexOf("0123")), text);
      await client.kill();
    });

    it("ends in order when the client does, behind all that it has sent", async () => {
      const client = new OpensslClient(server.port, flag);
      const socket = await server.next();
      const reader = new SocketReader(socket);
      client.send("a line, and the end\n");
      client.end();
      assert.equal(latin1(await reader.readAll()), "a line, and the end\n");
      assert.equal(await reader.closed, null);
      assert.equal(await client.exited, 0);
    });

    it("sends close_notify behind what was written when it ends", async () => {
      const [client, socket] = await connect();
      const reader = new SocketReader(socket);
      socket.write(new Uint8Array(1_000_000).fill(0x61));
      socket.end();
      assert.equal(await client.exited, 0, client.output.slice(-300));
      assert.equal(client.output.replace(/[^a]/g, "").length >= 1_000_000, true);
      assert.doesNotMatch(client.output, /unexpected eof/);
      assert.equal(await reader.closed, null);
    });

    it("breaks when the client goes away without close_notify", async () => {
      const [client, socket] = await connect();
      const reader = new SocketReader(socket);
      await client.kill();
      const error = await reader.closed;
      assert.equal(error?.code, "connection_reset");
      assert.equal(reader.sawEnd, false);
    });

    it("is a reset for the client when it is reset", async () => {
      const [client, socket] = await connect();
      const reader = new SocketReader(socket);
      socket.reset();
      assert.equal(await reader.closed, null);
      await client.exited;
    });

    it("stops writing when the client does not read, and goes on when it does", async () => {
      const [client, socket] = await connect();
      const reader = new SocketReader(socket);
      client.signal("SIGSTOP");
      const taken = await fillUntilStalled(socket, 512 << 20);
      assert.ok(taken < 32 << 20, `${taken} bytes were taken by a client that never read`);
      client.signal("SIGCONT");
      await eventually(() => socket.bufferedBytes === 0);
      socket.reset();
      assert.equal(await reader.closed, null);
      await client.kill();
    });

    it("stops the client when it is paused, and gives all of it later", async () => {
      const [client, socket] = await connect();
      const reader = new SocketReader(socket, { paused: true });
      const size = 32 << 20;
      let isTaken = false;
      client.child.stdin!.write(new Uint8Array(size), () => isTaken = true);
      let quiet = 0;
      await eventually(() => ++quiet > 100);
      assert.equal(isTaken, false, "all of it was taken by a socket that is paused");
      assert.equal(reader.receivedBytes, 0);
      socket.resume();
      await eventually(() => reader.receivedBytes === size);
      await client.kill();
    });
  });
}

describe("A client certificate that nobody asked for", { skip: missingPeer("openssl") }, () => {
  it("is not looked at", () =>
    withScratch(async (folder) => {
      const rogue = await makeCertificate(folder, "rogue");
      const server = await startTlsListener({}, greet);
      const output = await opensslHandshake(server.port, "-cert", rogue.file, "-key", rogue.keyFile);
      assert.match(output, /New, TLSv1/);
      assert.equal(server.secured[0].clientCertificate, null);
      await server.close();
    }));
});
