/** Commits to the store that its argument names until it is killed or the store refuses. Prints each revision once it is stored. */
import { writeSync } from "node:fs";
import process from "node:process";
import { openSqliteStore } from "../../../src/store/mod.ts";
import { audit, node } from "../records.ts";

const refuse = (error: unknown) => writeSync(1, `refused ${(error as { code?: unknown }).code}\n`);

const store = await openSqliteStore({ path: process.argv[2] }).catch((error) => {
  refuse(error);
  process.exit();
});
try {
  for (let index = 0;; index++) {
    const name = `node-${index % 50}`;
    const value = node(name, { text: "x".repeat(1_000), index: String(index) });
    const revision = await store.commit([{ kind: "node", key: name, value }], audit);
    writeSync(1, `${revision} ${index}\n`);
  }
} catch (error) {
  refuse(error);
  // It still reads.
  writeSync(1, `reads ${await store.revision()}\n`);
}
