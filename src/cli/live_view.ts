/**
 * The live view of an agent as a pure function of its state and the size of the window.
 *
 *     https://shop.example.com -> http://localhost:3000
 *     Online through https://example.com (json), Ctrl-C ends it
 *     3 requests, 1.2 MiB sent, 1 failed, 2 open (1 moving)
 *     14:03:15 upstream_refused: Cannot connect to localhost:3000: connection refused; start the service, or check …
 *
 *     14:03:09  GET   /              200    4.1 KiB   12 ms
 *     14:03:11  GET   /events        200  812.0 KiB  3m20s
 *     14:03:15  POST  /upload        502      214 B    3 ms  upstream_refused
 *     open      GET   /chat          101    1.3 KiB  2h05m  idle 40.0 s
 *     open      GET   /events        200   14.2 MiB  3m21s  moving
 */
import { formatBytes, formatDuration, formatTimeOfDay } from "./figures.ts";
import { waitingSentence } from "./shutdown.ts";

export type LiveStatus =
  /** `reason`: why the last attempt failed; empty before the first has. */
  | { readonly kind: "connecting"; readonly reason: string }
  | { readonly kind: "online" }
  | { readonly kind: "reconnecting"; readonly attempt: number; readonly reason: string }
  /** The first signal came: `count` requests may take `drainMs` milliseconds. */
  | { readonly kind: "stopping"; readonly count: number; readonly drainMs: number }
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

/** One request that is under way. Each character of `path` takes one column. */
export interface LiveStream {
  readonly method: string;
  readonly path: string;
  /** 0 before the head of the answer. */
  readonly status: number;
  /** In both directions. */
  readonly bytes: number;
  readonly ageMs: number;
  /** Milliseconds since something moved; null while it moves. */
  readonly idleMs: number | null;
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
  /** Requests that have been under way for a while. Default none. */
  readonly open?: {
    readonly count: number;
    readonly moving: number;
    /** The newest of them, oldest first. */
    readonly streams: readonly LiveStream[];
  };
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
  const streams = state.open?.streams ?? [];
  if (rowsLeft < 1 || streams.length + state.recent.length === 0) return head;
  // What is under way has half of the rows at least, where it needs them.
  const openRows = Math.min(streams.length, Math.max(Math.ceil(rowsLeft / 2), rowsLeft - state.recent.length));
  const ended = openRows === rowsLeft ? [] : state.recent.slice(openRows - rowsLeft);
  return [...head, [], ...rowLines([...ended.map(endedRow), ...streams.slice(-openRows).map(openRow)], columns)];
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
  const { requests, url, failure, warnings = [] } = state;
  const lines = url === null && state.status.kind === "connecting"
    ? broken(state.status.reason, faint, columns, Infinity)
    : [cut(statusLine(state), columns)];
  for (const warning of warnings) lines.push(...broken(warning, waiting, columns));
  const counts = countsOf(state);
  if (counts !== "") lines.push(cut([faint(counts)], columns));
  if (requests === 0) return lines;
  if (failure === undefined || failure.reason === "") return lines;
  const { endedAt, code, reason } = failure;
  return [...lines, ...broken(`${formatTimeOfDay(endedAt)} ${code}: ${reason}`, bad, columns)];
}

/** `3 requests, 1.2 MiB sent, 1 failed, 2 open (1 moving)`; empty where there was none. */
function countsOf({ requests, failed, bytesOut, open }: LiveState): string {
  const parts = requests === 0
    ? []
    : [`${requests} ${requests === 1 ? "request" : "requests"}`, `${formatBytes(bytesOut)} sent`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (open !== undefined && open.count > 0) parts.push(`${open.count} open (${open.moving} moving)`);
  return parts.join(", ");
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
      return [waiting(waitingSentence(status.count, status.drainMs))];
    case "ended":
      return [plain("Ended")];
  }
}

/** The widths of the cells, in columns. The path takes what is left. */
const widths = { time: 8, method: 7, status: 3, bytes: 10, duration: 8 };
const GAP_COLUMNS = 2;
const MIN_PATH_COLUMNS = 8;

/** The cells that are left out where the window is narrow, in this order. */
const dispensable = ["note", "time", "bytes", "duration"] as const;

/** The cells of one request, under way or over. */
interface Row {
  readonly time: Span;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** The code of a problem, or whether a stream moves. */
  readonly note: Span;
}

function endedRow({ endedAt, method, path, status, bytesOut, durationMs, code }: LiveRequest): Row {
  return { time: faint(formatTimeOfDay(endedAt)), method, path, status, bytes: bytesOut, durationMs, note: bad(code) };
}

function openRow({ method, path, status, bytes, ageMs, idleMs }: LiveStream): Row {
  const note = idleMs === null ? good("moving") : faint(`idle ${formatDuration(idleMs)}`);
  return { time: waiting("open"), method, path, status, bytes, durationMs: ageMs, note };
}

function rowLines(rows: readonly Row[], columns: number): Line[] {
  const methodWidth = Math.min(widths.method, Math.max(...rows.map(({ method }) => method.length)));
  const noteWidth = Math.max(...rows.map(({ note }) => note.text.length));
  const shown = new Map<string, number>([
    ["time", widths.time],
    ["method", methodWidth],
    ["status", widths.status],
    ["bytes", widths.bytes],
    ["duration", widths.duration],
    ...(noteWidth === 0 ? [] : [["note", noteWidth] as const]),
  ]);
  const columnsForPath = () => [...shown.values()].reduce((left, width) => left - width - GAP_COLUMNS, columns);
  for (const name of dispensable) {
    if (columnsForPath() >= MIN_PATH_COLUMNS) break;
    shown.delete(name);
  }
  const longest = Math.max(...rows.map(({ path }) => path.length));
  shown.set("path", Math.max(1, Math.min(columnsForPath(), longest)));
  return rows.map((row) => cut(rowLine(row, shown), columns));
}

function rowLine(row: Row, shown: ReadonlyMap<string, number>): Line {
  const { status } = row;
  const outcome = status >= 500 || status === 0 ? bad : status >= 400 ? waiting : good;
  const cells: readonly (readonly [string, Span, "left" | "right"])[] = [
    ["time", row.time, "left"],
    ["method", plain(row.method), "left"],
    ["path", plain(row.path), "left"],
    ["status", outcome(status === 0 ? "-" : String(status)), "right"],
    ["bytes", plain(formatBytes(row.bytes)), "right"],
    ["duration", plain(formatDuration(row.durationMs)), "right"],
    ["note", row.note, "left"],
  ];
  const line: Span[] = [];
  for (const [name, { text, style }, side] of cells) {
    const width = shown.get(name);
    if (width === undefined) continue;
    if (line.length > 0) line.push(plain(" ".repeat(GAP_COLUMNS)));
    const fitting = shorten(text, width);
    const filled = side === "left" ? fitting.padEnd(width) : fitting.padStart(width);
    // Nothing follows the note, so it is not padded: blanks would be broken into another row in a narrower window.
    line.push({ text: name === "note" ? fitting : filled, style });
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
