/**
 * The HTTP server that scripts/bench/tls.mjs measures: `/small` answers 1 KiB, `/bulk` 256 KiB. With TLS where two files
 * are given, a certificate and its key; tells its port.
 */
import { readFileSync } from "node:fs";
import type { Handler } from "../../src/http/mod.ts";
import { HttpServer } from "../../src/http1/mod.ts";
import { listen, programArguments, TlsAcceptor, tuneRuntime } from "../../src/net/mod.ts";
import { bulkBytes, bulkType, smallBytes } from "./tls_sizes.mjs";

const CHUNK_BYTES = 64 * 1024;

tuneRuntime();
const [chainFile, keyFile] = programArguments();

const handler: Handler = (head) => {
  const length = head.target === "/bulk" ? bulkBytes : smallBytes;
  const fields = ["Content-Type", bulkType, "Content-Length", String(length)];
  const body = head.target === "/bulk" ? bulk() : new Uint8Array(smallBytes);
  return Promise.resolve({ status: 200, fields, body });
};

function bulk(): ReadableStream<Uint8Array> {
  let left = bulkBytes;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(new Uint8Array(CHUNK_BYTES));
      left -= CHUNK_BYTES;
      if (left === 0) controller.close();
    },
  }, { highWaterMark: 0 });
}

const isSecure = chainFile !== undefined;
const server = new HttpServer(handler, { scheme: isSecure ? "https" : "http" });
const acceptor = isSecure ? secureAcceptor() : null;

function secureAcceptor(): TlsAcceptor {
  const certificate = { chain: readFileSync(chainFile, "utf8"), key: readFileSync(keyFile, "utf8"), id: "bench" };
  return new TlsAcceptor({ certificates: { certificateFor: () => certificate } });
}

const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (raw) => {
  if (acceptor === null) server.accept(raw);
  else acceptor.accept(raw).then(({ socket }) => server.accept(socket), () => {});
});
console.log(listener.address.port);
