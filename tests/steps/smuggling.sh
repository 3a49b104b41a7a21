#!/usr/bin/env bash
# smuggling.sh 22|16: the smuggling catalogue fires on Asterisk itself, and does nothing through amiwall.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = inside ]; then                # beside Asterisk and amiwall
  cd "$repo/tests/compliance"
  beside=(--direct "$ASTERISK_AMI" --direct-user admin --direct-secret adminpw)
  status=0
  echo "== Asterisk itself"
  timeout 300 ./smuggling.py --self-test "${beside[@]}" || status=1
  echo "== through amiwall, plain"
  timeout 600 ./smuggling.py --through "$AMIWALL_PLAIN" --user canary --secret canarypw "${beside[@]}" || status=1
  echo "== through amiwall, TLS"
  timeout 600 ./smuggling.py --through "$AMIWALL_TLS" --tls --ca "$AMIWALL_CA" --user canary --secret canarypw \
    "${beside[@]}" || status=1
  exit "$status"
fi

[ $# -eq 1 ] || { echo "usage: smuggling.sh 22|16" >&2; exit 2; }
need_amiwall
steps=$repo/tests/steps
# shellcheck disable=SC2016 # expanded beside Asterisk
"$repo/tests/asterisk/with-asterisk.sh" "$1" -- \
  bash -c '"$1/with-amiwall.sh" "$ASTERISK_AMI" -- "$1/smuggling.sh" inside' - "$steps"
