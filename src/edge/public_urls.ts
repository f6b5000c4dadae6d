/** The public URLs of the edge and of its tunnels, as they are printed and told to agents. */

const defaultPorts = { http: 80, https: 443 };

export class PublicUrls {
  readonly scheme: "http" | "https";
  readonly #domain: string;
  readonly #port: string | null;
  /** The bound port, once it is known; it counts where no public URL is given. */
  listenPort = 0;

  /**
   * @param publicUrl gives scheme and port, whatever the edge listens on. Default: `ownScheme` and the bound port.
   * @param ownScheme what the edge itself speaks
   */
  constructor(domain: string, publicUrl?: URL, ownScheme: "http" | "https" = "http") {
    this.#domain = domain;
    this.scheme = publicUrl === undefined ? ownScheme : publicUrl.protocol === "https:" ? "https" : "http";
    this.#port = publicUrl?.port ?? null;
  }

  /** The URL of a tunnel, or of the domain itself; without a trailing slash. */
  of(name?: string): string {
    return this.at(name === undefined ? this.#domain : `${name}.${this.#domain}`);
  }

  /** The URL of a host, which may be a wildcard; without a trailing slash. */
  at(host: string): string {
    const isDefault = this.listenPort === 0 || this.listenPort === defaultPorts[this.scheme];
    const port = this.#port ?? (isDefault ? "" : String(this.listenPort));
    return `${this.scheme}://${host}${port === "" ? "" : `:${port}`}`;
  }
}
