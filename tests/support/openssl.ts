/** OpenSSL's own client, and certificates that it makes, so that our TLS is not only tested against itself. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { eventually } from "./net.ts";

/** Runs `openssl` to its end. Rejects with what it printed where it fails. */
export function openssl(...args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile("openssl", [...args], (error, stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(`openssl ${args.join(" ")}: ${error.message}\n${stdout}${stderr}`));
    });
  });
}

/** A certificate and its key, as files and as text. */
export interface MadeCertificate {
  readonly file: string;
  readonly keyFile: string;
  readonly pem: string;
  readonly key: string;
}

export interface MadeCertificateOptions {
  /** Lines of the section with the extensions. Default: those of a client. */
  extensions?: string;
  /** Default: itself. */
  signer?: MadeCertificate;
  subject?: string;
}

export const authorityExtensions = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign";
const clientExtensions = "basicConstraints = critical, CA:FALSE\nextendedKeyUsage = clientAuth";

/** Makes a certificate for a day. */
export async function makeCertificate(
  folder: string,
  name: string,
  options: MadeCertificateOptions = {},
): Promise<MadeCertificate> {
  const { extensions = clientExtensions, signer, subject = `/CN=${name}` } = options;
  const file = join(folder, `${name}.pem`);
  const keyFile = join(folder, `${name}.key`);
  const config = join(folder, `${name}.conf`);
  await writeFile(
    config,
    `[req]\ndistinguished_name = subject\nx509_extensions = extensions\n[subject]\n[extensions]\n${extensions}\n`,
  );
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", keyFile];
  const signing = signer === undefined ? [] : ["-CA", signer.file, "-CAkey", signer.keyFile];
  await openssl("req", "-x509", "-config", config, ...key, ...signing, "-subj", subject, "-days", "1", "-out", file);
  return { file, keyFile, pem: await readFile(file, "utf8"), key: await readFile(keyFile, "utf8") };
}

/** `openssl s_client`, connected to a port of 127.0.0.1. Whoever starts one ends it with `kill()`. */
export class OpensslClient {
  /** Everything that it printed so far, what the server sent among it. */
  output = "";
  readonly child: ChildProcess;
  /** Resolves with its exit code; null after a signal. */
  readonly exited: Promise<number | null>;

  constructor(port: number, ...args: readonly string[]) {
    this.child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...args], { stdio: "pipe" });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding("latin1").on("data", (text: string) => this.output += text);
    }
    this.child.stdin!.on("error", () => {});
    this.exited = new Promise((resolve) => this.child.once("close", resolve));
  }

  send(text: string | Uint8Array): void {
    this.child.stdin!.write(text);
  }

  /** No more is sent, so that it ends, but for `-ign_eof` and `-quiet`. */
  end(): void {
    this.child.stdin!.end();
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    await eventually(() => pattern.test(this.output) || this.child.exitCode !== null, { message: String(pattern) });
    const found = pattern.exec(this.output);
    if (found === null) throw new Error(`openssl ended without ${pattern}:\n${this.output}`);
    return found;
  }

  signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void {
    if (this.child.exitCode === null && this.child.signalCode === null) process.kill(this.child.pid!, name);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }
}

/** One connection of `openssl s_client`: what it printed, when it has ended after the handshake. */
export async function opensslHandshake(port: number, ...args: readonly string[]): Promise<string> {
  const client = new OpensslClient(port, ...args);
  client.end();
  await client.exited;
  return client.output;
}
