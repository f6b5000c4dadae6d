import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type CertificateSource,
  type ClientHello,
  type SecuredSocket,
  type Socket,
  SocketError,
  startTls,
  TlsAcceptor,
  type TlsAcceptorOptions,
  type TlsCertificate,
} from "../../../src/net/mod.ts";
import { FakeClock } from "../../support/clock.ts";
import {
  helloMessage,
  protocolNames,
  recordsOf,
  serverName,
  supportedVersions,
  tls12Hello,
} from "../../support/hello.ts";
import { bytesOf, connectPair, eventually, latin1, SocketReader } from "../../support/net.ts";
import { fixedCertificate, tlsCertificate, trusted } from "../../support/tls.ts";

const versions = supportedVersions(0x0304, 0x0303);
const plainHello = recordsOf(helloMessage());

/** Both ends of a connection whose accepted end is in the hands of an acceptor. */
interface Stage {
  readonly acceptor: TlsAcceptor;
  readonly client: Socket;
  readonly raw: Socket;
  readonly accepted: Promise<SecuredSocket>;
}

async function accept(options: Partial<TlsAcceptorOptions> = {}): Promise<Stage> {
  const acceptor = new TlsAcceptor({ certificates: fixedCertificate(), ...options });
  return await acceptWith(acceptor);
}

async function acceptWith(acceptor: TlsAcceptor): Promise<Stage> {
  const [client, raw] = await connectPair();
  const accepted = acceptor.accept(raw);
  accepted.catch(() => {});
  return { acceptor, client, raw, accepted };
}

function secureClient(stage: Stage, name = "localhost"): Promise<Socket> {
  const target = { kind: "tcp", host: name, port: 443, tls: trusted } as const;
  return startTls(stage.client, target, { timeoutMs: 60_000 });
}

async function failure(promise: Promise<unknown>): Promise<SocketError> {
  const error = await promise.then(() => null, (error) => error);
  assert.ok(error instanceof SocketError, String(error));
  return error;
}

/** Rejected, with its socket closed, and nothing left of it. */
async function assertRefused({ acceptor, raw, accepted }: Stage, code: string, reason: RegExp): Promise<SocketError> {
  const error = await failure(accepted);
  assert.equal(error.code, code);
  assert.match(error.message, /^The TLS handshake with 127\.0\.0\.1:\d+ failed: /);
  assert.match(error.message, reason);
  assert.equal(raw.closed, true);
  assert.equal(acceptor.pending, 0);
  return error;
}

/** What is said to a client that sends `bytes` and then ends. */
async function answerTo(stage: Stage, bytes: Uint8Array): Promise<Uint8Array> {
  const reader = new SocketReader(stage.client);
  stage.client.write(bytes);
  const answer = new Uint8Array(await reader.readAll());
  stage.client.end();
  return answer;
}

const alert = (code: number) => Uint8Array.of(0x15, 3, 3, 0, 2, 2, code);

describe("TlsAcceptor", () => {
  it("gives a paused socket, and what was agreed, when the handshake is done", async () => {
    const hellos: ClientHello[] = [];
    const certificates: CertificateSource = {
      certificateFor(hello) {
        hellos.push(hello);
        return tlsCertificate();
      },
    };
    const stage = await accept({ certificates });
    assert.equal(stage.acceptor.pending, 1);
    const client = await secureClient(stage, "edge.test");
    const secured = await stage.accepted;
    assert.equal(stage.acceptor.pending, 0);
    assert.equal(secured.serverName, "edge.test");
    assert.equal(secured.protocol, null);
    assert.equal(secured.clientPolicyId, null);
    assert.equal(secured.clientCertificate, null);
    assert.equal(hellos.length, 1);
    assert.equal(hellos[0].serverName, "edge.test");
    client.write(bytesOf("hello"));
    const reader = new SocketReader(secured.socket);
    assert.equal(await reader.readUntil("hello"), "hello");
    secured.socket.write(bytesOf("and back"));
    assert.equal(await new SocketReader(client).readUntil("back"), "and back");
    client.reset();
    secured.socket.reset();
  });

  it("waits for a certificate that takes a while", async () => {
    let give!: (certificate: TlsCertificate) => void;
    const certificates = { certificateFor: () => new Promise<TlsCertificate>((resolve) => give = resolve) };
    const stage = await accept({ certificates });
    const dialing = secureClient(stage);
    await eventually(() => give !== undefined);
    give(tlsCertificate());
    const client = await dialing;
    (await stage.accepted).socket.reset();
    client.reset();
  });

  it("shows each client the certificate of its name, and new ones another after a swap, while old ones stay", async () => {
    let shown = tlsCertificate("server");
    const acceptor = new TlsAcceptor({ certificates: { certificateFor: () => shown } });
    const before = await acceptWith(acceptor);
    const client = await secureClient(before);
    const { socket } = await before.accepted;
    shown = tlsCertificate("other_name");
    const after = await acceptWith(acceptor);
    const error = await failure(secureClient(after));
    assert.match(error.message, /is not for localhost, but for other\.test$/);
    const other = await acceptWith(acceptor);
    const otherClient = await secureClient(other, "other.test");
    socket.write(bytesOf("still here"));
    assert.equal(await new SocketReader(client).readUntil("here"), "still here");
    for (const one of [client, socket, otherClient, (await other.accepted).socket]) one.reset();
    await after.accepted.then(({ socket }) => socket.reset(), () => {});
  });

  it("does the handshake when the client's bytes come one by one", async () => {
    const stage = await accept();
    const [near, far] = await connectPair();
    // What the client sends goes on byte by byte, what it gets at once.
    near.handlers = {
      onData(chunk) {
        for (const byte of chunk) {
          stage.client.write(Uint8Array.of(byte));
          stage.client.flush();
        }
      },
      onEnd() {},
      onDrain() {},
      onClose() {},
    };
    near.resume();
    stage.client.handlers = {
      onData: (chunk) => void near.write(chunk),
      onEnd() {},
      onDrain() {},
      onClose() {},
    };
    stage.client.resume();
    const client = await startTls(far, { kind: "tcp", host: "localhost", port: 1, tls: trusted }, {
      timeoutMs: 60_000,
    });
    const { socket } = await stage.accepted;
    client.write(bytesOf("x"));
    assert.equal(latin1(await new SocketReader(socket).read(1)), "x");
    for (const one of [client, socket, near]) one.reset();
  });

  it("gives the request that comes with the end of the handshake", async () => {
    const stage = await accept();
    const client = await secureClient(stage);
    client.write(bytesOf("GET / HTTP/1.1\r\n\r\n"));
    const { socket } = await stage.accepted;
    assert.equal(await new SocketReader(socket).readUntil("\r\n\r\n"), "GET / HTTP/1.1\r\n\r\n");
    client.reset();
    socket.reset();
  });

  const h2 = recordsOf(helloMessage({ extensions: [protocolNames("h2"), versions] }));
  const oldest = recordsOf(helloMessage({ legacyVersion: 0x0302, extensions: [] }));
  const broken = () => {
    throw new Error("the folder is gone");
  };
  const refusals: [
    what: string,
    bytes: Uint8Array,
    code: number,
    reason: RegExp,
    options?: Partial<TlsAcceptorOptions>,
  ][] = [
    ["is malformed", recordsOf(helloMessage({ behind: Uint8Array.of(1) })), 50, /: its hello has bytes behind its ext/],
    ["knows nothing from 1.2 on", oldest, 70, /: it speaks neither TLS 1\.2 nor 1\.3$/],
    ["speaks other protocols", h2, 120, /: it speaks none of our protocols, but "h2"$/],
    [
      "began with another message",
      Uint8Array.of(0x16, 3, 1, 0, 4, 11),
      10,
      /: it began with a message of the type 11$/,
    ],
    [
      "asks for a name without a certificate",
      recordsOf(helloMessage({ extensions: [serverName("x.test"), versions] })),
      112,
      /: there is no certificate for x\.test$/,
      { certificates: { certificateFor: () => null } },
    ],
    ["comes while the source is broken", plainHello, 80, /: no certificate could be had for .*: the folder is gone$/, {
      certificates: { certificateFor: broken },
    }],
    ["comes while the source fails later", plainHello, 80, /: the folder is gone$/, {
      certificates: { certificateFor: () => Promise.reject(new Error("the folder is gone")) },
    }],
    ["comes while the policy cannot be told", plainHello, 80, /: the folder is gone$/, { clientPolicyOf: broken }],
    ["comes while the certificate is none", plainHello, 80, /./, {
      certificates: { certificateFor: () => ({ chain: "x", key: "y", id: "z" }) },
    }],
    ["has no cipher of ours", recordsOf(helloMessage({ ciphers: [0x00ff] })), 40, /./],
  ];
  for (const [what, bytes, code, reason, options] of refusals) {
    it(`sends alert ${code} and ends when the client ${what}`, async () => {
      const stage = await accept(options);
      const answer = await answerTo(stage, bytes);
      if (code === 40) assert.equal(answer[0], 0x15, "no alert");
      else assert.deepEqual(answer, alert(code));
      await assertRefused(stage, "tls_failed", reason);
    });
  }

  it("says which scheme to use when a client speaks HTTP without TLS", async () => {
    const stage = await accept();
    const answer = latin1(await answerTo(stage, bytesOf("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")));
    const [head, body] = answer.split("\r\n\r\n");
    assert.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(head, new RegExp(`\r\nContent-Length: ${body.length}$`));
    assert.match(body, /begin the address with https\n$/);
    const error = await assertRefused(stage, "tls_failed", /: it does not speak TLS$/);
    assert.equal(error.tlsFault, "no_tls");
  });

  it("resets without a word when a client sends noise, or an alert", async () => {
    for (const bytes of [Uint8Array.of(0x80, 0x2e, 1), Uint8Array.of(0x15, 3, 1, 0, 2, 1, 0)]) {
      const stage = await accept();
      const reader = new SocketReader(stage.client);
      stage.client.write(bytes);
      await assertRefused(stage, "tls_failed", /: it/);
      await reader.closed;
      assert.equal(reader.receivedBytes, 0);
    }
  });

  it("resets a client that was told why and sends on", async () => {
    const stage = await accept();
    const reader = new SocketReader(stage.client);
    stage.client.write(Uint8Array.of(0x17));
    await reader.ended;
    stage.client.write(new Uint8Array(1 << 20));
    await assertRefused(stage, "tls_failed", /a record of the type 23$/);
    assert.equal((await reader.closed)?.code, "connection_reset");
  });

  it("resets a client that was told why and stays, after a second", async () => {
    const clock = new FakeClock();
    const stage = await accept({ clock });
    const reader = new SocketReader(stage.client);
    stage.client.write(Uint8Array.of(0x17));
    await reader.ended;
    assert.equal(stage.acceptor.pending, 1);
    clock.advance(999);
    assert.equal(stage.raw.closed, false);
    clock.advance(1);
    await assertRefused(stage, "tls_failed", /./);
    stage.client.reset();
    assert.equal(clock.pending, 0);
  });

  it("gives up a client whose hello is not whole in time", async () => {
    const clock = new FakeClock();
    const stage = await accept({ clock, handshakeTimeoutMs: 3_000 });
    const reader = new SocketReader(stage.client);
    stage.client.write(plainHello.subarray(0, 20));
    clock.advance(2_999);
    assert.equal(stage.raw.closed, false);
    clock.advance(1);
    const error = await assertRefused(stage, "connect_timeout", /: it was not done within 3000 ms$/);
    assert.equal(error.tlsFault, "no_handshake");
    assert.equal((await reader.closed)?.code, "connection_reset");
    assert.equal(clock.pending, 0);
  });

  it("gives up a client that does not finish in time", async () => {
    const clock = new FakeClock();
    const stage = await accept({ clock });
    const reader = new SocketReader(stage.client);
    // The server's answer to it comes, and is not answered.
    stage.client.write(tls12Hello);
    await eventually(() => reader.receivedBytes > 0);
    clock.advance(10_000);
    await assertRefused(stage, "connect_timeout", /: it was not done within 10000 ms$/);
    assert.equal(clock.pending, 0);
  });

  it("says that it failed when the certificate is not there in time", async () => {
    const clock = new FakeClock();
    let isAsked = false;
    const certificates = {
      certificateFor() {
        isAsked = true;
        return new Promise<null>(() => {});
      },
    };
    const stage = await accept({ clock, certificates });
    stage.client.write(plainHello);
    await eventually(() => isAsked);
    clock.advance(10_000);
    assert.deepEqual(await answerTo(stage, new Uint8Array(0)), alert(80));
    await assertRefused(stage, "connect_timeout", /./);
  });

  it("rejects with connection_reset when the client leaves", async () => {
    for (const leave of [(socket: Socket) => socket.end(), (socket: Socket) => socket.reset()]) {
      for (const bytes of [new Uint8Array(0), plainHello.subarray(0, 9)]) {
        const stage = await accept();
        stage.client.write(bytes);
        await eventually(() => stage.client.bufferedBytes === 0);
        leave(stage.client);
        await assertRefused(stage, "connection_reset", /: the client left$/);
        stage.client.reset();
      }
    }
  });

  it("rejects with connection_reset when the socket has closed already", async () => {
    const [client, raw] = await connectPair();
    raw.reset();
    const acceptor = new TlsAcceptor({ certificates: fixedCertificate() });
    assert.equal((await failure(acceptor.accept(raw))).code, "connection_reset");
    assert.equal(acceptor.pending, 0);
    client.reset();
  });

  it("ends all handshakes, and later ones, when it is closed", async () => {
    const stage = await accept();
    const reader = new SocketReader(stage.client);
    stage.client.write(plainHello.subarray(0, 9));
    await eventually(() => stage.client.bufferedBytes === 0);
    stage.acceptor.close();
    await assertRefused(stage, "aborted", /: the listener was closed$/);
    await reader.closed;
    const late = await acceptWith(stage.acceptor);
    await assertRefused(late, "aborted", /./);
    late.client.reset();
  });

  it("ends the oldest handshake when more than maxPending run", async () => {
    const acceptor = new TlsAcceptor({ certificates: fixedCertificate(), maxPending: 2 });
    const oldest = await acceptWith(acceptor);
    const others = [await acceptWith(acceptor), await acceptWith(acceptor)];
    const error = await failure(oldest.accepted);
    assert.equal(error.code, "aborted");
    assert.match(error.message, /too many others run at the same time$/);
    assert.equal(oldest.raw.closed, true);
    await eventually(() => acceptor.pending === 2);
    acceptor.close();
    for (const stage of others) assert.equal((await failure(stage.accepted)).code, "aborted");
    for (const { client } of [oldest, ...others]) client.reset();
  });

  it("leaves connections alone when it is closed after their handshakes", async () => {
    const stage = await accept();
    const client = await secureClient(stage);
    const { socket } = await stage.accepted;
    stage.acceptor.close();
    socket.write(bytesOf("hello"));
    assert.equal(await new SocketReader(client).readUntil("hello"), "hello");
    client.reset();
    socket.reset();
  });

  it("refuses options that are none", () => {
    for (const options of [{ handshakeTimeoutMs: 0 }, { maxContexts: 0 }, { maxPending: 0 }]) {
      assert.throws(() => new TlsAcceptor({ certificates: fixedCertificate(), ...options }), /The option /);
    }
  });

  it("serves dials of ours with a name, and without one", async () => {
    for (const host of ["127.0.0.1", "localhost"]) {
      const stage = await accept();
      const client = await secureClient(stage, host);
      assert.equal((await stage.accepted).serverName, host === "localhost" ? host : null);
      client.reset();
      (await stage.accepted).socket.reset();
    }
  });
});
