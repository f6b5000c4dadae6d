import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { codeOf, importsOf } from "./source_text.ts";

describe("codeOf", () => {
  it("leaves comments and strings out when they look like code", () => {
    const code = codeOf(`a(); // Bun.a\n/* Deno.b\nDeno.c */ b("Deno.d", 'it\\'s Bun.e'); Bun.f`);
    assert.deepEqual(code.match(/(?:Bun|Deno)\.\w/g), ["Bun.f"]);
  });

  it("is not led astray when a quote or slashes stand in a template or a regular expression", () => {
    const code = codeOf("const a = /[\"'/]/; const b = `http://${Deno.a}'`; const c = 4 / 2; /* / */ Bun.b");
    assert.deepEqual(code.match(/(?:Bun|Deno)\.\w/g), ["Deno.a", "Bun.b"]);
  });
});

describe("importsOf", () => {
  it("finds every form when they are mixed", () => {
    const text = `import "./a.ts";\nimport type { B } from './b.ts';\nexport {\n  c,\n} from "./c.ts";
      const d = await import("./d.ts"); type E = import("./e.ts").E; // from "./no.ts"`;
    assert.deepEqual(importsOf(text), ["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts"]);
  });
});
