#!/usr/bin/env bash
# differential.sh: a release build of the differential tests, for AMIWALL_TEST_SECONDS (60), a third of it each: hostile
# bytes through decoder, policy and encoder to a model of Asterisk's reader, and back through decoder and view to a client.
# AMIWALL_TEST_FULL=1: a hundred million inputs, however long that takes. Prints how many inputs it was.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
log=$(mktemp "${TMPDIR:-/tmp}/amiwall-differential.XXXXXX")
trap 'rm -f "$log"' EXIT
if [ "${AMIWALL_TEST_FULL:-}" != 1 ]; then
  # More than any machine does in the time.
  export AMIWALL_TEST_INPUTS=${AMIWALL_TEST_INPUTS:-10000000000} AMIWALL_TEST_SECONDS=$((${AMIWALL_TEST_SECONDS:-60} / 3))
fi
# One after the other: each uses all processors itself.
cargo test --locked --release --test differential -- --nocapture --test-threads 1 2>&1 | tee "$log" >&2
grep -oE '(asterisk_view|client_view|scoped_view): [0-9]+ inputs.*' "$log"
[ "$(grep -cE '(asterisk_view|client_view|scoped_view): [0-9]+ inputs' "$log")" = 3 ] || { say "a test did not run"; exit 1; }
