/** What `edge serve` makes of the options about proxies in front of it. */
import { type edgeServeOptions, type OptionValues, UsageError } from "../../config/mod.ts";
import type { EdgeOptions } from "../../edge/mod.ts";
import { TrustedProxies } from "../../http/mod.ts";

type TrustValues = Pick<
  OptionValues<typeof edgeServeOptions>,
  "trustProxy" | "trustForwarded" | "proxyProtocol" | "clientIpField"
>;

/** @throws {UsageError} where no proxy is trusted, and one would have to be */
export function trustOf(
  { trustProxy, trustForwarded, proxyProtocol, clientIpField }: TrustValues,
): Pick<EdgeOptions, "trustedProxies" | "proxyProtocol" | "clientAddressFields"> {
  const clientAddressFields = clientIpField;
  if (trustProxy.length > 0) {
    const trustedProxies = new TrustedProxies(trustProxy, { usesForwarded: trustForwarded });
    return { trustedProxies, proxyProtocol, clientAddressFields };
  }
  const needing = proxyProtocol ? "--proxy-protocol" : trustForwarded ? "--trust-forwarded" : null;
  if (needing === null) return { clientAddressFields };
  throw new UsageError(
    `${needing} believes what trusted proxies say, and none is trusted`,
    "Name the proxy with --trust-proxy: its address, a block of addresses, loopback or private",
  );
}
