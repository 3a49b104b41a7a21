#!/usr/bin/env bash
# with-asterisk.sh VERSION -- COMMAND [ARGUMENTS...]
#
# Runs COMMAND beside a real Asterisk (VERSION: 22 or 16) on free loopback ports, and
# ends that Asterisk afterwards. COMMAND finds in its environment:
#
#   ASTERISK_AMI      127.0.0.1:PORT of the manager interface
#   ASTERISK_AMI_TLS  the same over TLS
#   ASTERISK_VERSION  22 or 16
#   ASTERISK_RUN      the folder that this Asterisk writes to (etc/, log/, asterisk.out)
#
# Environment:  AMIWALL_TEST_CACHE  where the unpacked Asterisk is kept (tests/.cache)
# Exit status:  that of COMMAND; 1 Asterisk did not start, 2 usage, 3 not possible here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() { echo "usage: with-asterisk.sh 22|16 -- command [arguments...]" >&2; exit 2; }
[ $# -ge 3 ] && [ "$2" = -- ] || usage
version=$1
shift 2

cache=${AMIWALL_TEST_CACHE:-$here/../.cache}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
root=$cache/asterisk-$version
"$here/fetch.sh" "$version" "$root"

run=$(mktemp -d "${TMPDIR:-/tmp}/asterisk-$version.XXXXXX")
chmod 711 "$run"                               # Asterisk may run as another user
pid=
# Ends the Asterisk that was started here, and nothing else: politely, after ten seconds by force.
stop() {
  [ -n "$pid" ] || return 0
  kill -TERM "$pid" 2>/dev/null || true
  local deadline=$((SECONDS + 10))
  while kill -0 "$pid" 2>/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then kill -KILL "$pid" 2>/dev/null || true; break; fi
    read -rt 0.05 <> <(:) || true             # a pause between two looks
  done
  wait "$pid" 2>/dev/null || true
  pid=
}
cleanup() {
  stop
  if [ -n "${KEEP_ASTERISK_RUN:-}" ]; then echo "with-asterisk.sh: kept $run" >&2; else rm -rf "$run"; fi
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Ports that are free now; somebody may be faster, so a start that fails is tried again.
for attempt in 1 2 3; do
  read -r ami tls sip < <(python3 "$here/ports.py" 3)
  rm -rf "$run/pbx"
  AST_RUN=$run/pbx AMI_PORT=$ami AMI_TLS_PORT=$tls SIP_PORT=$sip \
    "$here/run.sh" "$root" "$here/conf" >"$run/asterisk.out" 2>&1 </dev/null &
  pid=$!
  if python3 "$here/wait_ready.py" booted "127.0.0.1:$ami" "$pid" 60; then break; fi
  stop
  if [ "$attempt" = 3 ]; then
    echo "with-asterisk.sh: Asterisk $version did not come up:" >&2
    tail -n 20 "$run/asterisk.out" >&2
    exit 1
  fi
done
mv "$run/asterisk.out" "$run/pbx/asterisk.out"

export ASTERISK_AMI=127.0.0.1:$ami ASTERISK_AMI_TLS=127.0.0.1:$tls
export ASTERISK_VERSION=$version ASTERISK_RUN=$run/pbx
status=0
"$@" || status=$?
if ! kill -0 "$pid" 2>/dev/null; then
  echo "with-asterisk.sh: Asterisk $version ended while the command ran:" >&2
  tail -n 20 "$ASTERISK_RUN/asterisk.out" >&2
  [ "$status" != 0 ] || status=1
fi
exit "$status"
