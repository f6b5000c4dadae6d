/**
 * The live view of an agent as a pure function of its state and the size of the window.
 *
 *     https://shop.example.com -> http://localhost:3000
 *     Online through https://example.com (json), Ctrl-C ends it
 *     3 requests, 1.2 MiB sent, 1 failed
 *     14:03:15 upstream_refused: Cannot connect to localhost:3000: connection refused; start the service, or check …
 *
 *     14:03:09  GET   /              200    4.1 KiB   12 ms
 *     14:03:11  GET   /events        200  812.0 KiB  3m20s
 *     14:03:15  POST  /upload        502      214 B    3 ms  upstream_refused
 */
import { formatBytes, formatDuration, formatTimeOfDay } from "./figures.ts";

export type LiveStatus =
  /** `reason`: why the last attempt failed; empty before the first has. */
  | { readonly kind: "connecting"; readonly reason: string }
  | { readonly kind: "online" }
  | { readonly kind: "reconnecting"; readonly attempt: number; readonly reason: string }
  | { readonly kind: "stopping" }
  | { readonly kind: "ended" };

/** One request that has ended. Each character of `path` takes one column. */
export interface LiveRequest {
  readonly endedAt: Date;
  readonly method: string;
  readonly path: string;
  /** 0 where the visitor left before the answer. */
  readonly status: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Of the problem that ended it; empty where there was none. */
  readonly code: string;
}

/** Why a request failed. */
export interface LiveFailure {
  readonly endedAt: Date;
  readonly code: string;
  /** The cause, printable; empty where it is not known. */
  readonly reason: string;
}

export interface LiveState {
  /** The public URL; null until the first connection. */
  readonly url: string | null;
  readonly upstream: string;
  readonly edge: string;
  readonly protocol: string;
  readonly status: LiveStatus;
  readonly requests: number;
  readonly failed: number;
  readonly bytesOut: number;
  /** What the edge does not do although it was asked to, a sentence each, printable. Default none. */
  readonly warnings?: readonly string[];
  /** The last one; undefined while none failed. */
  readonly failure?: LiveFailure;
  /** The last requests, oldest first. */
  readonly recent: readonly LiveRequest[];
}

export type Style = "plain" | "strong" | "faint" | "good" | "bad" | "waiting";

export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** The spans of one line, from left to right. */
export type Line = readonly Span[];

/**
 * At most `rows` lines of at most `columns` characters. A public URL that is longer is broken over several lines, so
 * that it can be read and copied whole.
 */
export function renderLive(state: LiveState, columns: number, rows: number): Line[] {
  const head = [...addressLines(state, columns), ...sentences(state, columns)].slice(0, Math.max(rows, 1));
  const rowsLeft = rows - head.length - 1;
  if (rowsLeft < 1 || state.recent.length === 0) return head;
  return [...head, [], ...requestLines(state.recent.slice(-rowsLeft), columns)];
}

function addressLines({ url, upstream, edge }: LiveState, columns: number): Line[] {
  if (url === null) return [cut([strong(`Connecting to ${edge}`)], columns)];
  const lines = Array.from(
    { length: Math.ceil(url.length / columns) },
    (_, index): Line => [strong(url.slice(index * columns, (index + 1) * columns))],
  );
  if (lines.length > 1) return lines;
  return [cut([strong(url), faint(` -> ${upstream}`)], columns)];
}

function sentences(state: LiveState, columns: number): Line[] {
  const { requests, failed, bytesOut, url, failure, warnings = [] } = state;
  const lines = url === null && state.status.kind === "connecting"
    ? broken(state.status.reason, faint, columns, Infinity)
    : [cut(statusLine(state), columns)];
  for (const warning of warnings) lines.push(...broken(warning, waiting, columns));
  if (requests === 0) return lines;
  const total = `${requests} ${requests === 1 ? "request" : "requests"}, ${formatBytes(bytesOut)} sent`;
  lines.push(cut([faint(failed === 0 ? total : `${total}, ${failed} failed`)], columns));
  if (failure === undefined || failure.reason === "") return lines;
  const { endedAt, code, reason } = failure;
  return [...lines, ...broken(`${formatTimeOfDay(endedAt)} ${code}: ${reason}`, bad, columns)];
}

/** The most lines for one text beside others. */
const MAX_TEXT_LINES = 3;

/**
 * A text of several lines, broken between words where there are blanks at all.
 *
 * @param maxLines an ellipsis stands for what is left of the text. Default 3.
 */
function broken(
  text: string,
  style: (text: string) => Span,
  columns: number,
  maxLines: number = MAX_TEXT_LINES,
): Line[] {
  const lines: Line[] = [];
  let rest = text;
  while (rest.length > columns && lines.length < maxLines - 1) {
    const blank = rest.lastIndexOf(" ", columns);
    const end = blank > 0 ? blank : columns;
    lines.push([style(rest.slice(0, end))]);
    rest = rest.slice(end).trimStart();
  }
  return rest === "" ? lines : [...lines, cut([style(rest)], columns)];
}

function statusLine({ status, edge, protocol }: LiveState): Line {
  switch (status.kind) {
    case "connecting":
      return [waiting("Connecting")];
    case "online":
      return [good("Online"), faint(` through ${edge} (${protocol}), Ctrl-C ends it`)];
    case "reconnecting":
      return [waiting("Reconnecting"), faint(`, attempt ${status.attempt}: ${status.reason}`)];
    case "stopping":
      return [waiting("Finishing what runs"), faint(", Ctrl-C again ends it")];
    case "ended":
      return [plain("Ended")];
  }
}

/** The widths of the cells, in columns. The path takes what is left. */
const widths = { time: 8, method: 7, status: 3, bytes: 10, duration: 8 };
const GAP_COLUMNS = 2;
const MIN_PATH_COLUMNS = 8;

/** The cells that are left out where the window is narrow, in this order. */
const dispensable = ["code", "time", "bytes", "duration"] as const;

function requestLines(requests: readonly LiveRequest[], columns: number): Line[] {
  const methodWidth = Math.min(widths.method, Math.max(...requests.map(({ method }) => method.length)));
  const codeWidth = Math.max(...requests.map(({ code }) => code.length));
  const shown = new Map<string, number>([
    ["time", widths.time],
    ["method", methodWidth],
    ["status", widths.status],
    ["bytes", widths.bytes],
    ["duration", widths.duration],
    ...(codeWidth === 0 ? [] : [["code", codeWidth] as const]),
  ]);
  const columnsForPath = () => [...shown.values()].reduce((left, width) => left - width - GAP_COLUMNS, columns);
  for (const name of dispensable) {
    if (columnsForPath() >= MIN_PATH_COLUMNS) break;
    shown.delete(name);
  }
  const longest = Math.max(...requests.map(({ path }) => path.length));
  shown.set("path", Math.max(1, Math.min(columnsForPath(), longest)));
  return requests.map((request) => cut(requestLine(request, shown), columns));
}

function requestLine(request: LiveRequest, shown: ReadonlyMap<string, number>): Line {
  const { status, code } = request;
  const outcome = status >= 500 || status === 0 ? bad : status >= 400 ? waiting : good;
  const cells: readonly (readonly [string, Span, "left" | "right"])[] = [
    ["time", faint(formatTimeOfDay(request.endedAt)), "left"],
    ["method", plain(request.method), "left"],
    ["path", plain(request.path), "left"],
    ["status", outcome(status === 0 ? "-" : String(status)), "right"],
    ["bytes", plain(formatBytes(request.bytesOut)), "right"],
    ["duration", plain(formatDuration(request.durationMs)), "right"],
    ["code", bad(code), "left"],
  ];
  const line: Span[] = [];
  for (const [name, { text, style }, side] of cells) {
    const width = shown.get(name);
    if (width === undefined) continue;
    if (line.length > 0) line.push(plain(" ".repeat(GAP_COLUMNS)));
    const fitting = shorten(text, width);
    const filled = side === "left" ? fitting.padEnd(width) : fitting.padStart(width);
    // Nothing follows the code, so it is not padded: blanks would be broken into another row in a narrower window.
    line.push({ text: name === "code" ? fitting : filled, style });
  }
  return line;
}

/** The first `columns` characters of the line. An ellipsis stands for the rest of a span. */
function cut(line: Line, columns: number): Line {
  let columnsLeft = columns;
  const spans: Span[] = [];
  for (const { text, style } of line) {
    if (columnsLeft === 0) break;
    spans.push({ text: shorten(text, columnsLeft), style });
    columnsLeft -= Math.min(text.length, columnsLeft);
  }
  return spans;
}

function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

const styled = (style: Style) => (text: string): Span => ({ text, style });
const plain = styled("plain");
const strong = styled("strong");
const faint = styled("faint");
const good = styled("good");
const bad = styled("bad");
const waiting = styled("waiting");
