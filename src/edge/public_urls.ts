/** The URLs that are printed and told to agents. */

export class PublicUrls {
  readonly scheme: "http" | "https";
  readonly #domain: string;
  readonly #port: string | null;
  /** The bound port, once it is known; used where no public URL was given. */
  listenPort = 0;

  /** @param publicUrl its scheme and port are used, whatever the edge listens on */
  constructor(domain: string, publicUrl?: URL) {
    this.#domain = domain;
    this.scheme = publicUrl?.protocol === "https:" ? "https" : "http";
    this.#port = publicUrl?.port ?? null;
  }

  /** The URL of a tunnel, or of the domain itself; without a trailing slash. */
  of(name?: string): string {
    const host = name === undefined ? this.#domain : `${name}.${this.#domain}`;
    const port = this.#port ?? (this.listenPort === 80 || this.listenPort === 0 ? "" : String(this.listenPort));
    return `${this.scheme}://${host}${port === "" ? "" : `:${port}`}`;
  }
}
