#!/usr/bin/env bash
# quotas.sh 22|16: calls at once, counted in front of a real Asterisk.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = inside ]; then                # beside Asterisk and amiwall
  exec timeout 300 python3 "$repo/tests/quotas/concurrent.py"
fi

[ $# -eq 1 ] || { echo "usage: quotas.sh 22|16" >&2; exit 2; }
need_amiwall
export AMIWALL_POLICY=$repo/tests/quotas/policy.yaml
steps=$repo/tests/steps
# shellcheck disable=SC2016 # expanded beside Asterisk
"$repo/tests/asterisk/with-asterisk.sh" "$1" -- \
  bash -c '"$1/with-amiwall.sh" "$ASTERISK_AMI" -- "$1/quotas.sh" inside' - "$steps"
