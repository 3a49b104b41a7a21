#!/usr/bin/env bash
# hostile.sh 22|16: generated hostile streams through amiwall to a real Asterisk. No canary shows, every action that
# Asterisk runs is on record, and the same streams sent to Asterisk itself make each kind of canary show. 600 streams, or
# AMIWALL_TEST_INPUTS (2,000 take a minute: the identity is refused so often that it is judged slowly);
# AMIWALL_TEST_FULL=1: 200,000. AMIWALL_TEST_SEED repeats a run.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = inside ]; then                # beside Asterisk and amiwall
  log=$AMIWALL_RUN/hostile.log
  [ "${AMIWALL_TEST_FULL:-}" = 1 ] || export AMIWALL_TEST_INPUTS=${AMIWALL_TEST_INPUTS:-600}
  cd "$repo"
  cargo test --locked --test differential -- --ignored --exact --nocapture \
    live::hostile_streams_make_a_real_asterisk_do_nothing_that_is_not_allowed 2>&1 | tee "$log" >&2
  grep -E '^(self-test|hostile): ' "$log" | sort -r
  [ "$(grep -cE '^(self-test|hostile): ' "$log")" = 2 ] || { say "the test did not run"; exit 1; }
  exit 0
fi

[ $# -eq 1 ] || { echo "usage: hostile.sh 22|16" >&2; exit 2; }
need_amiwall
(cd "$repo" && cargo test --locked --no-run --quiet --test differential)
steps=$repo/tests/steps
export AMIWALL_POLICY=$repo/tests/differential/live.yaml
# shellcheck disable=SC2016 # expanded beside Asterisk
"$repo/tests/asterisk/with-asterisk.sh" "$1" -- \
  bash -c '"$1/with-amiwall.sh" "$ASTERISK_AMI" -- "$1/hostile.sh" inside' - "$steps"
