#!/bin/sh
set -eu

usage() {
  cat <<'END'
Usage: scripts/setup.sh [--quiet]

Makes this checkout ready: installs the pinned packages into node_modules, and finds a Bun and a Deno.
A program on PATH is taken when it is at least the version pinned in package.json, else the npm package
of the same name. Both stand in node_modules/.runnel/bin afterwards. The second call does nothing.
The programs edge and agent of this checkout are in its folder bin.

  --quiet   print nothing where there is nothing to do
  --help    print this

Needs: Node 20 or later with npm.
END
}

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

say() {
  printf 'setup: %s\n' "$*"
}

say_path() {
  say "for edge and agent on PATH: export PATH=\"$root/bin:\$PATH\""
}

quiet=no
for argument in "$@"; do
  case $argument in
    --quiet) quiet=yes ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'setup: unknown argument %s (see --help)\n' "$argument" >&2; exit 2 ;;
  esac
done

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
state=node_modules/.runnel
stamp=$state/package-lock.json

# The stamp is a copy of the lock file, written last: `npm ci` deletes it with everything else when it starts.
if cmp -s package-lock.json "$stamp" && [ -x "$state/bin/bun" ] && { [ -x "$state/bin/deno" ] || [ -e "$state/no-deno" ]; }; then
  [ "$quiet" = yes ] || say "ready, nothing to do"
  [ "$quiet" = yes ] || say_path
  exit 0
fi

command -v node >/dev/null 2>&1 || fail "node is not on PATH: install Node 20 or later (with npm)"
node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || fail "node $(node --version) is too old: 20 or later is needed"
command -v npm >/dev/null 2>&1 || fail "npm is not on PATH: it comes with Node"

# Prints the version that package.json pins for the package $1.
pinned() {
  node -p 'require("./package.json").devDependencies[process.argv[1]]' "$1"
}

# Succeeds where version $1 is at least version $2.
at_least() {
  node -e '
    const [have, want] = process.argv.slice(1).map((version) => version.split("-")[0].split(".").map(Number));
    const at = want.findIndex((number, i) => number !== have[i]);
    process.exit(at === -1 || have[at] > want[at] ? 0 : 1);
  ' "$1" "$2"
}

# Links the program $1 from PATH, where it fits. It is asked for its real path, since what stands on PATH may be a
# wrapper (npm's deno is one) that does not hand signals on. The expression $2 prints "VERSION PATH".
link_from_path() {
  program=$1
  expression=$2
  command -v "$program" >/dev/null 2>&1 || return 1
  found=$(cd / && "$program" "$([ "$program" = deno ] && echo eval || echo -e)" "$expression" 2>/dev/null) || return 1
  version=${found%% *}
  path=${found#* }
  case $path in "$root"/node_modules/*) return 1 ;; esac
  if ! at_least "$version" "$(pinned "$program")"; then
    say "$program $version on PATH is older than $(pinned "$program"): taking the npm package"
    return 1
  fi
  ln -sf "$path" "$state/bin/$program"
  say "$program $version from PATH ($path)"
}

link_from_npm() {
  program=$1
  path=$2
  ln -sf "../../$path" "$state/bin/$program"
  "$state/bin/$program" --version >/dev/null || fail "$root/node_modules/$path does not start on this machine"
  say "$program $(pinned "$program") from npm"
}

is_musl() {
  node -e '
    process.report.excludeNetwork = true;
    const { header } = process.report.getReport();
    process.exit(process.platform === "linux" && header.glibcVersionRuntime === undefined ? 0 : 1);
  '
}

say "installing the packages of package-lock.json (about 300 MB on disk)"
# Production settings of the caller must not leave out the runtimes, which are development packages, nor their
# programs, which are optional ones. No package's own script runs, but for the one of Bun below.
npm ci --include=dev --include=optional --ignore-scripts --no-audit --no-fund --loglevel=error || fail "npm ci failed"
mkdir -p "$state/bin"

if ! link_from_path bun 'console.log(process.versions.bun + " " + process.execPath)'; then
  node node_modules/bun/install.js || fail "the npm package bun has no program for this machine"
  link_from_npm bun bun/bin/bun.exe
fi

if ! link_from_path deno 'console.log(Deno.version.deno + " " + Deno.execPath())'; then
  if is_musl; then
    say "no deno: its npm package needs glibc and this system has musl; going on with Bun only"
    : >"$state/no-deno"
  else
    node node_modules/deno/install.cjs || fail "the npm package deno has no program for this machine"
    link_from_npm deno deno/deno
  fi
fi

cp package-lock.json "$stamp"
say "ready: node_modules holds $(($(du -sk node_modules | cut -f1) / 1024)) MB"
say_path
