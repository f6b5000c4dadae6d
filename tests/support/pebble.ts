/** A CA that speaks ACME, for tests: Debian's pebble, with a DNS server whose records the test sets. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { eventually, freePort } from "./net.ts";
import { isListening } from "./foreign_proxy.ts";
import { pem } from "./tls.ts";

export interface Pebble {
  /** For `--acme-directory`. */
  readonly directory: string;
  /** The file of the authority that signed the directory's own certificate: for `--acme-ca`. */
  readonly caFile: string;
  /** A hook that sets records of the DNS server: for `--acme-dns-hook`. */
  readonly dnsHook: string;
  /** PEM: the root of the certificates that it issues, and what lies between. */
  authorities(): Promise<{ root: string; intermediate: string }>;
  /** Ends the CA alone, as one that is down. */
  stop(): Promise<void>;
  /** Ends everything, and removes the folder. */
  close(): Promise<void>;
}

export interface PebbleOptions {
  /** Where every name leads to: the port of the edge that is asked for challenges. */
  readonly httpPort: number;
}

const fixture = (name: string) => fileURLToPath(new URL(`certificates/${name}`, import.meta.url));

/** It refuses one nonce of ten, as a CA may at any time (RFC 8555 §6.5). */
const environment = { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "10" };

/** Starts a CA and its DNS server, in which every name is 127.0.0.1. */
export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  for (let attempt = 1;; attempt++) {
    try {
      return await startOnFreePorts(options);
    } catch (error) {
      // Another program was faster with a port.
      if (attempt === 5 || !String(error).includes("address already in use")) throw error;
    }
  }
}

async function startOnFreePorts({ httpPort }: PebbleOptions): Promise<Pebble> {
  const folder = await mkdtemp(join(tmpdir(), "runnel-pebble-"));
  const [port, management, dns, dnsManagement] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: fixture("server.pem"),
      privateKey: fixture("server.key"),
      httpPort,
      tlsPort: httpPort,
      ocspResponderURL: "",
      externalAccountBindingRequired: false,
    },
  };
  await writeFile(join(folder, "pebble.json"), JSON.stringify(config));
  const dnsHook = await writeHook(folder, dnsManagement);
  const servers = [
    new Server("pebble-challtestsrv", [
      ...["-dns01", `127.0.0.1:${dns}`, "-management", `127.0.0.1:${dnsManagement}`],
      ...["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""],
    ]),
    new Server("pebble", ["-config", join(folder, "pebble.json"), "-dnsserver", `127.0.0.1:${dns}`]),
  ];
  const ask = (path: string) => askManagement(management, path);
  const close = async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await rm(folder, { recursive: true });
  };
  const answers = (port: number) => eventually(() => isListening(port));
  try {
    const ready = Promise.all([answers(port), answers(management), answers(dnsManagement)]);
    await Promise.race([ready, ...servers.map((server) => server.failed)]);
    ready.catch(() => {});
  } catch (error) {
    await close();
    throw error;
  }
  return {
    directory: `https://127.0.0.1:${port}/dir`,
    caFile: fixture("authority.pem"),
    dnsHook,
    authorities: async () => ({ root: await ask("/roots/0"), intermediate: await ask("/intermediates/0") }),
    stop: () => servers[1]!.stop(),
    close,
  };
}

class Server {
  /** Rejects once it has ended, with what it printed. */
  readonly failed: Promise<never>;
  readonly #child: ChildProcess;
  #log = "";

  constructor(name: string, args: readonly string[]) {
    this.#child = spawn(name, args, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    for (const output of [this.#child.stdout!, this.#child.stderr!]) {
      output.setEncoding("utf8").on("data", (text: string) => this.#log = (this.#log + text).slice(-4_000));
    }
    this.failed = once(this.#child, "close").then(() => Promise.reject(new Error(`${name} ended:\n${this.#log}`)));
    this.failed.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.failed.catch(() => {});
  }
}

async function writeHook(folder: string, management: number): Promise<string> {
  const path = join(folder, "dns-hook");
  const script = [
    "#!/bin/sh",
    "set -eu",
    `url=http://127.0.0.1:${management}`,
    "case $1 in",
    `present) curl -fsS -o /dev/null -d "{\\"host\\":\\"$2.\\",\\"value\\":\\"$3\\"}" "$url/set-txt" ;;`,
    `cleanup) curl -fsS -o /dev/null -d "{\\"host\\":\\"$2.\\"}" "$url/clear-txt" ;;`,
    "esac",
    "",
  ];
  await writeFile(path, script.join("\n"));
  await chmod(path, 0o755);
  return path;
}

function askManagement(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, ca: pem("authority"), agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => text += piece).on("end", () => resolve(text));
      response.on("error", reject);
    });
    asked.on("error", reject).end();
  });
}
