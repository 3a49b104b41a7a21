#!/usr/bin/env bash
# doctor.sh 22|16: `amiwall init` leads from a real Asterisk's manager.conf to an amiwall that runs in front of it, asked on a
# terminal; `amiwall doctor` finds what was made weak there on purpose, and no more once it is mended.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = inside ]; then                # beside Asterisk
  exec timeout 300 python3 "$repo/tests/doctor/real.py" "$amiwall" "$ASTERISK_AMI" "$ASTERISK_RUN/etc"
fi

[ $# -eq 1 ] || { echo "usage: doctor.sh 22|16" >&2; exit 2; }
need_amiwall
"$repo/tests/asterisk/with-asterisk.sh" "$1" -- "$repo/tests/steps/doctor.sh" inside
