/** What stands before an edge on a real server: TLS outside, the same bytes without it inside. */
import { dial } from "../../src/net/mod.ts";
import { pipe } from "./pipe.ts";
import { startTlsServer, type TlsServer, type TlsServerOptions } from "./tls.ts";

/** @param port where the plain server listens on 127.0.0.1 */
export function startTlsTerminator(port: number, options: TlsServerOptions = {}): Promise<TlsServer> {
  return startTlsServer(async (outside) => {
    pipe(outside, await dial({ kind: "tcp", host: "127.0.0.1", port }));
  }, options);
}
