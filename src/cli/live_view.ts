/**
 * The live view of an agent as a pure function of its state and the size of the window.
 *
 *     https://shop.example.com -> http://localhost:3000
 *     Online through https://example.com (json), Ctrl-C ends it
 *     2 open (1 moving), 3 requests, 1 failed, 1.2 MiB sent
 *     14:03:15 upstream_refused: Cannot connect to localhost:3000: connection refused; start the service, or check …
 *
 *     14:03:09  GET   /              200    4.1 KiB   12 ms
 *     14:03:11  GET   /events        200  812.0 KiB  3m20s
 *     14:03:15  POST  /upload        502      214 B    3 ms  upstream_refused
 *     open      GET   /chat          101    1.3 KiB  2h05m  idle 40.0 s
 *     open      GET   /events        200   14.2 MiB  3m21s  moving
 */
import { formatBytes, formatDuration, formatTimeOfDay } from "./figures.ts";
import { type EarlyEnd, earlyEndSentences, waitingSentences } from "./shutdown.ts";

export type LiveStatus =
  /** `reason`: why the last attempt failed; empty before the first has. */
  | { readonly kind: "connecting"; readonly reason: string }
  /** `resumed`: how the session came over its last lost link, as a sentence; empty where it lost none. */
  | { readonly kind: "online"; readonly resumed: string }
  /** `inMs`: until the next attempt; 0 while one is under way. */
  | { readonly kind: "reconnecting"; readonly attempt: number; readonly inMs: number; readonly reason: string }
  /** The first signal came: `count` requests may take `drainMs` milliseconds. */
  | { readonly kind: "stopping"; readonly count: number; readonly drainMs: number }
  /** The stop ended `count` requests that were under way. */
  | { readonly kind: "endedEarly"; readonly count: number; readonly by: EarlyEnd; readonly drainMs: number }
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
  /** True where the stop of the agent ended it. Default false. */
  readonly isStopped?: boolean;
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
  /** Further public URLs, those of own hostnames, printable. Default none. */
  readonly furtherUrls?: readonly string[];
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

/** A part of the view above the rows of requests. */
interface Block {
  /** Where the window is low, blocks of a lower rank are shown first. */
  readonly rank: number;
  /** At most `rows` lines, 1 or more. */
  fit(rows: number): Line[];
}

/** What stands below the counts and may be long leaves so much of a low window to the streams, if there are any. */
const STREAM_ROWS = 2;

/**
 * At most `rows` lines of at most `columns` characters. A public URL that is longer is broken over several lines, so
 * that it can be read and copied whole. Where the rows do not suffice, these come first: that the agent is not online
 * and why, such as what Ctrl-C waits for; how many streams are open; the URL.
 */
export function renderLive(state: LiveState, columns: number, rows: number): Line[] {
  const streams = state.open?.streams ?? [];
  const head = headLines(state, columns, Math.max(rows, 1), streams.length > 0 ? STREAM_ROWS : 0);
  const rowsLeft = rows - head.length - 1;
  if (rowsLeft < 1 || streams.length + state.recent.length === 0) return head;
  // What is under way has half of the rows at least, where it needs them.
  const openRows = Math.min(streams.length, Math.max(Math.ceil(rowsLeft / 2), rowsLeft - state.recent.length));
  const ended = openRows === rowsLeft ? [] : state.recent.slice(openRows - rowsLeft);
  return [...head, [], ...rowLines([...ended.map(endedRow), ...streams.slice(-openRows).map(openRow)], columns)];
}

/** @param streamRows how many rows the blocks of the last rank leave free */
function headLines(state: LiveState, columns: number, rows: number, streamRows: number): Line[] {
  const blocks = blocksOf(state, columns);
  const shown = new Map<Block, Line[]>();
  let rowsLeft = rows;
  for (const block of [...blocks].sort((a, b) => a.rank - b.rank)) {
    const most = block.rank === LAST_RANK ? rowsLeft - streamRows : rowsLeft;
    const lines = most < 1 ? [] : block.fit(most);
    shown.set(block, lines);
    rowsLeft -= lines.length;
  }
  return blocks.flatMap((block) => shown.get(block) as Line[]);
}

const LAST_RANK = 4;

/** From top to bottom. */
function blocksOf(state: LiveState, columns: number): Block[] {
  const { status, url, warnings = [], failure, requests } = state;
  const isOnline = status.kind === "online";
  const hasOpen = (state.open?.count ?? 0) > 0;
  const isFirstConnection = url === null && status.kind === "connecting";
  const told: Span[] = warnings.map(waiting);
  if (requests > 0 && failure !== undefined && failure.reason !== "") {
    told.push(bad(`${formatTimeOfDay(failure.endedAt)} ${failure.code}: ${failure.reason}`));
  }
  return [
    { rank: isFirstConnection ? 0 : 2, fit: (rows) => addressLines(state, columns, rows) },
    { rank: LAST_RANK, fit: (rows) => furtherLines(state, columns, Math.min(rows, MAX_TEXT_LINES)) },
    {
      rank: isOnline ? 3 : 0,
      fit: (rows) =>
        isFirstConnection ? broken(faint(status.reason), columns, rows) : statusLines(state, columns, rows),
    },
    ...told.slice(0, warnings.length).map((text) => textBlock(text, columns)),
    { rank: hasOpen ? 1 : 3, fit: () => countLines(state, columns) },
    ...told.slice(warnings.length).map((text) => textBlock(text, columns)),
  ];
}

function textBlock(text: Span, columns: number): Block {
  return { rank: LAST_RANK, fit: (rows) => broken(text, columns, Math.min(rows, MAX_TEXT_LINES)) };
}

function addressLines({ url, upstream, edge }: LiveState, columns: number, rows: number): Line[] {
  if (url === null) return [cut([strong(`Connecting to ${edge}`)], columns)];
  if (url.length <= columns) return [cut([strong(url), faint(` -> ${upstream}`)], columns)];
  return broken(strong(url), columns, rows);
}

/** The URLs of own hostnames; where there are more than `rows`, the last line says how many. */
function furtherLines({ furtherUrls: urls = [] }: LiveState, columns: number, rows: number): Line[] {
  const shown = urls.length > rows ? rows - 1 : urls.length;
  const lines = urls.slice(0, shown).map((url) => cut([strong(url)], columns));
  const left = urls.length - shown;
  return left === 0 ? lines : [...lines, cut([faint(`and ${left} more of its own hostnames`)], columns)];
}

/** `2 open (1 moving), 3 requests, 1 failed, 1.2 MiB sent`: as much of it as fits; none where there was nothing. */
function countLines({ requests, failed, bytesOut, open }: LiveState, columns: number): Line[] {
  const parts: string[] = [];
  if (open !== undefined && open.count > 0) {
    const counted = `${open.count} open`;
    parts.push(firstFitting([`${counted} (${open.moving} moving)`, counted], columns));
  }
  if (requests > 0) parts.push(`${requests} ${requests === 1 ? "request" : "requests"}`);
  if (failed > 0) parts.push(`${failed} failed`);
  if (requests > 0) parts.push(`${formatBytes(bytesOut)} sent`);
  while (parts.length > 1 && parts.join(", ").length > columns) parts.pop();
  return parts.length === 0 ? [] : [cut([faint(parts.join(", "))], columns)];
}

/** The most lines for one text beside others. */
const MAX_TEXT_LINES = 3;

/** A text of at most `maxLines` lines, broken between words where there are blanks. An ellipsis stands for the rest. */
function broken({ text, style }: Span, columns: number, maxLines: number): Line[] {
  const lines: Line[] = [];
  let rest = text;
  while (rest.length > columns && lines.length < maxLines - 1) {
    const blank = rest.lastIndexOf(" ", columns);
    const end = blank > 0 ? blank : columns;
    lines.push([{ text: rest.slice(0, end), style }]);
    rest = rest.slice(end).trimStart();
  }
  return rest === "" ? lines : [...lines, cut([{ text: rest, style }], columns)];
}

/** The first of `texts` that has no more than `columns` characters, or the last one. */
function firstFitting(texts: readonly string[], columns: number): string {
  return texts.find((text) => text.length <= columns) ?? texts.at(-1) as string;
}

function statusLines({ status, edge, protocol }: LiveState, columns: number, rows: number): Line[] {
  switch (status.kind) {
    case "connecting":
      return [cut([waiting("Connecting")], columns)];
    case "online":
      return [cut([good("Online"), faint(` through ${edge} (${protocol}), ${onlineHint(status.resumed)}`)], columns)];
    case "reconnecting":
      return [cut([waiting("Reconnecting"), faint(reconnectingText(status))], columns)];
    case "stopping":
      return sentenceLines(waitingSentences(status.count, status.drainMs), columns, rows);
    case "endedEarly":
      return sentenceLines(earlyEndSentences(status.count, status.by, status.drainMs), columns, rows);
    case "ended":
      return [cut([plain("Ended")], columns)];
  }
}

function onlineHint(resumed: string): string {
  return resumed === "" ? "Ctrl-C ends it" : resumed.charAt(0).toLowerCase() + resumed.slice(1);
}

/** `, attempt 3, next try in 1.2 s: The link closed with 1006`. */
function reconnectingText({ attempt, inMs, reason }: { attempt: number; inMs: number; reason: string }): string {
  const next = inMs > 0 ? `, next try in ${formatDuration(inMs)}` : "";
  return `, attempt ${attempt}${next}: ${reason}`;
}

/** The first sentence that fits on `rows` lines, or what fits of the last one. */
function sentenceLines(sentences: readonly string[], columns: number, rows: number): Line[] {
  const whole = sentences.map((sentence) => broken(waiting(sentence), columns, Infinity));
  const last = waiting(sentences.at(-1) as string);
  return whole.find((lines) => lines.length <= rows) ?? broken(last, columns, rows);
}

/** The widths of the cells, in columns. The path takes what is left. */
const widths = { time: 8, method: 7, status: 3, bytes: 10, duration: 8 };
const GAP_COLUMNS = 2;
const MIN_PATH_COLUMNS = 8;

/** The cells that are left out where the window is narrow, in this order. */
const dispensable = ["note", "time", "bytes", "duration", "mark"] as const;

/** What an open stream has in place of the time at which it ended. Where that is left out, it has a cell of its own. */
const OPEN_MARK = "open";

/** The cells of one request, under way or over. */
interface Row {
  readonly time: Span;
  readonly isOpen: boolean;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** The code of a problem, or whether a stream moves. */
  readonly note: Span;
  /** True where the stop of the agent ended it, whatever its status is. */
  readonly isStopped: boolean;
}

function endedRow(request: LiveRequest): Row {
  const { endedAt, method, path, status, bytesOut, durationMs, code, isStopped = false } = request;
  // Visitors may leave whenever they like.
  const note = isStopped ? waiting("ended by the stop") : code === "canceled" ? faint(code) : bad(code);
  return {
    time: faint(formatTimeOfDay(endedAt)),
    method,
    path,
    status,
    bytes: bytesOut,
    durationMs,
    note,
    isStopped,
    isOpen: false,
  };
}

function openRow({ method, path, status, bytes, ageMs, idleMs }: LiveStream): Row {
  const note = idleMs === null ? good("moving") : faint(`idle ${formatDuration(idleMs)}`);
  return {
    time: waiting(OPEN_MARK),
    method,
    path,
    status,
    bytes,
    durationMs: ageMs,
    note,
    isStopped: false,
    isOpen: true,
  };
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
    if (name === "time" && rows.some(({ isOpen }) => isOpen)) shown.set("mark", OPEN_MARK.length);
  }
  const longest = Math.max(...rows.map(({ path }) => path.length));
  shown.set("path", Math.max(1, Math.min(columnsForPath(), longest)));
  return rows.map((row) => cut(rowLine(row, shown), columns));
}

function rowLine(row: Row, shown: ReadonlyMap<string, number>): Line {
  const { status, isStopped, isOpen } = row;
  const outcome = isStopped || (isOpen && status === 0)
    ? waiting
    : status >= 500 || status === 0
    ? bad
    : status >= 400
    ? waiting
    : good;
  const cells: readonly (readonly [string, Span, "left" | "right"])[] = [
    ["time", row.time, "left"],
    ["mark", waiting(isOpen ? OPEN_MARK : ""), "left"],
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
