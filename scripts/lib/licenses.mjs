// @ts-check
/** What the licenses of the packages ask of whoever passes them on inside a program: their texts. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { manifest, root } from "./toolchain.mjs";

const rule = "-".repeat(80);

/** The packages that programs and library contain, each with the text of its license. */
export function thirdPartyLicenses() {
  const parts = Object.entries(manifest.dependencies).map(([name, version]) => {
    const folder = join(root, "node_modules", name);
    const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
    if (file === undefined) throw new Error(`the package ${name} has no license file`);
    return `${name} ${version}\n${rule}\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return `Runnel contains these packages, each under its own license.\n\n${parts.join(`\n${rule}\n`)}`;
}

/** @param {string} bunVersion the one that the programs were compiled with */
export const bunNotice = (bunVersion) =>
  `${rule}\nThe compiled programs contain Bun ${bunVersion}, under the MIT license, and what Bun itself contains, ` +
  `JavaScriptCore under the LGPL 2\namong it: https://bun.com/docs/project/license\n`;
