/** Whether the flags of `--acme` fit each other. */
import { edgeServeOptions, type OptionValues, type ResolvedOptions, UsageError } from "../../config/mod.ts";

export type ServeValues = OptionValues<typeof edgeServeOptions>;

/** @throws {UsageError} */
export function checkAcmeFlags({ values, origins }: ResolvedOptions<typeof edgeServeOptions>): void {
  const { acme, domain } = values;
  const keys = Object.keys(edgeServeOptions) as (keyof typeof edgeServeOptions)[];
  const given = keys.find((key) => {
    const origin = origins[key];
    return edgeServeOptions[key].name.startsWith("acme-") && origin !== null && origin !== "default";
  });
  if (!acme && given !== undefined) {
    throw new UsageError(
      `--${edgeServeOptions[given].name} is for the certificates of --acme, which is not given`,
      "Add --acme, or leave it out",
    );
  }
  // No CA issues certificates for names of this machine, and those for addresses are other ones.
  if (acme && (!domain.includes(".") || /\.\d+$/.test(domain) || /\.localhost$/i.test(domain))) {
    throw new UsageError(`--acme gets no certificate for --domain ${domain}`, "Name a domain of yours with --domain");
  }
}
