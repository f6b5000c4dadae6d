/** The public URLs of the edge and of its tunnels, as they are printed and told to agents. */
import type { RequestHead } from "../http/mod.ts";

/** Scheme and port by which a trusted proxy was asked for the edge. */
export interface PublicOrigin {
  readonly scheme: "http" | "https";
  /** Empty for the scheme's own. */
  readonly port: string;
}

/** By what the proxy was asked that sent this request; null where no trusted proxy did. */
export function publicOriginOf(
  { isProxied, scheme, authority }: Pick<RequestHead, "isProxied" | "scheme" | "authority">,
): PublicOrigin | null {
  if (isProxied !== true) return null;
  const port = /:([0-9]{1,5})$/.exec(authority)?.[1] ?? "";
  return { scheme, port: Number(port) === (scheme === "https" ? 443 : 80) ? "" : port };
}

export class PublicUrls {
  readonly scheme: "http" | "https";
  readonly #domain: string;
  readonly #port: string | null;
  /** The bound port, once it is known; it counts where no public URL is given. */
  listenPort = 0;

  /** @param publicUrl gives scheme and port, whatever the edge listens on. Default `http` and the bound port. */
  constructor(domain: string, publicUrl?: URL) {
    this.#domain = domain;
    this.scheme = publicUrl?.protocol === "https:" ? "https" : "http";
    this.#port = publicUrl?.port ?? null;
  }

  /**
   * The URL of a tunnel, or of the domain itself; without a trailing slash.
   *
   * @param origin how the one who is told came here by a proxy, which counts where no public URL is given
   */
  of(name?: string, origin: PublicOrigin | null = null): string {
    return this.at(name === undefined ? this.#domain : `${name}.${this.#domain}`, origin);
  }

  /** The URL of a host, which may be a wildcard; without a trailing slash. */
  at(host: string, origin: PublicOrigin | null = null): string {
    if (origin !== null && this.#port === null) {
      return `${origin.scheme}://${host}${origin.port === "" ? "" : `:${origin.port}`}`;
    }
    const port = this.#port ?? (this.listenPort === 80 || this.listenPort === 0 ? "" : String(this.listenPort));
    return `${this.scheme}://${host}${port === "" ? "" : `:${port}`}`;
  }
}
