// @ts-check
/** What the licenses of the packages ask of whoever passes them on inside a program: their texts. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { manifest, root } from "./toolchain.mjs";

const rule = "-".repeat(80);

/** Packages that come without the file, each with one of the same authors and license that has it. @type {Record<string, string>} */
const sameLicense = { "@hono/zod-openapi": "hono", "@hono/zod-validator": "hono" };

/** The packages that programs and library contain, those of packages among them, each with the text of its license. */
export function thirdPartyLicenses() {
  const parts = containedPackages().map((name) =>
    `${name} ${readManifest(name).version}\n${rule}\n${licenseText(name)}\n`
  );
  return `Runnel contains these packages, each under its own license.\n\n${parts.join(`\n${rule}\n`)}`;
}

/** Sorted by name. */
function containedPackages() {
  const names = new Set(Object.keys(manifest.dependencies));
  // A set also gives what is added while it is gone through.
  for (const name of names) {
    for (const dependency of Object.keys(readManifest(name).dependencies ?? {})) names.add(dependency);
  }
  return [...names].sort();
}

/** @param {string} name */
function licenseText(name) {
  const holder = sameLicense[name] ?? name;
  const [own, other] = [name, holder].map((item) => readManifest(item).license);
  if (own !== other) throw new Error(`the package ${name} is under ${own}, and ${holder} under ${other}`);
  const folder = join(root, "node_modules", holder);
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  if (file !== undefined) return readFileSync(join(folder, file), "utf8").trim();
  const text = licenseInReadme(readFileSync(join(folder, "README.md"), "utf8"));
  if (text === null) throw new Error(`the package ${holder} has no license file`);
  return text;
}

/**
 * What stands under the heading of a license, as some packages have it; null where that is no license.
 * @param {string} readme
 */
function licenseInReadme(readme) {
  const [, text = ""] = /(?:^|\n)(?:#+ *)?License\n(?:-+\n)?([\s\S]*?)(?=\n#|\n*$(?![\s\S]))/i.exec(readme) ?? [];
  return /Copyright[\s\S]*Permission is hereby granted/i.test(text) ? text.trim() : null;
}

/** @param {string} name @returns {{ version: string, license: string, dependencies?: Record<string, string> }} */
function readManifest(name) {
  return JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8"));
}

/** @param {string} bunVersion the one that the programs were compiled with */
export const bunNotice = (bunVersion) =>
  `${rule}\nThe compiled programs contain Bun ${bunVersion}, under the MIT license, and what Bun itself contains, ` +
  `JavaScriptCore under the LGPL 2\namong it: https://bun.com/docs/project/license\n`;
