#!/bin/sh
# Serves a private service through an edge for as long as one request takes, as a step of a pipeline does:
#
#     scripts/examples/pipeline.sh TARGET [PATH]     e.g. scripts/examples/pipeline.sh 3000 /healthz
#
# It prints the answer, and exits with 0 only if all went well: curl's exit code, or that of the program that failed.
# EDGE and AGENT are the commands of both programs (default edge and agent).
set -eu
[ $# -ge 1 ] || { echo "usage: $0 TARGET [PATH]" >&2; exit 2; }
target=$1
path=${2:-/}
EDGE=${EDGE:-edge}
AGENT=${AGENT:-agent}
RUNNEL_TOKEN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export RUNNEL_TOKEN

folder=$(mktemp -d)
edge=
agent=

# Ends what still runs, whatever ends this script.
finish() {
  code=$?
  trap - EXIT
  for pid in $agent $edge; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$folder"
  exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# With --json, the first line is `ready` or `error`: reading one line is all the waiting there is.
# Prints the value of the key $1 of the line $2.
value() {
  printf '%s\n' "$2" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

# Goes on if the line $1 is `ready`, and else exits as the program with the process id $2 does.
must_be_ready() {
  [ "$(value event "$1")" = ready ] && return
  printf '%s\n' "$1" >&2
  wait "$2" || exit $?
  exit 1
}

mkfifo "$folder/edge" "$folder/agent"

# shellcheck disable=SC2086 -- EDGE and AGENT may be several words
$EDGE serve --listen 127.0.0.1:0 --json --log-level error >"$folder/edge" &
edge=$!
exec 3<"$folder/edge"
line=
read -r line <&3 || true
must_be_ready "$line" "$edge"
listen=$(value listen "$line")

# shellcheck disable=SC2086
$AGENT http "$target" --edge "http://$listen" --json --log-level error >"$folder/agent" &
agent=$!
exec 4<"$folder/agent"
line=
read -r line <&4 || true
must_be_ready "$line" "$agent"
url=$(value url "$line")

# Names under .localhost need not resolve: the host is told in the request.
host=${url#*://}
curl --silent --show-error --fail --max-time 30 --header "Host: ${host%%/*}" "http://$listen$path"

# Both must say by their exit codes that they have ended well.
kill "$agent"
wait "$agent"
agent=
kill "$edge"
wait "$edge"
edge=
