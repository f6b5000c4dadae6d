import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { Control, TokenAccess } from "../../src/control/mod.ts";
import { openSqliteStore } from "../../src/store/mod.ts";
import { withScratch } from "../support/scratch.ts";

it("TokenAccess lets a node open its http tunnels alone when others are declared for it, too", () =>
  withScratch(async (folder) => {
    const store = await openSqliteStore({ path: join(folder, "store.db") });
    const control = await Control.open({ store, domain: "example.com" });
    try {
      const { token } = await control.addNode("web-1", {}, "admin");
      const rest = { nodes: ["web-1"], hostnames: [], requires: [], project: null, settings: {} };
      const http = { name: "shop", kind: "http", upstream: "127.0.0.1:3000", port: null, ...rest } as const;
      const tcp = { name: "db", kind: "tcp", upstream: "127.0.0.1:5432", port: 20_001, ...rest } as const;
      for (const tunnel of [http, tcp]) await control.addTunnel(tunnel, "admin");
      const access = new TokenAccess(control.directory).check(token);
      assert.equal(access?.refusalOf("shop"), null);
      assert.equal(access?.refusalOf("db"), "The tunnel db is declared as tcp, and cannot be opened as http");
    } finally {
      control.close();
      await store.close();
    }
  }));
