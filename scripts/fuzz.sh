#!/bin/sh
# All of it is in fuzz/main.mjs; `scripts/fuzz.sh --help` says what.
set -eu
command -v node >/dev/null 2>&1 || { echo "fuzz: node is not on PATH: install Node 20 or later (with npm)" >&2; exit 1; }
exec node "$(dirname -- "$0")/fuzz/main.mjs" "$@"
