/** Where an edge listens, made of its options. */
import {
  type edgeServeOptions,
  type ListenAddress,
  type OptionValues,
  parseListenAddress,
  UsageError,
} from "../../config/mod.ts";
import type { Edge, EdgeListener } from "../../edge/mod.ts";
import { bareHost, formatAddress, isLoopback, type SocketAddress, type TlsAcceptorOptions } from "../../net/mod.ts";

type ServeValues = OptionValues<typeof edgeServeOptions>;

/** Where an edge with certificates listens that is not told otherwise. */
const tlsAddresses = ["https://[::]:443", "http://[::]:80"].map(parseListenAddress);

/**
 * Where the edge listens.
 *
 * @param isGiven false: `--listen` has its default
 * @throws {UsageError} where addresses and certificates do not go together
 */
export function listenAddresses(values: ServeValues, isGiven: boolean): readonly ListenAddress[] {
  const addresses = !isGiven && hasCertificates(values) ? tlsAddresses : values.listen;
  checkCertificateFlags(values, addresses);
  checkPairs(values);
  checkPlainHosts(values, addresses);
  checkClientCa(values);
  return addresses;
}

/** True where an option says where certificates come from. */
function hasCertificates({ tlsCert, tlsSelfSigned, acme }: ServeValues): boolean {
  return tlsCert.length > 0 || tlsSelfSigned || acme;
}

function checkCertificateFlags(values: ServeValues, addresses: readonly ListenAddress[]): void {
  const isSecure = hasTls(addresses);
  if (isSecure && !hasCertificates(values)) {
    throw new UsageError(
      "--listen https:// needs a certificate",
      "Give it with --tls-cert FILE --tls-key FILE, get it with --acme, have one made with --tls-self-signed, or end TLS in a proxy in front " +
        "and leave https:// out",
    );
  }
  if (isSecure) return;
  const { tlsCert, tlsSelfSigned, acme, clientCa } = values;
  const flag = tlsCert.length > 0
    ? "--tls-cert"
    : acme
    ? "--acme"
    : tlsSelfSigned
    ? "--tls-self-signed"
    : "--client-ca";
  if (!hasCertificates(values) && clientCa.length === 0) return;
  throw new UsageError(`${flag} is for a listener with TLS, and there is none`, "Write --listen https://HOST:PORT");
}

function checkPairs({ tlsCert, tlsKey }: ServeValues): void {
  if (tlsCert.length === tlsKey.length) return;
  throw new UsageError(
    `There are ${tlsCert.length} of --tls-cert, and ${tlsKey.length} of --tls-key`,
    "Give each --tls-cert its --tls-key, in the same order",
  );
}

function checkPlainHosts({ plainHttp }: ServeValues, addresses: readonly ListenAddress[]): void {
  if (plainHttp.length === 0 || addresses.some((address) => redirects(address, addresses))) return;
  throw new UsageError(
    "--plain-http is for a listener that sends visitors to https, and there is none",
    "Write --listen http://HOST:PORT beside --listen https://HOST:PORT, or leave it out",
  );
}

/** @throws {UsageError} where two are for the same visitors, or the tunnel of the domain itself would be open to any */
function checkClientCa({ clientCa, defaultTunnel }: ServeValues): void {
  clientCa.forEach(({ tunnel, text }, index) => {
    if (clientCa.findIndex((other) => other.tunnel === tunnel) === index) return;
    throw new UsageError(
      `--client-ca ${JSON.stringify(text)} is the second one for ${
        tunnel === null ? "all tunnels" : `the tunnel ${tunnel}`
      }`,
      "Write all their authorities into one file",
    );
  });
  const ofDefault = clientCa.find(({ tunnel }) => tunnel === defaultTunnel) ??
    clientCa.find(({ tunnel }) => tunnel === null);
  if (ofDefault === undefined || defaultTunnel === undefined) return;
  const { text } = ofDefault;
  throw new UsageError(
    `--client-ca ${JSON.stringify(text)} leaves the domain itself open, since agents connect there, and ` +
      `--default-tunnel ${defaultTunnel} serves it`,
    "Leave one of them out",
  );
}

function hasTls(addresses: readonly ListenAddress[]): boolean {
  return addresses.some(({ scheme }) => scheme === "https");
}

/** Beside TLS, `http://` sends visitors there. Addresses without a scheme and unix sockets are for a proxy in front. */
function redirects({ scheme, target }: ListenAddress, all: readonly ListenAddress[]): boolean {
  return scheme === "http" && target.kind !== "unix" && hasTls(all);
}

/**
 * @param tls null where no address has TLS
 * @param publicUrl tells the port that visitors are sent to. Default: that of the first listener with TLS.
 */
export function listenersAt(
  addresses: readonly ListenAddress[],
  tls: TlsAcceptorOptions | null,
  publicUrl: URL | undefined,
): EdgeListener[] {
  const publicPort = publicUrl?.protocol === "https:" ? Number(publicUrl.port || "443") : 0;
  return addresses.map((address) => {
    const { target, scheme } = address;
    if (scheme === "https" && tls !== null) return { target, tls };
    return redirects(address, addresses) ? { target, redirectPort: publicPort } : { target };
  });
}

/** True for the hosts of `--plain-http`: `shop.example.com`, `*.example.com`. */
export function plainHosts(hosts: readonly string[]): (host: string) => boolean {
  const known = new Set(hosts);
  return (host) => {
    if (known.has(host)) return true;
    for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
      if (known.has(`*${host.slice(dot)}`)) return true;
    }
    return false;
  };
}

/** Where an edge listens: `https://[::]:443`, `http://[::]:80` where visitors are sent to https, `127.0.0.1:8080`. */
export function boundAddresses(addresses: readonly ListenAddress[], edge: Edge): string[] {
  return edge.addresses.map((bound, i) => {
    const address = addresses[i] as ListenAddress;
    const text = formatAddress(bound);
    return address.scheme === "https" || redirects(address, addresses) ? `${address.scheme}://${text}` : text;
  });
}

/** The command to type where the private service runs. */
export function connectCommand(
  edge: Edge,
  values: ServeValues,
  parts: { addresses: readonly ListenAddress[]; pin: string | null; tokenFile: string | undefined },
): string {
  const { addresses, pin, tokenFile } = parts;
  const url = dialUrl(edge, values, addresses);
  const isOpen = url.protocol === "http:" && !isLoopback(bareHost(url.hostname));
  // With other certificates, the self-signed one may not be what agents see.
  const isPinned = pin !== null && url.protocol === "https:" && values.tlsCert.length === 0 && !values.acme;
  const trust = isOpen ? " --edge-insecure" : isPinned ? ` --edge-pin ${pin}` : "";
  const file = tokenFile === undefined || tokenFile === "-" ? "FILE" : tokenFile;
  return `agent http 3000 --edge ${url.origin}${trust} --token-file ${file}`;
}

/** Where agents find this edge: at its public URL, or at the address it listens on while it has no domain. */
function dialUrl(edge: Edge, { publicUrl, domain }: ServeValues, addresses: readonly ListenAddress[]): URL {
  const secureAt = addresses.findIndex(({ scheme }) => scheme === "https");
  const address = edge.addresses[Math.max(secureAt, 0)] as SocketAddress;
  if (publicUrl !== undefined || domain !== "localhost" || address.kind === "unix") return new URL(edge.urlOf());
  const host = /^(?:0\.0\.0\.0|::)$/.test(address.host) ? "127.0.0.1" : address.host;
  return new URL(`${secureAt < 0 ? "http" : "https"}://${formatAddress({ ...address, host })}`);
}
