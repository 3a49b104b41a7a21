#!/usr/bin/env bash
# unit.sh: cargo test --locked --all-features
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$repo"
exec cargo test --locked --all-features
