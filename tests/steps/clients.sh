#!/usr/bin/env bash
# clients.sh 22|16: published AMI clients, through amiwall over TLS; `amiwall connect` speaks it for those that do not.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = inside ]; then                # beside Asterisk and amiwall
  export AMI_HOST=${AMIWALL_TLS%:*} AMI_PORT=${AMIWALL_TLS#*:} AMI_CA=$AMIWALL_CA AMI_USER=crm AMI_SECRET=crmpw
  AMIWALL=$amiwall exec "$repo/tests/clients/run.sh"
fi

[ $# -eq 1 ] || { echo "usage: clients.sh 22|16" >&2; exit 2; }
need_amiwall
"$repo/tests/clients/install.sh" "$AMIWALL_TEST_CACHE/clients"
steps=$repo/tests/steps
# shellcheck disable=SC2016 # expanded beside Asterisk
"$repo/tests/asterisk/with-asterisk.sh" "$1" -- \
  bash -c '"$1/with-amiwall.sh" "$ASTERISK_AMI" -- "$1/clients.sh" inside' - "$steps"
