#!/bin/sh
# All of it is in abuse/main.mjs; `scripts/abuse.sh --help` says what.
set -eu
command -v node >/dev/null 2>&1 || { echo "abuse: node is not on PATH: install Node 20 or later (with npm)" >&2; exit 1; }
exec node "$(dirname -- "$0")/abuse/main.mjs" "$@"
