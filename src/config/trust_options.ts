/** The options of `edge serve` about proxies in front of it. */
import { isToken, trustedProxyFault } from "../http/mod.ts";
import { listOption, switchOption } from "./option.ts";

export const trustOptions = {
  trustProxy: listOption({
    name: "trust-proxy",
    hint: "CIDR|loopback|private",
    help:
      "a proxy in front that is believed who the visitor is: by X-Forwarded-For, X-Forwarded-Proto, X-Request-ID and " +
      "PROXY headers; without it none is",
    completion: ["loopback", "private"],
  }, parseTrustedProxy),
  trustForwarded: switchOption({
    name: "trust-forwarded",
    help: "believes the Forwarded of trusted proxies, in place of X-Forwarded-For and X-Forwarded-Proto",
  }),
  proxyProtocol: switchOption({
    name: "proxy-protocol",
    help: "takes connections alone that begin with the PROXY header (version 1 or 2) of a trusted proxy",
  }),
  clientIpField: listOption({
    name: "client-ip-field",
    hint: "NAME",
    help: "a further field that tells the visitor's address, and passes from a trusted proxy alone, as X-Real-IP does",
  }, parseFieldName),
};

function parseTrustedProxy(text: string): string {
  const fault = trustedProxyFault(text);
  if (fault !== null) throw new Error(fault);
  return text;
}

function parseFieldName(text: string): string {
  if (!isToken(text) || text.length > 64) throw new Error("is no name of a field such as X-Real-IP");
  return text;
}
