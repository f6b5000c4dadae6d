/** Writes to standard output after its reader has gone, and tells on standard error that it goes on. */
import { writeText } from "../../../src/net/process.ts";

writeText("stdout", "ready\n");
let lines = 0;
const timer = setInterval(() => {
  writeText("stdout", "lost\n");
  if (++lines < 5) return;
  clearInterval(timer);
  writeText("stderr", "still here\n");
}, 10);
