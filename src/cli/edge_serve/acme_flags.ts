/** Whether the flags of `--acme` fit each other. */
import { type edgeServeOptions, type OptionValues, UsageError } from "../../config/mod.ts";

export type ServeValues = OptionValues<typeof edgeServeOptions>;

/** @throws {UsageError} */
export function checkAcmeFlags({ acme, acmeEmail, acmeCa, acmeDnsHook, domain }: ServeValues): void {
  const given = Object.entries({ "--acme-email": acmeEmail, "--acme-ca": acmeCa, "--acme-dns-hook": acmeDnsHook });
  const [flag] = given.find(([, value]) => value !== undefined) ?? [];
  if (!acme && flag !== undefined) {
    throw new UsageError(
      `${flag} is for the certificates of --acme, which is not given`,
      "Add --acme, or leave it out",
    );
  }
  // No CA issues certificates for names of this machine, and those for addresses are other ones.
  if (acme && (!domain.includes(".") || /\.\d+$/.test(domain) || /\.localhost$/i.test(domain))) {
    throw new UsageError(`--acme gets no certificate for --domain ${domain}`, "Name a domain of yours with --domain");
  }
}
