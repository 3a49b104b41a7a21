#!/usr/bin/env bash
# policies.sh: every shipped policy is valid, is worth no warning and passes its own tests.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_amiwall
status=0 count=0
while IFS= read -r -d '' policy; do
  count=$((count + 1))
  # They name certificates and secrets that are not here.
  "$amiwall" check --strict --without-files "$policy" >/dev/null || { say "$policy is not valid, or has warnings"; status=1; }
  "$amiwall" test "$policy" || { say "$policy does not pass its tests"; status=1; }
done < <(find "$repo/policies" -name '*.yaml' ! -name '*.test.yaml' -print0 | sort -z)
[ "$count" -gt 0 ] || { say "there are no policies"; status=1; }
# Those of the tests are no examples, but must be valid too: with-amiwall.sh runs them.
echo "$count policies are valid and pass their tests"
exit "$status"
