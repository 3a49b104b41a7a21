#!/usr/bin/env bash
# run.sh [NAME...]: runs AMI clients against an AMI; without NAME all that there are. Each logs in, asks for a list and sees
# its end, calls Local/1000@test and sees the call's events, is refused one action, and logs off.
#
# With AMI_CA, those that have TLS of their own use it (panoramisk, openssl), and `amiwall connect` stands before the others.
#
# Environment:
#   AMI_HOST AMI_PORT AMI_USER AMI_SECRET   whom to talk to, and as whom
#   AMI_CA          the certificate authority, for TLS; without it the connection is plain, and openssl is not among them
#   AMI_FORBIDDEN   the action that must be refused (DBPut)
#   AMIWALL         the program that stands in between (target/debug/amiwall)
#   AMIWALL_TEST_CACHE   where the libraries are kept (tests/.cache)
# Exit status: 0 all did, 1 one did not, 2 wrong usage, 3 they cannot be installed here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${AMI_HOST:?}" "${AMI_PORT:?}" "${AMI_USER:?}" "${AMI_SECRET:?}"
export AMI_HOST AMI_PORT AMI_USER AMI_SECRET AMI_CA="${AMI_CA:-}" AMI_FORBIDDEN="${AMI_FORBIDDEN:-DBPut}"
cache=${AMIWALL_TEST_CACHE:-$here/../.cache}
"$here/install.sh" "$cache/clients"
cache=$(cd "$cache" && pwd)/clients
amiwall=${AMIWALL:-$here/../../target/debug/amiwall}
python=$cache/venv/bin/python
export NODE_PATH=$cache/node/node_modules

if [ $# = 0 ]; then
  set -- panoramisk pyst2 pystrix asterisk-ami asterisk-manager asterisk-ami-client yana telephony-asterisk-ami net-telnet nc
  [ -z "$AMI_CA" ] || set -- "$@" openssl
fi

plain=(env)                                   # where a client without TLS goes
if [ -n "$AMI_CA" ]; then
  port=$(python3 "$here/../asterisk/ports.py" 1)
  log=$(mktemp "${TMPDIR:-/tmp}/amiwall-connect.XXXXXX")
  "$amiwall" connect "$AMI_HOST:$AMI_PORT" --ca "$AMI_CA" --listen "127.0.0.1:$port" >"$log" 2>&1 </dev/null &
  connect=$!
  trap 'kill "$connect" 2>/dev/null || true; wait "$connect" || true; rm -f "$log"' EXIT
  python3 "$here/../asterisk/wait_ready.py" banner "127.0.0.1:$port" "$connect" 30 ||
    { cat "$log" >&2; echo "run.sh: amiwall connect does not carry" >&2; exit 1; }
  plain=(env AMI_HOST=127.0.0.1 "AMI_PORT=$port" AMI_CA=)
fi

status=0
for name in "$@"; do
  case $name in
    panoramisk) command=("$python" "$here/with_panoramisk.py") ;;     # speaks TLS itself
    openssl) command=("$here/by-hand.sh" openssl) ;;                  # and so does this
    pyst2|pystrix) command=("${plain[@]}" "$python" "$here/with_$name.py") ;;
    asterisk-ami) command=("${plain[@]}" "PYTHONPATH=$cache/asterisk-ami" python3 "$here/with_asterisk_ami.py") ;;
    asterisk-manager|asterisk-ami-client|yana) command=("${plain[@]}" node "$here/with-$name.js") ;;
    telephony-asterisk-ami|net-telnet) command=("${plain[@]}" perl "$here/with-$name.pl") ;;
    nc) command=("${plain[@]}" "$here/by-hand.sh" nc) ;;
    *) echo "run.sh: no client named $name" >&2; exit 2 ;;
  esac
  if timeout 60 "${command[@]}"; then
    echo "ok   $name"
  else
    echo "BAD  $name (exit status $?)"
    status=1
  fi
done
if [ -n "$AMI_CA" ] && ! kill -0 "$connect" 2>/dev/null; then
  echo "BAD  amiwall connect ended while they ran"
  status=1
fi
[ "$status" = 0 ] || [ -z "$AMI_CA" ] || { echo "what amiwall connect said:"; tail -n 40 "$log"; }
[ "$status" != 0 ] || echo "$# clients did the whole dialogue"
exit "$status"
