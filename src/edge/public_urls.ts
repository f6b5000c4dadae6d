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

/** What is known of a URL beside the name. */
export interface UrlOptions {
  readonly isDrawn?: boolean;
  readonly origin?: PublicOrigin | null;
}

const defaultPorts = { http: 80, https: 443 };

export class PublicUrls {
  readonly scheme: "http" | "https";
  readonly #domain: string;
  readonly #port: string | null;
  readonly #isPlainHost: (host: string, isDrawn: boolean) => boolean;
  /** That of the first plain listener, where hosts are served that have no certificate; null without one. */
  plainPort: number | null = null;
  /** The bound port, once it is known; it counts where no public URL is given. */
  listenPort = 0;

  /**
   * @param publicUrl gives scheme and port, whatever the edge listens on. Default: `ownScheme` and the bound port.
   * @param ownScheme what the edge itself speaks
   * @param isPlainHost see `EdgeOptions`
   */
  constructor(
    domain: string,
    publicUrl?: URL,
    ownScheme: "http" | "https" = "http",
    isPlainHost: (host: string, isDrawn: boolean) => boolean = () => false,
  ) {
    this.#domain = domain;
    this.#isPlainHost = isPlainHost;
    this.scheme = publicUrl === undefined ? ownScheme : publicUrl.protocol === "https:" ? "https" : "http";
    this.#port = publicUrl?.port ?? null;
  }

  /**
   * The URL of a tunnel, or of the domain itself; without a trailing slash.
   *
   * @param options `isDrawn`: the name was drawn at random; default: it was not, or that is unknown. `origin`: how the one
   *   who is told came here by a proxy, which counts where no public URL is given; default null: by none.
   */
  of(name?: string, { isDrawn = false, origin = null }: UrlOptions = {}): string {
    if (name === undefined) return this.at(this.#domain, origin);
    const host = `${name}.${this.#domain}`;
    const isPlain = origin === null && this.scheme === "https" && this.#port === null && this.plainPort !== null &&
      this.#isPlainHost(host, isDrawn);
    if (!isPlain) return this.at(host, origin);
    return `http://${host}${this.plainPort === defaultPorts.http ? "" : `:${this.plainPort}`}`;
  }

  /** The URL of a host, which may be a wildcard; without a trailing slash. */
  at(host: string, origin: PublicOrigin | null = null): string {
    if (origin !== null && this.#port === null) {
      return `${origin.scheme}://${host}${origin.port === "" ? "" : `:${origin.port}`}`;
    }
    const isDefault = this.listenPort === 0 || this.listenPort === defaultPorts[this.scheme];
    const port = this.#port ?? (isDefault ? "" : String(this.listenPort));
    return `${this.scheme}://${host}${port === "" ? "" : `:${port}`}`;
  }
}
