/** TLS in tests: the certificates of `certificates/` (its make.sh made them), and servers that show them. */
import { readFileSync } from "node:fs";
import * as tls from "node:tls";
import {
  type CertificateSource,
  dial,
  listen,
  type Listener,
  type Socket,
  TlsAcceptor,
  type TlsCertificate,
  type TlsOptions,
} from "../../src/net/mod.ts";
import { TlsSocket } from "../../src/net/tls/tls_socket.ts";
import { connectPair } from "./net.ts";
import type { TcpTarget } from "../../src/net/socket.ts";

/** Each is for `server.key`; `authority` signed all but the self-signed one. */
export type CertificateName = "server" | "expired" | "other_name" | "self_signed";

/** The text of a file of `certificates/`. */
export function pem(name: CertificateName | "authority"): string {
  return readFileSync(new URL(`certificates/${name}.pem`, import.meta.url), "utf8");
}

const key = readFileSync(new URL("certificates/server.key", import.meta.url), "utf8");
/** The key of each certificate, in PEM. */
export const serverKey = key;

/** What trusts the certificates here. */
export const trusted: TlsOptions = { ca: pem("authority") };

export interface TlsServerOptions {
  certificate?: CertificateName;
  /** Told of the name that the client asked for (SNI); empty where it asked for none. */
  onName?(name: string): void;
  /** A server that knows no later version: the runtime's own, since ours knows 1.3. */
  maxVersion?: "TLSv1.2";
}

/** One of `certificates/` as a TLS listener gets it. */
export function tlsCertificate(name: CertificateName = "server"): TlsCertificate {
  return { chain: pem(name), key, id: name };
}

/** Shows the same certificate to everyone. */
export function fixedCertificate(name: CertificateName = "server"): CertificateSource {
  return { certificateFor: () => tlsCertificate(name) };
}

/** The server's end of TLS on an accepted socket; rejects where the handshake fails. */
export async function acceptTls(
  raw: Socket,
  options: TlsServerOptions = {},
  acceptor = new TlsAcceptor({ certificates: fixedCertificate(options.certificate) }),
): Promise<Socket> {
  if (options.maxVersion !== undefined) return await acceptOldTls(raw, options.maxVersion);
  const { socket, serverName } = await acceptor.accept(raw);
  options.onName?.(serverName ?? "");
  return socket;
}

function acceptOldTls(raw: Socket, maxVersion: tls.SecureVersion): Promise<Socket> {
  return new Promise((resolve) => {
    let engine!: tls.TLSSocket;
    const socket = new TlsSocket(raw, (cipher) => {
      const context = { cert: pem("server"), key, maxVersion };
      // The types know no other stream than a socket here; the runtimes do.
      const stream = cipher as unknown as ConstructorParameters<typeof tls.TLSSocket>[0];
      return engine = new tls.TLSSocket(stream, { isServer: true, ...context, allowHalfOpen: true } as object);
    });
    engine.once("secure", () => {
      socket.secured();
      resolve(socket);
    });
  });
}

export interface TlsServer {
  readonly port: number;
  /** 127.0.0.1, without TLS. */
  readonly target: TcpTarget;
  readonly listener: Listener;
  /** Stops listening and resets every socket that is still open. */
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1 and gives each socket, and the one under it, to `onSocket` when it is secure. */
export async function startTlsServer(
  onSocket: (socket: Socket, raw: Socket) => void = () => {},
  options: TlsServerOptions = {},
): Promise<TlsServer> {
  const sockets = new Set<Socket>();
  const acceptor = new TlsAcceptor({ certificates: fixedCertificate(options.certificate) });
  const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (raw) => {
    sockets.add(raw);
    acceptTls(raw, options, acceptor).then((socket) => onSocket(socket, raw), () => {});
  });
  const { port } = listener.address;
  return {
    port,
    target: { kind: "tcp", host: "127.0.0.1", port },
    listener,
    async close() {
      await listener.close();
      acceptor.close();
      for (const socket of sockets) socket.reset();
    },
  };
}

/** `connectPair` with TLS inside. */
export async function secureConnectPair(): Promise<[Socket, Socket]> {
  let accept: (socket: Socket) => void = () => {};
  const accepted = new Promise<Socket>((resolve) => accept = resolve);
  const server = await startTlsServer((socket) => accept(socket));
  try {
    return [await dial({ ...server.target, tls: trusted }), await accepted];
  } finally {
    await server.listener.close();
  }
}

/** What a test of the `Socket` contract runs on. */
export interface Transport {
  readonly name: string;
  pair(): Promise<[Socket, Socket]>;
}

export const plain: Transport = { name: "TCP", pair: connectPair };
export const secure: Transport = { name: "TLS", pair: secureConnectPair };
export const transports: readonly Transport[] = [plain, secure];
