#!/bin/sh
# Serves a private service through an edge that knows its machine: the node gets a token of its own, a declared tunnel
# and hostnames of its own; its token is rotated while requests pass; at the end it is removed.
#
#     scripts/examples/enroll.sh TARGET     e.g. scripts/examples/enroll.sh 3000
#
# It says each step, and exits with 0 only if all went well. Exit codes and the output of --json decide everything.
# EDGE and AGENT are the commands of both programs (default edge and agent).
set -eu
[ $# -eq 1 ] || { echo "usage: $0 TARGET" >&2; exit 2; }
target=$1
EDGE=${EDGE:-edge}
AGENT=${AGENT:-agent}
# Another edge's would be taken in place of those that are made here.
unset RUNNEL_TOKEN RUNNEL_ADMIN_TOKEN

# What is written here holds secrets.
umask 077
folder=$(mktemp -d)
# What the agent says. It is shown where something fails: at the end the agent is meant to be refused.
: >"$folder/log"
edge=
agent=
traffic=

# Ends what still runs, whatever ends this script.
finish() {
  code=$?
  trap - EXIT
  for pid in $traffic $agent $edge; do kill "$pid" 2>/dev/null || true; done
  wait
  [ "$code" -eq 0 ] || cat "$folder/log" >&2
  rm -rf "$folder"
  exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# Prints the value of the key $1 of the JSON object $2.
value() {
  printf '%s\n' "$2" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

# Reads the agent's events up to the event $1. Where the agent ends before, so does this script, with the same exit code.
await_agent() {
  while read -r line <&4; do
    [ "$(value event "$line")" != "$1" ] || return 0
    printf '%s\n' "$line" >>"$folder/log"
  done
  wait "$agent" || exit $?
  exit 1
}

# Keeps the token that $1 gives. The agent may read the file at any time, and never sees half of one.
keep_token() {
  value token "$1" >"$folder/token.new"
  mv "$folder/token.new" "$folder/token"
}

# Names need not resolve: the host $1 is told in the request.
ask() {
  curl --silent --show-error --fail --max-time 30 --output /dev/null --header "Host: $1" "http://$listen/"
}

status_of() {
  curl --silent --max-time 30 --output /dev/null --write-out '%{http_code}' --header "Host: $1" "http://$listen/"
}

hosts='shop.localhost shop.example.com shop.example.net eu.shop.example.com'

ask_all() {
  for host in $hosts; do ask "$host" || return $?; done
}

echo 'An edge starts, with an admin API on this machine alone'
mkfifo "$folder/edge" "$folder/agent" "$folder/events"
# shellcheck disable=SC2086 -- EDGE and AGENT may be several words
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
listen=$(value listen "$line")
# Where the commands below find the admin API, and its token.
RUNNEL_ADMIN="http://$(value admin "$line")"
RUNNEL_DATA="$folder/data"
export RUNNEL_ADMIN RUNNEL_DATA

echo 'The node web-1 is enrolled, and gets its token'
# shellcheck disable=SC2086
node=$($EDGE node add web-1 --label site=here --json)
keep_token "$node"

echo 'The tunnel shop is declared for it, with two hostnames of its own and a wildcard'
# shellcheck disable=SC2086
$EDGE tunnel add shop --node web-1 --upstream "$target" --json >"$folder/answer" \
  --hostname shop.example.com --hostname shop.example.net --hostname '*.shop.example.com'
[ "$(status_of shop.example.com)" = 503 ] || fail 'A declared tunnel without an agent is not offline'

echo 'Its agent connects, and serves all of its names'
# shellcheck disable=SC2086
$AGENT http "$target" --edge "http://$listen" --name shop --token-file "$folder/token" --json --log-level error \
  >"$folder/agent" 2>>"$folder/log" &
agent=$!
# An event for each request would fill the pipe, since nobody reads it while requests are made.
while read -r line; do
  case $line in *'"event":"request"'*) ;; *) printf '%s\n' "$line" ;; esac
done <"$folder/agent" >"$folder/events" &
exec 4<"$folder/events"
await_agent ready
ask_all
# A wildcard stands for one label.
[ "$(status_of a.b.shop.example.com)" = 404 ] || fail 'A wildcard serves two labels'

echo 'Its token is rotated while requests pass, and none of them fails'
: >"$folder/traffic"
while [ -e "$folder/traffic" ]; do ask_all || exit 1; done &
traffic=$!
old=$(sed -n 's/^rnl_node_\([a-z0-9]*\)_.*/\1/p' "$folder/token")
# shellcheck disable=SC2086
node=$($EDGE node rotate web-1 --grace 30s --json)
keep_token "$node"
# The agent sees the new token in its file, and opens the tunnel with it. The end of the grace would make it do so, too.
await_agent ready
# shellcheck disable=SC2086
$EDGE token remove "$old" --json >"$folder/answer"
ask_all
rm "$folder/traffic"
wait "$traffic" || fail 'A request failed while the token was rotated'
traffic=

echo 'The node is removed, and its session ends within 5 s'
# shellcheck disable=SC2086
$EDGE node remove web-1 --json >"$folder/answer"
latest=$(($(date +%s) + 5))
until [ "$(status_of shop.example.com)" = 503 ]; do
  [ "$(date +%s)" -le "$latest" ] || fail 'The session did not end within 5 s'
done
code=0
wait "$agent" || code=$?
agent=
[ "$code" -eq 3 ] || fail "The agent ended with exit code $code, and not because its token was refused"

kill "$edge"
wait "$edge"
edge=
