#!/usr/bin/env bash
# clippy.sh: cargo clippy --locked --all-targets --all-features -- -D warnings
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
exec cargo clippy --locked --all-targets --all-features -- -D warnings
