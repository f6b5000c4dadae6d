/** Hostnames of tunnels: exact ones, and wildcards of one level (`*.shop.example.com`). */

/** A DNS label in A-form, with the underscore that some services use (RFC 1123 §2.1, RFC 8553). */
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const WILDCARD = "*.";

/**
 * A hostname in the form in which it is stored and compared: lower case, A-labels (RFC 5891 §2.3.2.1), without a trailing
 * dot. The result of `fault` says why a text is none, as the end of a sentence.
 */
export function parseHostname(text: string): { readonly hostname: string } | { readonly fault: string } {
  const isWildcard = text.startsWith(WILDCARD);
  const bare = (isWildcard ? text.slice(WILDCARD.length) : text).replace(/\.$/, "");
  if (bare.includes("*")) return { fault: "has a * that is not its whole first label" };
  const ascii = toAscii(bare);
  if (ascii === null) return { fault: "is no hostname such as shop.example.com" };
  if (/^(?:.*\.)?(?:\d+|0x[0-9a-f]*)$/.test(ascii)) return { fault: "is an address, or ends as one does" };
  const labels = ascii.split(".");
  if (labels.length < 2) return { fault: "has one label: a tunnel's own NAME is served at NAME.DOMAIN" };
  if (!labels.every((label) => LABEL.test(label))) return { fault: "is no hostname such as shop.example.com" };
  const hostname = isWildcard ? WILDCARD + ascii : ascii;
  return hostname.length > 253 ? { fault: "has over 253 characters" } : { hostname };
}

/** Lower case and A-labels; null where the text cannot be a host. The runtimes' own functions differ in what they refuse. */
function toAscii(text: string): string | null {
  if (!/^[^\s/?#@:\\[\]%]+$/.test(text)) return null;
  const url = `http://${text}/`;
  return URL.canParse(url) ? new URL(url).hostname : null;
}
