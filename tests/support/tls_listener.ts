/** A listener whose sockets a `TlsAcceptor` takes, and what became of each. */
import {
  type CertificateSource,
  listen,
  type SecuredSocket,
  type Socket,
  type SocketError,
  TlsAcceptor,
  type TlsAcceptorOptions,
} from "../../src/net/mod.ts";
import { bytesOf, eventually, SocketReader } from "./net.ts";
import { tlsCertificate } from "./tls.ts";

/** `other.test` and `unknown.test` have another certificate and none; everyone else gets the same. */
const certificatesByName: CertificateSource = {
  certificateFor: ({ serverName }) =>
    serverName === "unknown.test" ? null : tlsCertificate(serverName === "other.test" ? "other_name" : "server"),
};

export interface TlsListener {
  readonly port: number;
  readonly acceptor: TlsAcceptor;
  readonly secured: readonly SecuredSocket[];
  readonly errors: readonly SocketError[];
  /** Resolves with the socket of the next handshake that was done. */
  next(): Promise<Socket>;
  /** Stops listening and resets every socket that is still open. */
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1. */
export async function startTlsListener(
  options: Partial<TlsAcceptorOptions> = {},
  onSecured: (socket: Socket) => void = () => {},
): Promise<TlsListener> {
  const acceptor = new TlsAcceptor({ certificates: certificatesByName, ...options });
  const secured: SecuredSocket[] = [];
  const errors: SocketError[] = [];
  let taken = 0;
  const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (raw) => {
    acceptor.accept(raw).then((one) => {
      secured.push(one);
      onSecured(one.socket);
    }, (error) => errors.push(error));
  });
  return {
    port: listener.address.port,
    acceptor,
    secured,
    errors,
    async next() {
      await eventually(() => secured.length > taken);
      return secured[taken++].socket;
    },
    async close() {
      await listener.close();
      acceptor.close();
      for (const { socket } of secured) socket.reset();
    },
  };
}

/** Says something to a client, and ends. */
export function greet(socket: Socket): void {
  new SocketReader(socket);
  socket.write(bytesOf("greetings\n"));
  socket.end();
}
