#!/usr/bin/env bash
# trail.sh: the audit trail under faults, with its numbers; AMIWALL_TEST_FULL=1 runs each test at its full size.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
log=$(mktemp "${TMPDIR:-/tmp}/amiwall-trail.XXXXXX")
trap 'rm -f "$log"' EXIT
status=0
for target in "--lib" "--test audit_faults"; do
  # The numbers are lines of the tests' own; two targets, since some faults are below the seam of the writer's storage.
  filter=audit::tests
  [ "$target" = --lib ] || filter=
  # shellcheck disable=SC2086 # an option and its value
  cargo test --locked --all-features $target -- --nocapture $filter >>"$log" 2>&1 || status=$?
done
[ "$status" = 0 ] || { cat "$log"; exit 1; }
grep -oE 'T[0-9] [a-z][^:]*: .*' "$log"
echo "trail: $(grep -cE 'T[0-9] [a-z][^:]*: ' "$log") kinds of fault, nothing lost"
