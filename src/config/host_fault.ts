/** The form of a domain name. */

/** What is wrong with a domain name, as the end of a sentence; null where nothing is. */
export function hostFault(text: string): string | null {
  const isName = text.length <= 253 &&
    text.split(".").every((label) => /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label));
  return isName ? null : "is no domain name";
}
