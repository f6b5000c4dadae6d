/** Wrong tokens of the admin API: slow, all alike, and no reason to refuse the right one. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type AdminAnswer, AdminApi } from "../support/admin_api.ts";
import { withControl } from "../support/control_stage.ts";
import { eventually } from "../support/net.ts";

const MAX_WAITING = 64;

describe("token guessing at the admin API", () => {
  it("is answered after a second, in the same words for all, while the right token is accepted", () =>
    withControl(async ({ admin, adminAddress, clock, folder }) => {
      const right = (await readFile(join(folder, "admin-token"), "utf8")).trim();
      const near = ["x", `${right}x`, right.slice(0, -1), right.toUpperCase(), right.split("").reverse().join("")];
      const guesses = Array.from({ length: MAX_WAITING + 2 }, (_, at) => near[at] ?? `guess-${at}`);
      const answers: AdminAnswer[] = [];
      const all = Promise.all(guesses.map(async (guess) => {
        answers.push(await new AdminApi(adminAddress, guess).ask("GET", "nodes"));
      }));
      // As many as may wait are waiting once the others have their answer.
      await eventually(() => answers.length === 2);
      for (const { status, json } of answers) assert.deepEqual([status, json.code], [429, "too_many_attempts"]);
      assert.equal((await admin.ask("GET", "nodes")).status, 200);
      clock.advance(999);
      assert.equal(answers.length, 2);
      clock.advance(1);
      await all;
      const told = new Set(answers.slice(2).map((answer) => JSON.stringify(answer)));
      assert.equal(told.size, 1, [...told].join("\n"));
      assert.match([...told][0]!, /^\{"status":401,.*"code":"unauthorized"/);
    }));

  it("does not hold up an edge that ends", async () => {
    let over = 0;
    const guess = async (address: string) => {
      await new AdminApi(address, "x").ask("GET", "nodes").catch(() => {});
      over++;
    };
    await withControl(async ({ adminAddress }) => {
      for (let count = 0; count <= MAX_WAITING; count++) void guess(adminAddress);
      await eventually(() => over === 1);
    });
    await eventually(() => over === MAX_WAITING + 1);
  });
});
