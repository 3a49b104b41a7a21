#!/usr/bin/env bash
# instructions.sh [--update]: counts the instructions of each step of the hot path (benches/hot) with callgrind, and fails
# where one needs more than its ceiling in benches/hot/ceilings.txt. Unlike times, counts are the same on a busy machine.
# --update writes the ceilings anew: what is counted now and a tenth more.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
case ${1:-} in
  '') update=no ;;
  --update) update=yes ;;
  *) sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
# What is vectorised differs between processors; callgrind has AVX2 where the machine has it.
[ "$(uname -m)" = x86_64 ] || { say "the ceilings are for x86-64"; exit 3; }
grep -qw avx2 /proc/cpuinfo || { say "the ceilings are for processors with AVX2"; exit 3; }
command -v valgrind >/dev/null || { say "valgrind is missing"; exit 3; }

ceilings=benches/hot/ceilings.txt
repetitions=100
folder=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-instructions.XXXXXX")
trap 'rm -rf "$folder"' EXIT

# The same profile and features as in the differential step: only the bench itself is built anew.
cargo build --locked --release --bench hot --message-format json-render-diagnostics >"$folder/build"
hot=$(sed -n 's/.*"name":"hot".*"executable":"\([^"]*\)".*/\1/p' "$folder/build")
[ -x "$hot" ] || { say "cargo has built no benches/hot"; exit 1; }

# The instructions of one repetition of a workload.
count() {
  local output all
  output=$(TMPDIR=$folder valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='hot::counted' \
    "$hot" count "$1" "$repetitions" 2>&1) || { echo "$output" >&2; say "$1 failed"; return 1; }
  all=$(sed -n 's/.*Collected : \([0-9]*\)$/\1/p' <<<"$output")
  [ "${all:-0}" -gt 0 ] || { echo "$output" >&2; say "nothing was counted of $1: is there still a function hot::counted?"; return 1; }
  echo $(((all + repetitions / 2) / repetitions))
}

"$hot" list >"$folder/workloads"
# Two at a time; each writes a file of its own.
export -f count say
export hot repetitions folder
xargs -P 2 -I{} bash -c 'set -euo pipefail; count {} >"$folder/{}.count"' <"$folder/workloads"

if [ "$update" = yes ]; then
  {
    echo "# Instructions that one repetition of a workload of benches/hot may need, counted by callgrind: what was counted and a"
    echo "# tenth more. \`tests/steps/instructions.sh --update\` writes this."
    while read -r name; do echo "$name $(($(<"$folder/$name.count") * 11 / 10))"; done <"$folder/workloads"
  } >"$folder/ceilings"
  cp "$folder/ceilings" "$ceilings"
fi

failed=0
printf '%-20s %12s %12s\n' workload instructions ceiling
while read -r name; do
  counted=$(<"$folder/$name.count")
  ceiling=$(sed -n "s/^${name//./\\.} //p" "$ceilings")
  verdict=
  if [ -z "$ceiling" ]; then
    verdict="has no ceiling"
  elif [ "$counted" -gt "$ceiling" ]; then
    verdict="is $(((counted * 1000 / ceiling - 1000) / 10)) % above its ceiling"
  fi
  printf '%-20s %12d %12s  %s\n' "$name" "$counted" "${ceiling:--}" "${verdict:+<-- $verdict}"
  if [ -n "$verdict" ]; then failed=$((failed + 1)); fi
done <"$folder/workloads"
while read -r name _; do
  grep -qxF "$name" "$folder/workloads" || { say "$ceilings has a ceiling of $name, which is no workload"; failed=$((failed + 1)); }
done < <(grep -v '^#' "$ceilings")

if [ "$failed" -gt 0 ]; then
  say "$failed of the counts are wrong; docs/performance.md says what to do"
  exit 1
fi
echo "$(wc -l <"$folder/workloads") workloads, none above its ceiling"
