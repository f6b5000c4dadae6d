/** The admin API as schemathesis sees it: it makes requests of the OpenAPI document, good ones and bad ones. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { pythonPeer } from "../../scripts/lib/peers.mjs";
import { missingPythonPeer } from "../support/peers.ts";
import { onAdminStage, TOKEN } from "./stage.ts";

/** What each answer is checked for (https://schemathesis.readthedocs.io/en/stable/reference/checks/). */
const checks = [
  ...["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"],
  ...["response_schema_conformance", "negative_data_rejection", "ignored_auth", "unsupported_method"],
];

/** Requests for each operation, beside those of the document's own examples and limits. */
const examples = process.env.RUNNEL_SOAK === "1" ? 400 : 10;

/** Methods that a path may lack; TRACE is refused before there is a path. */
const config = `[phases.coverage]
unexpected-methods = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "QUERY"]
`;

async function runSchemathesis(port: number, cwd: string): Promise<{ code: number; output: string }> {
  await writeFile(join(cwd, "schemathesis.toml"), config);
  const words = [
    ...["run", `http://127.0.0.1:${port}/api/v1/openapi.json`, "--header", `Authorization: Bearer ${TOKEN}`],
    ...["--checks", checks.join(","), "--max-examples", String(examples), "--seed", "1", "--no-color"],
    ...["--phases", "examples,coverage,fuzzing", "--request-timeout", "30", "--generation-database", "none"],
    // Feeds do not end by themselves.
    ...["--exclude-path-regex", "events$"],
  ];
  const child = spawn(pythonPeer("schemathesis") ?? "schemathesis", words, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  const [code] = await once(child, "close");
  return { code: code as number, output };
}

describe("schemathesis", () => {
  it("finds no failure of the edge, and no answer that the OpenAPI document lacks", {
    skip: missingPythonPeer("schemathesis"),
    timeout: 600_000,
  }, () =>
    onAdminStage(async ({ ask, port, folder }) => {
      await ask("/api/v1/nodes", { method: "POST", body: { name: "web-1" } });
      const body = { name: "shop", nodes: ["web-1"], upstream: "http://127.0.0.1:3000" };
      await ask("/api/v1/tunnels", { method: "POST", body });
      const { code, output } = await runSchemathesis(port, folder);
      assert.equal(code, 0, output.slice(-20_000));
      assert.match(output, /\d+ passed/);
    }));
});
