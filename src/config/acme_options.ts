/** The options of `edge serve` about certificates from a CA. */
import { countOption, durationOption, parsedOption, switchOption, textOption } from "./option.ts";

const DEFAULT_DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory";

export const acmeOptions = {
  acme: switchOption({
    name: "acme",
    help: "gets certificates for the domain and for hostnames of tunnels from Let's Encrypt, and accepts its terms",
  }),
  acmeEmail: textOption(
    { name: "acme-email", hint: "ADDRESS", help: "where the CA writes to about the certificates" },
    (text) => /^[^\s@,]+@[^\s@,]+$/.test(text) ? null : "is no address such as admin@example.com",
  ),
  acmeDirectory: parsedOption({
    name: "acme-directory",
    hint: "URL",
    help: "another CA that speaks ACME",
    default: DEFAULT_DIRECTORY,
  }, parseDirectory),
  acmeCa: textOption({
    name: "acme-ca",
    hint: "FILE",
    help: "trusts these authorities (PEM) for --acme-directory, in place of the system's",
    completion: "file",
  }),
  acmeDnsHook: textOption({
    name: "acme-dns-hook",
    hint: "CMD",
    help: "a program that sets TXT records, for a wildcard: it is called with present|cleanup NAME VALUE",
    completion: "file",
  }),
  acmeDnsTimeout: durationOption({
    name: "acme-dns-timeout",
    help: "the most that a call of --acme-dns-hook may take",
    default: "5m",
  }),
  acmeNamesPerWeek: countOption(
    { name: "acme-names-per-week", help: "the most new names to order certificates for within 7 days", default: "40" },
    ["1", "100000"],
  ),
  acmeNamesPerToken: countOption(
    { name: "acme-names-per-token", help: "the same for the tunnels of one token", default: "20" },
    ["1", "100000"],
  ),
};

function parseDirectory(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  // A CA without TLS could be anybody.
  if (url?.protocol !== "https:" || url.username !== "") throw new Error("is no URL such as " + DEFAULT_DIRECTORY);
  return url;
}
