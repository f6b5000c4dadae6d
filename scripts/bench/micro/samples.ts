/** What the cases work on: heads as browsers and servers send them. */

const encoder = new TextEncoder();

/** Fields of a browser's request, as they are on the wire. */
export const requestFields: readonly string[] = [
  ...["Host", "demo.example.com"],
  ...["User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
  ...["Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
  ...["Accept-Language", "en-US,en;q=0.5"],
  ...["Accept-Encoding", "gzip, deflate, br"],
  ...["Referer", "https://demo.example.com/start"],
  ...["Cookie", "session=0123456789abcdef"],
  ...["Connection", "keep-alive"],
  ...["Sec-Fetch-Dest", "document"],
  ...["Sec-Fetch-Mode", "navigate"],
];

/** Fields of an answer without those that concern one connection. */
export const answerFields: readonly string[] = [
  ...["Server", "nginx"],
  ...["Date", "Mon, 30 Nov 2026 12:00:00 GMT"],
  ...["Content-Type", "application/json; charset=utf-8"],
  ...["Content-Length", "1024"],
  ...["Cache-Control", "no-store"],
  ...["ETag", '"5f0-62b1"'],
  ...["Vary", "Accept-Encoding"],
  ...["X-Request-Id", "7f3a-19"],
];

/** A request's head with its bytes, and from where to where its texts go. */
export const head = requestHead();

function requestHead(): { bytes: Uint8Array; texts: readonly (readonly [start: number, end: number])[] } {
  let text = "GET /account/orders?page=2 HTTP/1.1\r\n";
  const texts: [number, number][] = [];
  const add = (part: string, behind: string) => {
    texts.push([text.length, text.length + part.length]);
    text += part + behind;
  };
  for (let i = 0; i < requestFields.length; i += 2) {
    add(requestFields[i], ": ");
    add(requestFields[i + 1], "\r\n");
  }
  return { bytes: encoder.encode(`${text}\r\n`), texts };
}

/** Bytes that are different at each place, so that one in the wrong place is noticed. */
export function patternBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + (i >> 8) * 7;
  return bytes;
}

/** A sum that depends on the bytes' places. */
export function checksum(bytes: Uint8Array): number {
  let sum = bytes.length;
  for (let i = 0; i < bytes.length; i++) sum = (sum * 31 + bytes[i]) | 0;
  return sum;
}

/** What a name and a value of a field may be (RFC 9110 §5.1, §5.5), for the plain ways. */
export const namePattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
export const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;
