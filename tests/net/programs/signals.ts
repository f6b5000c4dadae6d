/** Tells its platform, then hears SIGHUP twice; ends itself with status 7 at SIGTERM. */
import {
  environmentVariable,
  exit,
  onSignal,
  programArguments,
  runtimeName,
  runtimeVersion,
  terminalOf,
} from "../../../src/net/mod.ts";

// Keeps the process alive: a listener of signals need not.
const living = setInterval(() => {}, 1_000);
const endFirst = onSignal("SIGHUP", () => {
  endFirst();
  console.log("first");
});
let heard = 0;
const endSecond = onSignal("SIGHUP", () => {
  if (++heard === 2) endSecond();
  console.log("second");
});
onSignal("SIGTERM", () => {
  clearInterval(living);
  exit(7);
});
console.log(JSON.stringify({
  name: runtimeName,
  version: runtimeVersion,
  words: programArguments(),
  variable: environmentVariable("RUNNEL_TEST_VARIABLE"),
  missing: environmentVariable("RUNNEL_TEST_NO_SUCH_VARIABLE") ?? null,
  terminal: terminalOf("stdout"),
}));
