/** Who the visitors of an edge are, where proxies stand in front of it. */
import { peerOf, type TrustedProxies } from "../http/mod.ts";
import type { HttpServerOptions } from "../http1/mod.ts";

/** For `HttpServerOptions.visitorOf`; null where no proxy is trusted, so that nothing is asked for a request. */
export function visitorOption(trusted: TrustedProxies | undefined): HttpServerOptions["visitorOf"] {
  if (trusted === undefined) return null;
  return ({ remote }, fields, scheme) => {
    // Whoever sends on such a connection may have written the fields: the proxy names nobody, and passes bytes on.
    if (remote.isProxys === true) {
      return { client: remote.kind === "unix" ? "" : remote.host, scheme, isProxied: false, requestId: undefined };
    }
    return trusted.visitorOf(peerOf(remote), remote.usesTls === true ? "https" : scheme, fields);
  };
}
