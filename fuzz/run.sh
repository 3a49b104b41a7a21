#!/usr/bin/env bash
# fuzz/run.sh [SECONDS] [TARGET...]: each target (all of them if none is named) for so long, 60 s if not said, with nightly
# Rust and without cargo-fuzz. What is found new goes to a folder of its own; what fails is kept in fuzz/artifacts.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:-60}
[ $# -eq 0 ] || shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(for file in fuzz_targets/*.rs; do basename "$file" .rs; done)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}/fuzz
# What cargo-fuzz builds with, but for the sanitizer of memory, of which safe Rust has less need.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
 -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
cargo +nightly build --quiet --release --target "$host" --bins
found=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-fuzz.XXXXXX")
trap 'rm -rf "$found"' EXIT
status=0
for target in "${targets[@]}"; do
  mkdir -p "artifacts/$target" "$found/$target"
  "$CARGO_TARGET_DIR/$host/release/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="artifacts/$target/" "$found/$target" "corpus/$target" >"$found/$target.log" 2>&1 ||
    { status=1; tail -n 30 "$found/$target.log"; }
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$target.log") inputs"
done
exit "$status"
