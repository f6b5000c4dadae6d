#!/bin/sh
# Has a new edge take the place of the one that runs, without a request lost: instances of edge@.service, which systemd
# gives the same sockets. To be called as root, behind the installation of a new version or with new settings. Where the
# new one does not start, the one that runs goes on.
set -eu

new=""
old=""
for name in a b c d e f g h; do
  case $(systemctl show --property=ActiveState --value "edge@$name.service") in
    active) old="$old edge@$name.service" ;;
    inactive | failed) [ -n "$new" ] || new="edge@$name.service" ;;
    # The others still finish what they serve.
    *) ;;
  esac
done
if [ -z "$new" ]; then
  echo "handover: eight edges are running; wait until one has ended" >&2
  exit 1
fi

# Comes back once the new one listens.
systemctl start "$new"
systemctl enable --quiet "$new"
for unit in $old; do
  systemctl disable --quiet "$unit"
  systemctl stop --no-block "$unit"
done
echo "handover: $new serves"
