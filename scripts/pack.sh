#!/bin/sh
# All of it is in lib/pack.mjs; `scripts/pack.sh --help` says what.
set -eu
command -v node >/dev/null 2>&1 || { echo "pack: node is not on PATH: install Node 20 or later (with npm)" >&2; exit 1; }
exec node "$(dirname -- "$0")/lib/pack.mjs" "$@"
