// @ts-check
/** nginx as the origin that everything is measured in front of, and as the proxies to compare with. */
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { root } from "../lib/toolchain.mjs";
import { freePort, untilAnswering, untilListening } from "./ports.mjs";
import { Child } from "./child.mjs";

export const smallBytes = 1024;
export const bulkBytes = 256 * 1024 * 1024;
export const mediumBytes = 256 * 1024;
export const largeBytes = 4 * 1024 * 1024;

/**
 * A body passes as it comes, in pieces as large as Runnel's; those of 4 KiB, nginx's own choice, take three times as
 * long.
 */
export const streamed = "proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 2 64k; proxy_busy_buffers_size 64k;";

/** Where nginx is, or null. Debian keeps it in /usr/sbin, which is not on everyone's PATH. */
export function findNginx() {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const files = folders.map((folder) => join(folder, "nginx"));
  return files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  }) ?? null;
}

/** One folder for configurations and the bulk file, and every nginx that was started from it. */
export class NginxFarm {
  #program;
  #folder = mkdtempSync(join(tmpdir(), "runnel-bench-"));
  #removeFolder = () => rmSync(this.#folder, { recursive: true, force: true });
  /** @type {Child[]} */
  #children = [];

  /** @param {string} program */
  constructor(program) {
    this.#program = program;
    process.on("exit", this.#removeFolder);
  }

  /**
   * `/small` answers 1 KiB from memory, `/medium`, `/large` and `/bulk` files of 256 KiB, 4 MiB and 256 MiB by sendfile.
   * Resolves to child and port.
   */
  startOrigin() {
    const files = join(this.#folder, "root");
    mkdirSync(files);
    for (
      const [name, bytes] of /** @type {const} */ ([
        ["medium", mediumBytes],
        ["large", largeBytes],
        ["bulk", bulkBytes],
      ])
    ) {
      const file = join(files, name);
      writeFileSync(file, "");
      // A file of holes: it comes out of the page cache and takes no space on the disk.
      truncateSync(file, bytes);
    }
    return this.#start("origin", (port) => `
      sendfile on;
      server {
        listen 127.0.0.1:${port} backlog=1024;
        root ${files};
        default_type application/octet-stream;
        location = /small { return 200 "${"x".repeat(smallBytes)}"; }
      }`);
  }

  /**
   * A proxy in front of 127.0.0.1:`originPort`, by default one that streams.
   * @param {string} name @param {number} originPort
   * @param {string} buffers how a body passes; the empty text leaves that to nginx
   * @param {{ host: string, port: number } | null} other a second origin, for requests with that Host
   */
  startProxy(name, originPort, buffers = streamed, other = null) {
    /** @param {number} port */
    const second = (port) =>
      other === null ? "" : `
      server {
        listen 127.0.0.1:${port};
        server_name ${other.host};
        location / { proxy_pass http://127.0.0.1:${other.port}; proxy_http_version 1.1; }
      }`;
    return this.#start(name, (port) => `
      upstream origin {
        server 127.0.0.1:${originPort};
        keepalive 512;
        keepalive_requests 1000000000;
      }
      server {
        listen 127.0.0.1:${port} backlog=1024;
        location / {
          proxy_pass http://origin;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          proxy_set_header Host $host;
          ${buffers}
        }
      }${second(port)}`);
  }

  /**
   * A proxy as docs/server.md says to set one up before the edge, here before 127.0.0.1:`port`; without TLS.
   * @param {string} name @param {number} port
   */
  startDocumented(name, port) {
    const page = readFileSync(join(root, "docs", "server.md"), "utf8");
    const block = page.match(/^```nginx\n([^]*?)^```/m)?.[1];
    if (block === undefined) throw new Error("docs/server.md has no block for nginx");
    const plain = block.replace(/^ *ssl_.*\n/gm, "").replace("http://127.0.0.1:8080", `http://127.0.0.1:${port}`);
    return this.#start(name, (own) => plain.replace("listen 443 ssl", `listen 127.0.0.1:${own}`));
  }

  /**
   * A proxy that ends TLS in front of 127.0.0.1:`port`, as docs/server.md says to set one up, but with connections to the
   * edge that stay, and larger buffers: so it is faster.
   * @param {string} name @param {number} port @param {string} certificate @param {string} key their files
   */
  startTls(name, port, certificate, key) {
    return this.#start(name, (own) => `
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      upstream origin {
        server 127.0.0.1:${port};
        keepalive 512;
        keepalive_requests 1000000000;
      }
      server {
        listen 127.0.0.1:${own} ssl backlog=1024;
        ssl_certificate ${certificate};
        ssl_certificate_key ${key};
        ssl_protocols TLSv1.2 TLSv1.3;
        client_max_body_size 0;
        location / {
          proxy_pass http://origin;
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
          proxy_set_header Host $host;
          proxy_set_header X-Forwarded-For $remote_addr;
          proxy_set_header X-Forwarded-Proto $scheme;
          proxy_set_header X-Request-ID $request_id;
          proxy_read_timeout 1d;
          proxy_send_timeout 1d;
          proxy_request_buffering off;
          ${streamed}
        }
      }`, untilListening);
  }

  /**
   * @param {string} name @param {(port: number) => string} http the http block, but for what all of them share
   * @param {(port: number, host: string) => Promise<void>} started
   */
  async #start(name, http, started = untilAnswering) {
    const port = await freePort();
    const folder = join(this.#folder, name);
    mkdirSync(folder);
    const file = join(folder, "nginx.conf");
    writeFileSync(
      file,
      `
      daemon off;
      master_process off;
      pid ${folder}/pid;
      error_log stderr warn;
      worker_rlimit_nofile 16384;
      events { worker_connections 8192; }
      http {
        access_log off;
        keepalive_requests 1000000000;
        client_body_temp_path ${folder}/body;
        proxy_temp_path ${folder}/proxy;
        fastcgi_temp_path ${folder}/fastcgi;
        uwsgi_temp_path ${folder}/uwsgi;
        scgi_temp_path ${folder}/scgi;
        ${http(port)}
      }`,
    );
    const child = new Child(`nginx (${name})`, this.#program, ["-p", folder, "-c", file, "-e", "stderr"]);
    this.#children.push(child);
    await Promise.race([started(port, "127.0.0.1"), child.lost]);
    return { child, port };
  }

  async stop() {
    await Promise.all(this.#children.map((child) => child.stop()));
    process.off("exit", this.#removeFolder);
    this.#removeFolder();
  }
}
