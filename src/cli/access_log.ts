/** `--access-log`: a line for each request of the public, in a file or on standard output. */
import { afterTickEnd, escapeText, messageOf } from "../base/mod.ts";
import { UsageError } from "../config/mod.ts";
import type { AccessRecord } from "../edge/mod.ts";
import { type LineSink, LineWriter, LogFile, logger } from "../observe/mod.ts";
import type { ProgramHost } from "./host.ts";

export interface AccessLogOptions {
  /** A path, or `-` for standard output. */
  readonly accessLog: string;
  readonly logFormat: "text" | "json";
  readonly json: boolean;
}

/** For what waits when the program ends. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Of a user agent, which alone could fill a head. */
const MAX_USER_AGENT_CHARACTERS = 512;

export class AccessLog {
  readonly #writer: LineWriter;
  readonly #lineOf: (record: AccessRecord, time: Date) => string;
  readonly #unsubscribe: () => void;

  private constructor(sink: LineSink, isJson: boolean, host: Pick<ProgramHost, "onSignal">) {
    const log = logger("edge");
    this.#writer = new LineWriter(sink, { onProblem: (problem) => log.error("Access log: {problem}", { problem }) });
    this.#lineOf = isJson ? jsonLine : textLine;
    // A file is begun anew at SIGHUP, as logrotate expects it. Elsewhere the signal ends the program as before.
    this.#unsubscribe = sink instanceof LogFile ? host.onSignal("SIGHUP", () => this.#writer.reopen()) : () => {};
  }

  /** Rejects with `UsageError` where the file cannot be opened. */
  static async open({ accessLog, logFormat, json }: AccessLogOptions, host: ProgramHost): Promise<AccessLog> {
    if (accessLog !== "-") return new AccessLog(await openFile(accessLog), logFormat === "json", host);
    // Standard output has the events with --json: these lines must be objects, too.
    return new AccessLog(outputSink(host), json || logFormat === "json", host);
  }

  readonly add = (record: AccessRecord): void => this.#writer.add(this.#lineOf(record, new Date()));

  /** Writes what waits, as long as that takes no more than 2 s. May be called again. */
  async close(): Promise<void> {
    this.#unsubscribe();
    // The last requests are told at the end of the tick in which they were broken off.
    await new Promise<void>((resolve) => afterTickEnd({ onTickEnd: resolve }));
    await this.#writer.close(CLOSE_TIMEOUT_MS);
  }
}

async function openFile(path: string): Promise<LogFile> {
  try {
    return await LogFile.open(path);
  } catch (error) {
    throw new UsageError(
      `--access-log ${path} cannot be opened: ${messageOf(error)}`,
      "Name a file in a folder that can be written, or - for standard output",
    );
  }
}

/** Where its reader is slow, it takes the next lines when the last ones have left. */
function outputSink(host: Pick<ProgramHost, "stdout" | "flush">): LineSink {
  return {
    name: "standard output",
    async write(text) {
      if (!host.stdout(text)) await host.flush();
      return text.length;
    },
    reopen() {},
    close: () => Promise.resolve(),
  };
}

/**
 * The Combined Log Format, and behind it what else is known as `key=value`. The Referer is left out: it may hold a query.
 *
 *     203.0.113.7 - - [02/Jan/2026:14:03:09 +0000] "GET /a HTTP/1.1" 200 512 "-" "curl/8.5.0" host=shop.example.com
 *     in=0 ms=12 tunnel=shop session=s1 id=t3k9-1
 */
export function textLine(record: AccessRecord, time: Date): string {
  const { client, method, path, httpVersion, status, bytesOut, userAgent, host, bytesIn, durationMs } = record;
  const request = method === "" ? "-" : `${word(method)} ${word(path)} HTTP/${httpVersion}`;
  const combined = `${word(client)} - - [${combinedTime(time)}] "${request}" ${status} ${bytesOut} "-" ` +
    `"${userAgent === null ? "-" : escaped(cut(userAgent))}"`;
  const pairs = [`host=${word(host)}`, `in=${bytesIn}`, `ms=${durationMs}`];
  for (const key of ["tunnel", "session", "id", "code"] as const) {
    const value = record[key];
    if (value !== null && value !== "") pairs.push(`${key}=${word(value)}`);
  }
  return `${combined} ${pairs.join(" ")}\n`;
}

/** One event in the form of the programs' others. What is not known is left out, as is `code` where all went well. */
export function jsonLine(record: AccessRecord, time: Date): string {
  const { userAgent, tunnel, session, code, ...known } = record;
  const event = {
    event: "request",
    time: time.toISOString(),
    ...known,
    tunnel: tunnel ?? undefined,
    session: session ?? undefined,
    userAgent: userAgent === null ? undefined : cut(userAgent),
    code: code ?? undefined,
  };
  return `${escapeText(JSON.stringify(event))}\n`;
}

function cut(text: string): string {
  return text.length > MAX_USER_AGENT_CHARACTERS ? `${text.slice(0, MAX_USER_AGENT_CHARACTERS)}...` : text;
}

/** As nginx escapes: quotes, backslashes and what is not visible ASCII or a blank as `\xNN`, one for each byte. */
function escaped(text: string): string {
  return text.replace(/["\\]|[^\x20-\x7e]/g, hex);
}

/** The same without blanks, so that a line can be split at them; `-` for an empty text. */
function word(text: string): string {
  return text === "" ? "-" : text.replace(/["\\]|[^\x21-\x7e]/g, hex);
}

function hex(char: string): string {
  return `\\x${(char.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, "0")}`;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const twoDigits = (value: number) => String(value).padStart(2, "0");

/** `02/Jan/2026:14:03:09 +0000`, in UTC. */
function combinedTime(time: Date): string {
  const date = `${twoDigits(time.getUTCDate())}/${months[time.getUTCMonth()]}/${time.getUTCFullYear()}`;
  return `${date}:${time.toISOString().slice(11, 19)} +0000`;
}
