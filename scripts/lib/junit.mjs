// @ts-check
/** Reads the JUnit files that `bun test` and `deno test` write, as far as counting needs it. */

/** @typedef {{ name: string, outcome: "passed" | "failed" | "skipped", detail: string }} TestCase */

const markup = /<(\/?)(testsuite|testcase|failure|error|skipped)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>/g;
const entities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** @param {string} text */
function unescape(text) {
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(amp|lt|gt|quot|apos));/g, (_, hex, decimal, name) => {
    if (name) return entities[/** @type {keyof typeof entities} */ (name)];
    return String.fromCodePoint(hex ? parseInt(hex, 16) : Number(decimal));
  });
}

/** @param {string} attributes @param {string} name */
function attribute(attributes, name) {
  const match = attributes.match(new RegExp(`\\s${name}="([^"]*)"`));
  return match ? unescape(match[1]) : "";
}

/**
 * Deno writes a case for each `describe` beside those for its tests, named `SUITE` and `SUITE > TEST`. Such a case is
 * no test of its own, unless it failed by itself (in a hook) and not by one of its tests.
 * @param {TestCase} test @param {TestCase[]} all
 */
function isContainer(test, all) {
  if (test.outcome === "failed") return /^\d+ test steps? failed/.test(test.detail);
  return all.some((other) => other.name.startsWith(test.name + " > "));
}

/**
 * The tests of a JUnit document, in its order, with full names (`suite > inner > test`).
 * @param {string} xml
 * @returns {TestCase[]}
 */
export function parseJUnit(xml) {
  /** @type {TestCase[]} */
  const cases = [];
  /** @type {string[]} */
  const suites = [];
  /** @type {TestCase | null} */
  let current = null;
  let detailFrom = 0;
  for (const { 0: whole, 1: closing, 2: element, 3: attributes, 4: selfClosing, index } of xml.matchAll(markup)) {
    if (element === "testsuite") {
      if (closing) suites.pop();
      else if (!selfClosing) suites.push(attribute(attributes, "name"));
    } else if (element === "testcase") {
      if (closing) continue;
      // The outermost suite is the file; the others are Bun's `describe`s.
      const name = [...suites.slice(1), attribute(attributes, "name")].join(" > ");
      current = { name, outcome: "passed", detail: "" };
      cases.push(current);
    } else if (current && !closing) {
      current.outcome = element === "skipped" ? "skipped" : "failed";
      current.detail = attribute(attributes, "message");
      detailFrom = index + whole.length;
    } else if (current && closing && element !== "skipped") {
      current.detail = unescape(xml.slice(detailFrom, index)).trim() || current.detail;
    }
  }
  return cases.filter((test) => !isContainer(test, cases));
}
