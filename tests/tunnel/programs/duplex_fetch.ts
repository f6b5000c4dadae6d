/**
 * Sends a chunk, reads its echo, sends the next, on one `fetch` of the runtime that runs this; prints how many came
 * back. Arguments: port, Host, rounds.
 */
import process from "node:process";

const [port, host, rounds] = process.argv.slice(2);
const encoder = new TextEncoder();
let upload!: ReadableStreamDefaultController<Uint8Array>;
const body = new ReadableStream<Uint8Array>({ start: (controller) => void (upload = controller) });
const init: RequestInit & { duplex: "half"; client?: unknown } = {
  method: "POST",
  headers: { Host: host! },
  body,
  duplex: "half",
};
// Deno sends the Host that it is given only where a client of its own allows that.
const deno = (globalThis as { Deno?: { createHttpClient(options: { allowHost: boolean }): unknown } }).Deno;
if (deno !== undefined) init.client = deno.createHttpClient({ allowHost: true });

upload.enqueue(encoder.encode("chunk 0\n"));
const answer = await fetch(`http://127.0.0.1:${port}/echo`, init);
const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
let waiting = "";

async function nextLine(): Promise<string> {
  while (!waiting.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the echo ended early");
    waiting += value;
  }
  const end = waiting.indexOf("\n") + 1;
  const line = waiting.slice(0, end);
  waiting = waiting.slice(end);
  return line;
}

for (let round = 0; round < Number(rounds); round++) {
  const line = await nextLine();
  if (line !== `chunk ${round}\n`) throw new Error(`came ${line} for chunk ${round}`);
  if (round + 1 < Number(rounds)) upload.enqueue(encoder.encode(`chunk ${round + 1}\n`));
}
upload.close();
const { done } = await reader.read();
console.log(JSON.stringify({ status: answer.status, echoed: Number(rounds), ended: done }));
