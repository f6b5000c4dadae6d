#!/bin/sh
# Deploys a private service as a pipeline does: a node is enrolled, its agent follows the edge's config, a file declares a
# tunnel, a second one changes it, and the change is rolled back. Each time it waits until the agent serves what was
# declared, so that the next request is answered by it.
#
#     scripts/examples/deploy.sh TARGET NEXT     e.g. scripts/examples/deploy.sh 3000 4000
#
# NEXT is the same service in its next version. The script says each step, and exits with 0 only if all went well. Exit
# codes and the output of --json decide everything. EDGE and AGENT are the commands of both programs (default edge and
# agent).
set -eu
[ $# -eq 2 ] || { echo "usage: $0 TARGET NEXT" >&2; exit 2; }
target=$1
next=$2
EDGE=${EDGE:-edge}
AGENT=${AGENT:-agent}
# Another edge's would be taken in place of those that are made here.
unset RUNNEL_TOKEN RUNNEL_ADMIN_TOKEN

# What is written here holds secrets.
umask 077
folder=$(mktemp -d)
: >"$folder/log"
edge=
agent=

# Ends what still runs, whatever ends this script.
finish() {
  code=$?
  trap - EXIT
  for pid in $agent $edge; do kill "$pid" 2>/dev/null || true; done
  wait
  [ "$code" -eq 0 ] || cat "$folder/log" >&2
  rm -rf "$folder"
  exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints the value of the key $1 of the JSON object $2: a text, or a number.
value() {
  printf '%s\n' "$2" | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

# Prints what the tunnel answers. Names need not resolve: the host is told in the request.
ask() {
  curl --silent --show-error --fail --max-time 30 --header 'Host: shop.localhost' "http://$listen/"
}

# Writes a file in which the tunnel leads to $1, applies it and waits. Prints the revision.
deploy() {
  cat >"$folder/shop.yaml" <<EOF
version: 1
project: shop
nodes:
  web-1: { labels: { site: here } }
tunnels:
  shop: { node: web-1, upstream: "$1" }
EOF
  # shellcheck disable=SC2086 -- EDGE and AGENT may be several words
  answer=$($EDGE apply "$folder/shop.yaml" --prune --wait --timeout 30s --json --log-level error)
  value revision "$answer"
}

echo 'An edge starts, with an admin API on this machine alone'
mkfifo "$folder/edge"
# shellcheck disable=SC2086
$EDGE serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --data "$folder/data" --json --log-level error \
  >"$folder/edge" &
edge=$!
exec 3<"$folder/edge"
line=
read -r line <&3 || true
if [ "$(value event "$line")" != ready ]; then
  printf '%s\n' "$line" >&2
  wait "$edge" || exit $?
  exit 1
fi
listen=$(printf '%s\n' "$line" | sed 's/.*"listen":"\([^"]*\)".*/\1/')
# Where the commands find the admin API, and its token.
RUNNEL_ADMIN="http://$(printf '%s\n' "$line" | sed 's/.*"admin":"\([^"]*\)".*/\1/')"
RUNNEL_DATA="$folder/data"
export RUNNEL_ADMIN RUNNEL_DATA

echo 'The node web-1 is enrolled, and its agent follows what the edge has for it'
# shellcheck disable=SC2086
node=$($EDGE node add web-1 --json)
value token "$node" >"$folder/token"
# shellcheck disable=SC2086
$AGENT run --edge "http://$listen" --token-file "$folder/token" --data "$folder/agent" --json >>"$folder/log" 2>&1 &
agent=$!

echo 'A file declares the tunnel shop, and its agent serves it'
first=$(deploy "$target")
before=$(ask)

echo 'The file is changed: the next request reaches the next version'
deploy "$next" >"$folder/answer"
after=$(ask)
[ "$after" != "$before" ] || { echo 'The next version is not served' >&2; exit 1; }

echo 'It is rolled back: the next request reaches the first version'
# shellcheck disable=SC2086
$EDGE rollback "$first" --wait --timeout 30s --json --log-level error >"$folder/answer"
[ "$(ask)" = "$before" ] || { echo 'The first version is not served again' >&2; exit 1; }

echo 'The same file changes nothing any more'
again=$(deploy "$target")
# shellcheck disable=SC2086
answer=$($EDGE apply "$folder/shop.yaml" --dry-run --json)
[ "$(value changed "$answer")" = false ] || { echo "Revision $again is changed again" >&2; exit 1; }

kill "$agent" "$edge"
wait "$agent"
agent=
wait "$edge"
edge=
