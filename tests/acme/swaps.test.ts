/** Certificates are renewed while clients ask without a pause: nothing fails, and new connections get the new one. */
import assert from "node:assert/strict";
import { once } from "node:events";
import process from "node:process";
import { describe, it } from "node:test";
import * as tls from "node:tls";
import { answering } from "../support/control_stage.ts";
import { eventually } from "../support/net.ts";
import { protocols, startTestAgent, startTestEdge } from "../support/tunnel.ts";
import { DAY_MS, withStage } from "./stage.ts";

const isSoak = process.env.RUNNEL_SOAK === "1";
const SWAPS = isSoak ? 20 : 5;
const CLIENTS = isSoak ? 32 : 8;
const REQUESTS_PER_CONNECTION = 3;

/** Asks again and again, on a new connection behind a few requests, until it is stopped. */
class Client {
  /** Of the connections so far. */
  readonly serials: string[] = [];
  answers = 0;
  #isStopped = false;

  async run(port: number): Promise<void> {
    while (!this.#isStopped) {
      // Its dates are those of the test's clock.
      const socket = tls.connect({ host: "127.0.0.1", port, servername: "example.com", rejectUnauthorized: false });
      await once(socket, "secureConnect");
      this.serials.push(socket.getPeerX509Certificate()!.serialNumber);
      for (let i = 1; i <= REQUESTS_PER_CONNECTION; i++) {
        const connection = i === REQUESTS_PER_CONNECTION ? "close" : "keep-alive";
        socket.write(`GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: ${connection}\r\n\r\n`);
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
  for (const protocol of protocols) {
    it(`are swapped ${SWAPS} times under ${CLIENTS} clients, and no request fails, on ${protocol}`, () =>
      withStage(async ({ certificates, issuer, idle, clock }) => {
        issuer.isEager = true;
        await certificates.start();
        await idle();
        const loopback = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
        const listen = [{ target: loopback, tls: { certificates } }, { target: loopback }];
        // The clients, which have one address, make more connections than one may by default.
        const limits = { connections: { handshakesPerAddress: null, handshakes: null } };
        const edge = await startTestEdge({ listen, domain: "example.com", limits });
        const plain = edge.addresses[1] as { port: number };
        const agent = await startTestAgent(edge, answering("hello"), "shop", protocol, plain.port);
        const clients = Array.from({ length: CLIENTS }, () => new Client());
        const runs = clients.map((client) => client.run(edge.address.port));
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
          agent.close();
          await edge.close();
        }
        assert.equal(seen.size, SWAPS);
      }));
  }
});
