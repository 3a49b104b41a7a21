#!/usr/bin/env bash
# run.sh [NAME...]: runs the client libraries (panoramisk pyst2 asterisk-manager asterisk-ami-client) against an AMI.
# Each logs in, asks for a list, calls Local/1000@test, sees the call's events, is refused one action, and logs off.
#
# Environment:
#   AMI_HOST AMI_PORT AMI_USER AMI_SECRET   whom to talk to, and as whom
#   AMI_CA          the certificate authority, for TLS; without it the connection is plain
#   AMI_FORBIDDEN   the action that must be refused (DBPut)
#   AMIWALL_TEST_CACHE   where the libraries are kept (tests/.cache)
# Exit status: 0 all did, 1 one did not, 3 they cannot be installed here
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${AMI_HOST:?}" "${AMI_PORT:?}" "${AMI_USER:?}" "${AMI_SECRET:?}"
export AMI_HOST AMI_PORT AMI_USER AMI_SECRET AMI_CA="${AMI_CA:-}" AMI_FORBIDDEN="${AMI_FORBIDDEN:-DBPut}"
cache=${AMIWALL_TEST_CACHE:-$here/../.cache}
"$here/install.sh" "$cache/clients"
cache=$(cd "$cache" && pwd)
python=$cache/clients/venv/bin/python
export NODE_PATH=$cache/clients/node/node_modules

[ $# -gt 0 ] || set -- panoramisk pyst2 asterisk-manager asterisk-ami-client
status=0
for name in "$@"; do
  case $name in
    panoramisk) command=("$python" "$here/with_panoramisk.py") ;;     # speaks TLS itself
    pyst2) command=(python3 "$here/tls_bridge.py" "$python" "$here/with_pyst2.py") ;;
    asterisk-manager|asterisk-ami-client) command=(python3 "$here/tls_bridge.py" node "$here/with-$name.js") ;;
    *) echo "run.sh: no client named $name" >&2; exit 2 ;;
  esac
  if timeout 60 "${command[@]}"; then
    echo "ok   $name"
  else
    echo "BAD  $name (exit status $?)"
    status=1
  fi
done
exit "$status"
