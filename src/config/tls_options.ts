/** The options of `edge serve` about TLS on its own listeners. */
import { hostFault } from "./host_fault.ts";
import { nameFault } from "./names.ts";
import { choiceOption, listOption, parsedOption, switchOption } from "./option.ts";
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
  clientCa: listOption({
    name: "client-ca",
    hint: "[TUNNEL=]FILE",
    help:
      "visitors of all tunnels, or of that one, must show a certificate of these authorities (PEM); agents need none",
    completion: "file",
  }, parseClientCa),
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

/** Whose certificates visitors must show. */
export interface ClientAuthorities {
  /** The tunnel whose visitors these are; null: those of all tunnels that have none of their own. */
  readonly tunnel: string | null;
  readonly file: string;
  /** As it is given, for messages. */
  readonly text: string;
}

/** Reads `FILE` or `TUNNEL=FILE`. A `=` behind a slash is one of the file's name. */
function parseClientCa(given: string): ClientAuthorities {
  const [, before, behind] = /^([^/\\=]*)=(.*)$/s.exec(given) ?? [];
  const file = behind ?? given;
  if (file === "") throw new Error("names no file: write FILE, or TUNNEL=FILE");
  if (before === undefined) return { tunnel: null, file, text: given };
  const tunnel = before.toLowerCase();
  const fault = nameFault(tunnel);
  if (fault !== null) {
    throw new Error(`is for no tunnel, whose name ${fault}. If all of it is a file's name, write ./${given}`);
  }
  return { tunnel, file, text: `${tunnel}=${file}` };
}

function parsePlainHost(text: string): string {
  if (hostFault(text.replace(/^\*\./, "")) !== null) throw new Error("is no host such as shop.example.com");
  return text.toLowerCase();
}
