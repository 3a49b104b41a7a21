#!/usr/bin/env bash
# sandbox.sh: systemd finds the exposure of the shipped units to be 1.2 or less. What the process keeps out of its own reach
# is tried by `cargo test --test sandbox`.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command -v systemd-analyze >/dev/null || { say "systemd-analyze is missing (Debian package systemd)"; exit 3; }
for unit in "$repo"/packaging/*.service; do
  report=$(systemd-analyze security --offline=true --no-pager --threshold=12 "$unit" 2>&1) || {
    echo "$report"
    say "$unit is above 1.2"
    exit 1
  }
  grep -o 'Overall exposure level.*' <<<"$report" || { echo "$report"; say "no level was told for $unit"; exit 1; }
done
