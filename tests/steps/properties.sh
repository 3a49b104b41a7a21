#!/usr/bin/env bash
# properties.sh: a million random policies and packets, of which the policy and its reference say the same.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
# 100 packets each.
PROPTEST_CASES=10000 cargo test --locked --lib -- policy::tests::reference::the_reference_says_the_same --exact --nocapture |
  tee /dev/stderr | grep -q '^test result: ok. 1 passed'
echo "a million pairs"
