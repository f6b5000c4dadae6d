/** Certificates from a CA by ACME (RFC 8555): which names get one, when, and how the CA is shown that they are ours. */
export { AcmeCertificates, type AcmeCertificatesOptions, type NameOwner } from "./acme_certificates.ts";
export { AcmeClientIssuer, type AcmeClientIssuerOptions } from "./acme_client_issuer.ts";
export { DnsHook, type DnsHookOptions } from "./dns_hook.ts";
export type { AcmeEvents, FailedOrder, IssuedNames, WaitingName } from "./events.ts";
export { AcmeError, type ChallengeType, type Issuer } from "./issuer.ts";
export { DEFAULT_NAMES_PER_OWNER, DEFAULT_NAMES_PER_WEEK, type OrderLimits } from "./order_book.ts";
