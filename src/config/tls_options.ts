/** The options of `edge serve` about TLS on its own listeners. */
import { hostFault } from "./host_fault.ts";
import { choiceOption, listOption, parsedOption, switchOption, textOption } from "./option.ts";
import { parseStrictTransport } from "./strict_transport.ts";

export const tlsOptions = {
  tlsCert: listOption({
    name: "tls-cert",
    hint: "FILE",
    help: "a certificate with its chain (PEM) for the names in it, the first one also for others; read again when it " +
      "changes, and at SIGHUP",
    completion: "file",
  }, fileName),
  tlsKey: listOption({
    name: "tls-key",
    hint: "FILE",
    help: "the key (PEM) of the --tls-cert in the same place",
    completion: "file",
  }, fileName),
  tlsSelfSigned: switchOption({
    name: "tls-self-signed",
    help: "makes a certificate, and prints the pin by which agents know it: agent http --edge-pin",
  }),
  tlsUnknownName: choiceOption({
    name: "tls-unknown-name",
    help: "what clients get who ask for a name without a certificate: the first certificate, or a refusal",
    default: "default",
  }, ["default", "refuse"]),
  clientCa: textOption({
    name: "client-ca",
    hint: "FILE",
    help: "visitors of tunnels must show a certificate of these authorities (PEM); agents need none",
    completion: "file",
  }),
  hsts: parsedOption({
    name: "hsts",
    hint: "DURATION[,WORD]",
    help: "has browsers ask by https alone for so long; WORD is includeSubDomains or preload",
  }, parseStrictTransport),
  plainHttp: listOption({
    name: "plain-http",
    hint: "HOST",
    help: "a host that an http:// listener serves, and does not send to https; *.HOST is all names below it",
  }, parsePlainHost),
};

function fileName(text: string): string {
  if (text === "") throw new Error("is empty");
  return text;
}

function parsePlainHost(text: string): string {
  if (hostFault(text.replace(/^\*\./, "")) !== null) throw new Error("is no host such as shop.example.com");
  return text.toLowerCase();
}
