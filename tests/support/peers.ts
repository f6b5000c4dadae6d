/** Foreign programs that tests talk to (scripts/lib/peers.mjs lists them). */
import process from "node:process";
import { isOnPath, pythonPeer } from "../../scripts/lib/peers.mjs";

/**
 * For `it(name, { skip: missingPeer("nginx") }, …)`: the reason to skip where the program is missing, else false. With
 * `RUNNEL_REQUIRE_PEERS=1` always false, so that the test runs, and fails by what it lacks.
 */
export function missingPeer(program: string): string | false {
  if (process.env.RUNNEL_REQUIRE_PEERS === "1" || isOnPath(program)) return false;
  return `${program} is not installed`;
}

/** The same for a peer from PyPI: a program such as `schemathesis`, or `python`, which can import the packages. */
export function missingPythonPeer(program: string): string | false {
  if (process.env.RUNNEL_REQUIRE_PEERS === "1" || pythonPeer(program) !== null) return false;
  return `${program} is not installed: scripts/test.sh --install-peers does it`;
}
