/** Certificates are renewed while clients ask without a pause: nothing fails, and new connections get the new one. */
import assert from "node:assert/strict";
import { once } from "node:events";
import process from "node:process";
import { describe, it } from "node:test";
import * as tls from "node:tls";
import { AcmeCertificates } from "../../src/acme/acme_certificates.ts";
import { HttpServer } from "../../src/http1/mod.ts";
import type { TlsCertificate } from "../../src/net/mod.ts";
import { listen, type Socket } from "../../src/net/mod.ts";
import { TlsSocket } from "../../src/net/tls/tls_socket.ts";
import { answering } from "../support/control_stage.ts";
import { eventually } from "../support/net.ts";
import { authority, DAY_MS, withStage } from "./stage.ts";

const isSoak = process.env.RUNNEL_SOAK === "1";
const SWAPS = isSoak ? 20 : 5;
const CLIENTS = isSoak ? 32 : 8;
const REQUESTS_PER_CONNECTION = 3;

/** TLS on an accepted socket with the certificate that is served then. */
function secured(raw: Socket, certificates: AcmeCertificates, serve: (socket: Socket) => void): void {
  const { chain, key } = certificates.certificateFor({ serverName: "example.com" }) as TlsCertificate;
  let engine!: tls.TLSSocket;
  const socket = new TlsSocket(raw, (cipher) => {
    const stream = cipher as unknown as ConstructorParameters<typeof tls.TLSSocket>[0];
    return engine = new tls.TLSSocket(stream, { isServer: true, cert: chain, key, allowHalfOpen: true } as object);
  });
  engine.once("secure", () => {
    socket.secured();
    serve(socket);
  });
}

/** Asks again and again, on a new connection behind a few requests, until it is stopped. */
class Client {
  /** Of the connections so far. */
  readonly serials: string[] = [];
  answers = 0;
  #isStopped = false;

  async run(port: number): Promise<void> {
    while (!this.#isStopped) {
      // Its dates are those of the test's clock.
      const socket = tls.connect({ host: "127.0.0.1", port, ca: authority.certificate, rejectUnauthorized: false });
      await once(socket, "secureConnect");
      this.serials.push(socket.getPeerX509Certificate()!.serialNumber);
      for (let i = 1; i <= REQUESTS_PER_CONNECTION; i++) {
        const connection = i === REQUESTS_PER_CONNECTION ? "close" : "keep-alive";
        socket.write(`GET / HTTP/1.1\r\nHost: example.com\r\nConnection: ${connection}\r\n\r\n`);
        await answerOn(socket);
        this.answers++;
      }
      socket.destroy();
    }
  }

  stop(): void {
    this.#isStopped = true;
  }
}

/** Resolves behind a whole answer; rejects where the connection ends before. */
async function answerOn(socket: tls.TLSSocket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let text = "";
  const onData = (piece: Uint8Array) => {
    text += new TextDecoder().decode(piece);
    if (text.endsWith("\r\n\r\nhello")) resolve();
  };
  const onEnd = () => reject(new Error(`the connection ended behind ${JSON.stringify(text)}`));
  socket.on("data", onData).on("error", reject).on("end", onEnd);
  try {
    await promise;
    assert.match(text, /^HTTP\/1\.1 200 /);
  } finally {
    socket.off("data", onData).off("error", reject).off("end", onEnd);
  }
}

describe("AcmeCertificates", () => {
  it(`are swapped ${SWAPS} times under ${CLIENTS} clients, and no request fails`, () =>
    withStage(async ({ certificates, issuer, idle, clock }) => {
      issuer.isEager = true;
      await certificates.start();
      await idle();
      const server = new HttpServer(answering("hello"));
      const accept = (raw: Socket) => secured(raw, certificates, (socket) => server.accept(socket));
      const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, accept);
      const clients = Array.from({ length: CLIENTS }, () => new Client());
      const runs = clients.map((client) => client.run(listener.address.port));
      const running = Promise.all(runs);
      running.catch(() => {});
      const seen = new Set<string>();
      try {
        for (let swap = 1; swap <= SWAPS; swap++) {
          clock.advance(65 * DAY_MS);
          await idle();
          const from = clients.map(({ serials }) => serials.length);
          // The connection behind the next one began behind the swap.
          const done = eventually(() => clients.every(({ serials }, index) => serials.length >= from[index]! + 2));
          await Promise.race([done, running]);
          const newest = new Set(clients.map(({ serials }) => serials.at(-1)!));
          assert.equal(newest.size, 1, `swap ${swap}`);
          seen.add([...newest][0]!);
        }
        for (const client of clients) client.stop();
        await running;
      } finally {
        for (const client of clients) client.stop();
        await running.catch(() => {});
        await listener.close();
        server.close();
      }
      assert.equal(seen.size, SWAPS);
    }));
});
