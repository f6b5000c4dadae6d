/** Challenges of `dns-01` (RFC 8555 §8.4) by a program of the operator's, which knows how to change the zone. */
import { type ChildProcess, spawn } from "node:child_process";
import { type Clock, messageOf, printable, systemClock } from "../base/mod.ts";
import { AcmeError, type Proof, type Prover } from "./issuer.ts";

/** Of what a hook writes to standard error. The end of it is kept. */
const MAX_STDERR_CHARACTERS = 1_000;

export interface DnsHookOptions {
  /** The path of the program, or its name on PATH. It gets no shell, and no arguments but those of the call. */
  readonly command: string;
  /** Milliseconds that a call may take. */
  readonly timeoutMs: number;
  readonly clock?: Clock;
}

/**
 * Runs `COMMAND present NAME VALUE`, where NAME is `_acme-challenge.example.com`, and later `COMMAND cleanup NAME VALUE`.
 * A call has succeeded where it exits 0.
 */
export class DnsHook implements Prover {
  readonly #command: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;

  constructor({ command, timeoutMs, clock = systemClock }: DnsHookOptions) {
    this.#command = command;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  present(proof: Proof): Promise<void> {
    return this.#run("present", proof);
  }

  cleanUp(proof: Proof): Promise<void> {
    return this.#run("cleanup", proof);
  }

  #run(action: "present" | "cleanup", { host, text }: Proof): Promise<void> {
    const record = `_acme-challenge.${host}`;
    const fault = (what: string, cause?: unknown) =>
      new AcmeError(`The hook ${this.#command} ${action} ${record} ${what}`, cause);
    return new Promise((resolve, reject) => {
      let child: ChildProcess;
      try {
        child = spawn(this.#command, [action, record, text], { stdio: ["ignore", "ignore", "pipe"] });
      } catch (error) {
        return reject(fault(`cannot be started: ${messageOf(error)}`, error));
      }
      let stderr = "";
      child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
        stderr = (stderr + piece).slice(-MAX_STDERR_CHARACTERS);
      });
      const timer = this.#clock.after(this.#timeoutMs, () => {
        child.kill("SIGKILL");
        // A program that it has started may hold the pipe.
        child.stderr?.destroy();
        reject(fault(`took longer than --acme-dns-timeout, ${this.#timeoutMs} ms`));
      });
      child.on("error", (error) => {
        timer.cancel();
        reject(fault(`cannot be started: ${messageOf(error)}`, error));
      });
      child.on("close", (code, signal) => {
        timer.cancel();
        const how = code === null ? `was ended by ${signal}` : `exited ${code}`;
        if (code === 0) resolve();
        else reject(fault(withWords(how, stderr)));
      });
    });
  }
}

/** With the last line that the hook wrote, which mostly says why. */
function withWords(how: string, stderr: string): string {
  const line = stderr.trimEnd().split("\n").at(-1)!.trim();
  return line === "" ? how : `${how}: ${printable(line)}`;
}
