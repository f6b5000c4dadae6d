/**
 * Event streams and what they mean, by WHATWG HTML §9.2.6: the cases of the web platform tests (`eventsource/format-*` and
 * `event-data`, under their names), the examples of the standard, and more of the same kinds.
 */
export interface StreamCase {
  readonly name: string;
  /** Bytes, or a text in UTF-8. */
  readonly stream: string | Uint8Array;
  readonly events: readonly (readonly [type: string, data: string, id: string])[];
  /** Default: the id of the last event. */
  readonly lastEventId?: string;
  readonly retries?: readonly number[];
}

const bom = "\u{feff}";
const long = "x".repeat(2_048);

/** A default event without an id. */
const message = (data: string, id = "") => ["message", data, id] as const;

export const platformCases: readonly StreamCase[] = [
  {
    name: "event-data",
    stream: "data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
    events: [message("msg\nmsg"), message(""), message("end")],
  },
  {
    name: "format-bom",
    stream: `${bom}data:1\n\n${bom}data:2\n\ndata:3\n\n`,
    events: [message("1"), message("3")],
  },
  { name: "format-bom-2", stream: `${bom}${bom}data:1\n\ndata:2\n\ndata:3\n\n`, events: [message("2"), message("3")] },
  {
    name: "format-comments",
    stream: `data:1\r:\0\n:\r\ndata:2\n:${long}\rdata:3\n:data:fail\r:${long}\ndata:4\n\n`,
    events: [message("1\n2\n3\n4")],
  },
  {
    name: "format-data-before-final-empty-line",
    stream: "retry:1000\ndata:test1\n\nid:test\ndata:test2",
    events: [message("test1")],
    lastEventId: "",
    retries: [1_000],
  },
  {
    name: "format-field-data",
    stream: "data:\n\ndata\ndata\n\ndata:test\n\n",
    events: [message(""), message("\n"), message("test")],
  },
  {
    name: "format-field-event",
    stream: "event:test\ndata:x\n\ndata:x\n\n",
    events: [["test", "x", ""], message("x")],
  },
  { name: "format-field-event-empty", stream: "event: \ndata:data\n\n", events: [message("data")] },
  {
    name: "format-field-id",
    stream: "id: …\nretry:200\ndata:hello\n\n",
    events: [message("hello", "…")],
    retries: [200],
  },
  {
    name: "format-field-id-2",
    stream: "id: …\ndata:hello\n\ndata:again\n\n",
    events: [message("hello", "…"), message("again", "…")],
  },
  {
    name: "format-field-id-3, persists",
    stream: "id: 1\ndata: 1\n\ndata: 2\n\n",
    events: [message("1", "1"), message("2", "1")],
  },
  {
    name: "format-field-id-3, changes and persists",
    stream: "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\ndata: 3\n\n",
    events: [message("1", "1"), message("2", "2"), message("3", "2")],
  },
  {
    name: "format-field-id-3, resets",
    stream: "id: 1\ndata: 1\n\nid:\ndata: 2\n\ndata: 3\n\nid: 4\ndata: 4\n\nid\ndata: 5\n\n",
    events: [message("1", "1"), message("2"), message("3"), message("4", "4"), message("5")],
  },
  ...["\0\0", "x\0", "\0x", "x\0x", " \0"].map((id) => ({
    name: `format-field-id-null, ${JSON.stringify(id)}`,
    stream: `id: ${id}\ndata: hello\n\n`,
    events: [message("hello")],
  })),
  {
    name: "format-field-parsing",
    stream:
      "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
    events: [message("\0\n 2\n1\n3\n\n4")],
  },
  { name: "format-field-retry", stream: "retry:3000\ndata:x\n\n", events: [message("x")], retries: [3_000] },
  {
    name: "format-field-retry-bogus",
    stream: "retry:3000\nretry:1000x\ndata:x\n\n",
    events: [message("x")],
    retries: [3_000],
  },
  { name: "format-field-retry-empty", stream: "retry\ndata:test\n\n", events: [message("test")], retries: [] },
  {
    name: "format-field-unknown",
    stream: "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
    events: [message("test\n\ntest")],
  },
  { name: "format-leading-space", stream: "data:\ttest\rdata: \ndata:test\n\n", events: [message("\ttest\n\ntest")] },
  { name: "format-newlines", stream: "data:test\r\ndata\ndata:test\r\n\r", events: [message("test\n\ntest")] },
  { name: "format-null-character", stream: "data:\0\n\n\n\n", events: [message("\0")] },
  { name: "format-utf-8", stream: "data:ok…\n\n", events: [message("ok…")] },
];

export const moreCases: readonly StreamCase[] = [
  {
    name: "the standard's example of stocks",
    stream: "data: YHOO\ndata: +2\ndata: 10\n\n",
    events: [message("YHOO\n+2\n10")],
  },
  {
    name: "the standard's example of four blocks",
    stream: ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    events: [message("first event", "1"), message("second event"), message(" third event")],
  },
  {
    name: "the standard's example of empty data",
    stream: "data\n\ndata\ndata\n\ndata:",
    events: [message(""), message("\n")],
  },
  {
    name: "the standard's example of spaces",
    stream: "data:test\n\ndata: test\n\n",
    events: [message("test"), message("test")],
  },
  {
    name: "CR alone, without a byte behind the last one",
    stream: "id: 7\rdata: a\rdata: b\r\rdata: c\r\r",
    events: [message("a\nb", "7"), message("c", "7")],
  },
  { name: "CR LF throughout", stream: "data: a\r\n\r\ndata: b\r\n\r\n", events: [message("a"), message("b")] },
  { name: "each line end once", stream: "data: a\rdata: b\ndata: c\r\n\n", events: [message("a\nb\nc")] },
  { name: "a BOM alone in its line", stream: `${bom}\ndata: a\n\n`, events: [message("a")] },
  { name: "the letters that a BOM is in Latin-1", stream: "ï»¿data: a\n\ndata: b\n\n", events: [message("b")] },
  {
    name: "an id of an event without data",
    stream: "id: 5\n\ndata: a\n\nid: 6\n\n",
    events: [message("a", "5")],
    lastEventId: "6",
  },
  { name: "an id with NULL behind a good one", stream: "id: 5\nid: 6\0\ndata: a\n\n", events: [message("a", "5")] },
  {
    name: "an id of an event that never ends",
    stream: "id: 5\ndata: a\n\nid: 6\ndata: b\n",
    events: [message("a", "5")],
  },
  { name: "an id with two spaces", stream: "id:  5\ndata: a\n\n", events: [message("a", " 5")] },
  { name: "a field that only begins as id", stream: "ids: 5\nid : 6\ndata: a\n\n", events: [message("a")] },
  { name: "an event type without data", stream: "event: a\n\ndata: b\n\n", events: [message("b")] },
  { name: "the last of several event types", stream: "event: a\nevent: b\ndata: c\n\n", events: [["b", "c", ""]] },
  { name: "colons in a value", stream: "data: a: b:c\n\n", events: [message("a: b:c")] },
  {
    name: "retry of other digits, signs and spaces",
    stream: "retry: +1\nretry: 1.5\nretry: ١\nretry:  2\nretry: 03\n\n",
    events: [],
    retries: [3],
  },
  { name: "characters of two to four bytes", stream: "data: ü…𝄞\n\n", events: [message("ü…𝄞")] },
  {
    name: "bytes that are no UTF-8",
    stream: Uint8Array.from([...new TextEncoder().encode("data: "), 0xe2, 0x80, 0x0a, 0xff, 0x0a, 0x0a]),
    events: [message("\u{fffd}")],
  },
  {
    name: "line ends of other standards",
    stream: "data: a\u{2028}b\u{85}c\v\fd\n\n",
    events: [message("a\u{2028}b\u{85}c\v\fd")],
  },
  { name: "empty lines alone", stream: "\n\r\n\r\n\n\n", events: [] },
  { name: "nothing", stream: "", events: [] },
];
