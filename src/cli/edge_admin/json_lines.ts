/** A body of JSON lines, line by line. */
import { release } from "../../memory/mod.ts";
import { AdminError } from "./client.ts";

/** Of one line. An edge's longest event is a tenth of it. */
const MAX_LINE_CHARACTERS = 1024 ** 2;

/** The lines that came together, as soon as they are whole; an unfinished last one is dropped. */
export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    release(chunk);
    if (rest.length > MAX_LINE_CHARACTERS && !rest.includes("\n")) {
      throw new AdminError("refused", `The edge sent a line of over ${MAX_LINE_CHARACTERS} characters`);
    }
    const lines = rest.split("\n");
    rest = lines.pop()!;
    const whole = lines.filter((line) => line !== "");
    if (whole.length > 0) yield whole;
  }
}
