#!/usr/bin/env bash
# compliance.sh 22|16: the same dialogues with Asterisk and through amiwall must be alike; with 22 also over TLS, which is
# the same for every Asterisk.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = inside ]; then                # beside Asterisk and amiwall
  cd "$repo/tests/compliance"
  out=$AMIWALL_RUN
  timeout 300 ./compliance.py --target "$ASTERISK_AMI" --user admin --secret adminpw --record "$out/direct.json"
  status=0
  for way in $COMPLIANCE_WAYS; do
    how=(--target "$AMIWALL_PLAIN")
    [ "$way" = plain ] || how=(--target "$AMIWALL_TLS" --tls --ca "$AMIWALL_CA")
    echo "== $way"
    timeout 600 ./compliance.py "${how[@]}" --user tester --secret testerpw --through --record "$out/$way.json" || status=1
    [ ! -s "$out/$way.json" ] || ./compliance.py --compare "$out/direct.json" "$out/$way.json" || status=1
  done
  exit "$status"
fi

[ $# -eq 1 ] || { echo "usage: compliance.sh 22|16" >&2; exit 2; }
need_amiwall
steps=$repo/tests/steps
export COMPLIANCE_WAYS=plain
[ "$1" != 22 ] || COMPLIANCE_WAYS='plain tls'
# shellcheck disable=SC2016 # expanded beside Asterisk
"$repo/tests/asterisk/with-asterisk.sh" "$1" -- \
  bash -c '"$1/with-amiwall.sh" "$ASTERISK_AMI" -- "$1/compliance.sh" inside' - "$steps"
