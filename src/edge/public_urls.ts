/** The public URLs of the edge and of its tunnels, as they are printed and told to agents. */

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
   * @param isDrawn true where the name was drawn at random. Default: it was not, or that is known.
   */
  of(name?: string, isDrawn = false): string {
    if (name === undefined) return this.at(this.#domain);
    const host = `${name}.${this.#domain}`;
    const isPlain = this.scheme === "https" && this.#port === null && this.plainPort !== null &&
      this.#isPlainHost(host, isDrawn);
    if (!isPlain) return this.at(host);
    return `http://${host}${this.plainPort === defaultPorts.http ? "" : `:${this.plainPort}`}`;
  }

  /** The URL of a host, which may be a wildcard; without a trailing slash. */
  at(host: string): string {
    const isDefault = this.listenPort === 0 || this.listenPort === defaultPorts[this.scheme];
    const port = this.#port ?? (isDefault ? "" : String(this.listenPort));
    return `${this.scheme}://${host}${port === "" ? "" : `:${port}`}`;
  }
}
